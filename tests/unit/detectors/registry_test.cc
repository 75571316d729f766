// The whole diagnosis: one cause, its consequences, and a verdict for every hang.
#include <gtest/gtest.h>

#include "analyzer/detectors/registry.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

// Both ranks hang in the first call of their only replay.
class Diagnosis : public testing::Test {
 protected:
  Index HangOn(uint32_t rank, uint32_t arrivals = 8) {
    return world.Hang(world.Replay(world.AddExec(rank, 1)), 0, arrivals);
  }
  void Alias(Index hang, uint32_t peer) {
    SlotState& slot = world.Slot(hang, peer, 3, 0, 2);
    slot.arrived = slot.words - 2;
  }
  void NotBegun(Index hang) {
    const uint32_t rank = world.model.workspaces[world.model.hangs[hang].workspace].rank;
    world.Slots(hang, rank);
  }
  Detection Detect() { return Diagnose(world.model); }

  World world;
};

TEST_F(Diagnosis, CleanWithoutRecords) {
  EXPECT_TRUE(Detect().findings.empty());
  EXPECT_TRUE(Detect().unchecked.empty());
  EXPECT_FALSE(HasFindings(Detect()));
}

TEST_F(Diagnosis, EqualFindingsOfTwoRanksAreOne) {
  for (uint32_t rank = 0; rank < 2; ++rank) {
    const Index hang = HangOn(rank);
    world.Slots(hang);
    Alias(hang, 1);
  }
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C1"});
  EXPECT_EQ(detection.findings[0].ranks, (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(detection.findings[0].hangs.size(), 2u);
  EXPECT_EQ(detection.findings[0].slots.size(), 2u);
  EXPECT_TRUE(HasFindings(detection));
}

TEST_F(Diagnosis, ARankThatWaitsForTheCulpritIsAConsequence) {
  const Index stalled = HangOn(1, 0);
  NotBegun(stalled);
  const Index waiting = HangOn(0);
  world.Slots(waiting, 1);
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C16"});
  ASSERT_EQ(detection.findings[0].consequences.size(), 1u);
  EXPECT_EQ(detection.findings[0].consequences[0].hang, waiting);
  EXPECT_EQ(detection.findings[0].consequences[0].rank, 0u);
}

TEST_F(Diagnosis, ConsequencesReachThroughAnotherRank) {
  World three{3};
  const auto hang_on = [&](uint32_t rank, uint32_t arrivals) {
    return three.Hang(three.Replay(three.AddExec(rank, 1)), 0, arrivals);
  };
  three.Slots(hang_on(0, 8), 1);
  three.Slots(hang_on(1, 8), 2);
  three.Slots(hang_on(2, 0), 2);
  const Detection detection = Diagnose(three.model);
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C16"});
  EXPECT_EQ(detection.findings[0].consequences.size(), 2u);
}

TEST_F(Diagnosis, ALaterReplayOfTheSameStreamIsAConsequence) {
  const Index first = HangOn(0);
  world.Slots(first);
  Alias(first, 1);
  world.Hang(world.Replay(world.AddExec(0, std::vector<Call>{})), 0, 0);
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C1"});
  ASSERT_EQ(detection.findings[0].consequences.size(), 1u);
  EXPECT_NE(detection.findings[0].consequences[0].text.find("queued behind"), std::string::npos);
}

TEST_F(Diagnosis, AHangWithoutAProvenCauseSaysWhatIsMissing) {
  const Index hang = HangOn(0);
  world.Slots(hang, 1);
  world.model.communicators[0].members[1] = kNone;
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"H0"});
  EXPECT_TRUE(HasFindings(detection));
  EXPECT_TRUE(Mentions(detection.findings[0].missing, "rank 1 left no trace"));
  EXPECT_EQ(detection.findings[0].hangs, std::vector<Index>{hang});
}

TEST_F(Diagnosis, SaysWhyTheEvidenceCouldNotBeRead) {
  const Index hang = HangOn(0);
  for (FlagsRead& read : world.model.hangs[hang].flags) read.status = trace::SideChannel::kTimedOut;
  EXPECT_TRUE(Mentions(Detect().findings.at(0).missing, "did not complete in its bound"));
}

TEST_F(Diagnosis, SaysWhenWordsStillMoved) {
  const Index hang = HangOn(0);
  world.Slot(hang, 1, 0, 4, 0).changed = 2;
  EXPECT_TRUE(Mentions(Detect().findings.at(0).evidence, "still changed"));
}

TEST_F(Diagnosis, SaysWhenNothingIsAwaitedAnyMore) {
  const Index hang = HangOn(0, 5);
  world.Slots(hang);
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.hazard, "H0");
  EXPECT_TRUE(Mentions(finding.evidence, "every awaited word has arrived"));
  EXPECT_TRUE(Mentions(finding.evidence, "arrivals 5 of 8"));
}

TEST_F(Diagnosis, AHangWithoutWorkspaceAndGraphHasAVerdictToo) {
  const Index exec = world.AddExec(0, std::vector<Call>{});
  world.model.graphs[0].complete = false;
  world.Hang(world.Replay(exec), 0, 0);
  EXPECT_EQ(Hazards(Detect()), std::vector<std::string>{"H0"});
}

TEST_F(Diagnosis, NamesTheKernelThatWasNotDecoded) {
  const Index exec = world.AddExec(0, std::vector<Call>{});
  world.model.graphs[0].complete = false;
  world.model.kernels[0].decoded = false;
  world.model.kernels[0].reason = "size 5";
  world.Hang(world.Replay(exec), 0, 0);
  EXPECT_TRUE(Mentions(Detect().findings.at(0).missing, "LAMPLIGHT_ABI"));
  EXPECT_TRUE(Mentions(Detect().unchecked, "was recognised but not decoded (size 5)"));
}

TEST_F(Diagnosis, ASlowReplayIsNoFinding) {
  const Index hang = HangOn(0);
  world.model.hangs[hang].ended = true;
  world.model.hangs[hang].ended_ns = world.model.hangs[hang].launched_ns + 11'000 * kMs;
  const Detection detection = Detect();
  ASSERT_EQ(detection.findings.size(), 1u);
  EXPECT_EQ(detection.findings[0].severity, Severity::kAdvisory);
  EXPECT_FALSE(HasFindings(detection));
}

TEST_F(Diagnosis, ADoubtGoesWhereAProvenCauseExplainsItsHang) {
  const Index stalled = HangOn(1, 0);
  NotBegun(stalled);
  const Index waiting = HangOn(0);
  world.Slots(waiting, 1);
  Alias(waiting, 1);
  EXPECT_EQ(Hazards(Detect()), std::vector<std::string>{"C16"});
}

TEST_F(Diagnosis, ADoubtStaysWhereNothingElseExplainsItsHang) {
  const Index waiting = HangOn(0);
  world.Slots(waiting, 1);
  Alias(waiting, 1);
  world.model.communicators[0].members[1] = kNone;
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C1"});
  EXPECT_EQ(detection.findings[0].confidence, Confidence::kPossible);
}

TEST_F(Diagnosis, AHangAfterAStaleIndexIsItsConsequence) {
  const Index exec = world.AddExec(0, 2);
  for (const uint32_t index : {2u, 0u, 1u}) world.Tail(world.Replay(exec), index);
  const Index hang = world.Hang(world.Replay(exec), 1, 8);
  world.Slots(hang, 1);
  world.model.processes[1].last_ns = 0;
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C3b"});
  EXPECT_EQ(detection.findings[0].consequences.size(), 1u);
}

TEST_F(Diagnosis, UnreadableEvidenceIsAttributedToAProvenCauseOfTheGroup) {
  const Index stalled = HangOn(1, 0);
  NotBegun(stalled);
  const Index blind = HangOn(0);
  world.model.hangs[blind].flags.clear();
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C16"});
  EXPECT_NE(detection.findings[0].consequences.at(0).text.find("could not be read"),
            std::string::npos);
}

TEST_F(Diagnosis, FindingsOfOtherGroupsExplainNothing) {
  const Index stalled = HangOn(1, 0);
  NotBegun(stalled);
  world.model.communicators.push_back({2, {kNone, kNone}, true, "another key"});
  world.model.workspaces[0].communicator = 1;
  const Index waiting = HangOn(0);
  world.Slots(waiting, 1);
  EXPECT_EQ(Hazards(Detect()), (std::vector<std::string>{"C16", "H0"}));
}

TEST_F(Diagnosis, AStallAfterAnOverlapIsItsConsequence) {
  const Index exec = world.AddExec(0, 2);
  world.model.graphs[0].edges.clear();
  NotBegun(world.Hang(world.Replay(exec), 0, 0));
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C9"});
  EXPECT_EQ(detection.findings[0].consequences.size(), 1u);
}

// The first call of two has moved the flags on; the second has not begun.
class BehindTheFlags : public Diagnosis {
 protected:
  BehindTheFlags() {
    hang = world.Hang(world.Replay(world.AddExec(0, 2)), 1, 0);
    world.Slots(hang, 0);
    MovedOnBy(world.tokens);
  }
  // The clear size that a one-shot call of both ranks leaves in the flags.
  void MovedOnBy(uint32_t tokens) {
    for (FlagsRead& read : world.model.hangs[hang].flags) {
      read.word[protocol::kClearBytes0] = tokens * world.dim * 2 * 2;
    }
  }
  SlotState& Dirty(uint32_t sentinel, uint32_t alias) {
    SlotState& slot = world.Slot(hang, 1, trace::kNoId, sentinel, alias);
    slot.role = trace::kSlotDirty;
    slot.arrived = slot.words - sentinel - alias;
    return slot;
  }
  void Compare(protocol::Compare compare) { world.model.kernels[0].compare = compare; }

  Index hang = kNone;
};

TEST_F(BehindTheFlags, AliasedWordsAreStillPolledByAFlushingKernel) {
  Compare(protocol::Compare::kFlushToZero);
  Dirty(0, 2);
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C1"});
  EXPECT_EQ(detection.findings[0].confidence, Confidence::kProven);
}

TEST_F(BehindTheFlags, OnlyPossibleWhereTheCompareIsUnknown) {
  Compare(protocol::Compare::kUnknown);
  Dirty(0, 2);
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C1"});
  EXPECT_EQ(detection.findings[0].confidence, Confidence::kPossible);
}

TEST_F(BehindTheFlags, AliasedWordsSayNothingOfABitwiseKernel) {
  Compare(protocol::Compare::kBitwise);
  Dirty(0, 2);
  EXPECT_EQ(Hazards(Detect()), std::vector<std::string>{"C16"});
}

TEST_F(BehindTheFlags, WordsOfAnotherCallSayNothing) {
  Compare(protocol::Compare::kFlushToZero);
  MovedOnBy(world.tokens / 2);
  Dirty(8, 2);
  EXPECT_EQ(Hazards(Detect()), std::vector<std::string>{"C16"});
}

TEST_F(BehindTheFlags, AbsentWordsAreStillAwaited) {
  Compare(protocol::Compare::kBitwise);
  Dirty(8, 0);
  EXPECT_EQ(Hazards(Detect()), std::vector<std::string>{"C10"});
}

TEST_F(BehindTheFlags, AWordThatChangedIsNotStuck) {
  Compare(protocol::Compare::kFlushToZero);
  Dirty(0, 2).changed = 1;
  EXPECT_NE(Hazards(Detect()), std::vector<std::string>{"C1"});
}

TEST_F(BehindTheFlags, ACompleteGenerationLeavesTheStallToThisRank) {
  Compare(protocol::Compare::kFlushToZero);
  Dirty(0, 0);
  EXPECT_EQ(Hazards(Detect()), std::vector<std::string>{"C16"});
}

// The same in a unicast workspace, whose flags hold one size, in elements.
class BehindUnicastFlags : public BehindTheFlags {
 protected:
  BehindUnicastFlags() {
    for (Workspace& workspace : world.model.workspaces) {
      workspace.flag_layout = trace::FlagLayout::kUnicast;
      workspace.flag_words = protocol::kUnicastWords;
    }
    for (Kernel& kernel : world.model.kernels) {
      kernel.algorithm = trace::Algorithm::kUnicastOneShot;
      kernel.flag_layout = trace::FlagLayout::kUnicast;
      kernel.compare = protocol::Compare::kBitwise;
    }
    WrittenBy(world.tokens);
  }
  void WrittenBy(uint32_t tokens) {
    for (FlagsRead& read : world.model.hangs[hang].flags) {
      read.words = protocol::kUnicastWords;
      read.word = {};
      read.word[protocol::kUnicastIndex] = 1;
      read.word[protocol::kUnicastGenerationBytes] = 1 << 17;
      read.word[protocol::kUnicastClearElements] = tokens * world.dim * 2;
    }
  }
};

TEST_F(BehindUnicastFlags, AbsentWordsAreStillAwaited) {
  Dirty(8, 0);
  EXPECT_EQ(Hazards(Detect()), std::vector<std::string>{"C10"});
}

TEST_F(BehindUnicastFlags, APeersWordsMayLieInOwnSlots) {
  for (SlotState& slot : world.model.hangs[hang].slots) {
    if (slot.peer == 0 && slot.token == 7) std::swap(slot.sentinel, slot.arrived);
  }
  Dirty(8, 0);
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C10"});
  for (const SlotWords& slot : detection.findings[0].slots) EXPECT_EQ(slot.peer, 1u);
}

TEST_F(BehindUnicastFlags, WordsOfAnotherCallSayNothing) {
  WrittenBy(world.tokens / 2);
  Dirty(8, 0);
  EXPECT_EQ(Hazards(Detect()), std::vector<std::string>{"C16"});
}

TEST_F(BehindUnicastFlags, ACompleteGenerationLeavesTheStallToThisRank) {
  Dirty(0, 0);
  EXPECT_EQ(Hazards(Detect()), std::vector<std::string>{"C16"});
}

TEST_F(Diagnosis, SaysWhenNoCollectiveWasSeen) {
  world.model.workspaces.clear();
  world.model.communicators.clear();
  EXPECT_TRUE(Mentions(Detect().unchecked, "no Lamport all-reduce was decoded"));
}

TEST_F(Diagnosis, StaleIndicesOfOtherGroupsExplainNothing) {
  const Index exec = world.AddExec(1, 2);
  for (const uint32_t index : {2u, 0u, 1u}) world.Tail(world.Replay(exec), index);
  world.model.communicators.push_back({2, {kNone, kNone}, true, "another key"});
  world.model.workspaces[0].communicator = 1;
  world.Slots(HangOn(0), 1);
  EXPECT_EQ(Hazards(Detect()), (std::vector<std::string>{"C3b", "H0"}));
}

TEST_F(Diagnosis, AReadableHangOfTheGroupIsNotBlamedOnACauseItDoesNotWaitFor) {
  NotBegun(HangOn(1, 0));
  world.Slots(HangOn(0));  // everything has arrived: not waiting for rank 1
  EXPECT_EQ(Hazards(Detect()), (std::vector<std::string>{"C16", "H0"}));
}

TEST_F(Diagnosis, AReplayBehindAnEagerCallIsAConsequence) {
  const Index first = world.EagerHang(world.Eager(0), 0, 8);
  world.Slots(first);
  Alias(first, 1);
  world.Hang(world.Replay(world.AddExec(0, std::vector<Call>{})), 0, 0);
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C1"});
  EXPECT_EQ(detection.findings[0].consequences.size(), 1u);
}

TEST_F(Diagnosis, LossesAreNeverSilent) {
  world.model.processes[1].snapshots_lost = true;
  EXPECT_TRUE(Mentions(Detect().unchecked, "pid 101: records were lost"));
}

TEST_F(Diagnosis, AFloodOfHangsIsBounded) {
  const Index replay = world.Replay(world.AddExec(0, 1));
  for (int i = 0; i < 300; ++i) world.Hang(replay, 0, 8);
  EXPECT_TRUE(Mentions(Detect().unchecked, "only the first 256 hangs of 300"));
}

// ---------------------------------------------------------------- processes that ended

// Rank 0 waits for rank 1, whose trace stops.
class SilentPeer : public Diagnosis {
 protected:
  SilentPeer() {
    world.Replay(world.AddExec(1, 1));
    hang = HangOn(0);
    world.Slots(hang, 1);
    peer().last_ns = world.model.hangs[hang].launched_ns;
  }
  Process& peer() { return world.model.processes[1]; }

  Index hang = kNone;
};

TEST_F(SilentPeer, IsNamedAndWhatToLookAt) {
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"H0"});
  const Finding& finding = detection.findings[0];
  EXPECT_EQ(finding.title,
            "A rank that others wait for has fallen silent: killed, crashed or stopped");
  EXPECT_EQ(finding.ranks, std::vector<uint32_t>{1});
  EXPECT_EQ(finding.hangs, std::vector<Index>{hang});
  EXPECT_NE(finding.summary.find("ends 10.0 s before the hang was noticed and was not closed"),
            std::string::npos);
  EXPECT_TRUE(Mentions(finding.actions, "dmesg"));
  EXPECT_TRUE(Mentions(finding.actions, "stopped: state T"));
  EXPECT_FALSE(Mentions(finding.actions, "LAMPLIGHT_MODE=journal"));
  EXPECT_FALSE(Mentions(finding.missing, "its own evidence does not tell"));
}

TEST_F(SilentPeer, IsOneThatWroteNothingForAWhile) {
  const auto title = [&] { return Detect().findings.at(0).title; };
  peer().closed = true;
  EXPECT_NE(title(), "A rank that others wait for has fallen silent: killed, crashed or stopped");
  peer().closed = false;
  peer().clock_aligned = false;
  EXPECT_EQ(title(), "Hang without a proven cause");
  peer().clock_aligned = true;
  peer().last_ns = world.model.hangs[hang].detected_ns - 2'000 * kMs;
  EXPECT_EQ(title().rfind("A rank that others wait for has fallen silent", 0), 0u);
  world.model.processes[0].last_ns = world.model.hangs[hang].detected_ns;  // too soon to tell
  EXPECT_NE(title().rfind("A rank that others wait for has fallen silent", 0), 0u);
  world.model.processes[0].last_ns += 60'000 * kMs;
  peer().last_ns = world.model.hangs[hang].detected_ns - 1'000 * kMs;
  EXPECT_NE(title(), "A rank that others wait for has fallen silent: killed, crashed or stopped");
}

TEST_F(SilentPeer, IsNoneOfAnEarlierRunNorOfAGuessedGroup) {
  const auto named = [&] {
    return Detect().findings.at(0).title.starts_with("A rank that others wait for has fallen");
  };
  ASSERT_TRUE(named());
  world.model.communicators[0].guessed = true;
  EXPECT_FALSE(named());
  world.model.communicators[0].guessed = false;
  world.model.processes[0].start_ns = peer().last_ns + 1;
  EXPECT_FALSE(named());
}

TEST_F(SilentPeer, OneThatNobodyWaitsForIsNotNamed) {
  for (SlotState& slot : world.model.hangs[hang].slots) {
    slot.arrived = slot.words;
    slot.sentinel = 0;
  }
  EXPECT_EQ(Detect().findings.at(0).title, "Hang without a proven cause");
}

TEST_F(SilentPeer, RanksThatWaitForAWaitingOneAreItsConsequence) {
  World three{3};
  const auto hang_on = [&](uint32_t rank) {
    return three.Hang(three.Replay(three.AddExec(rank, 1)), 0, 8);
  };
  three.Replay(three.AddExec(2, 1));
  const Index first = hang_on(1);
  three.Slots(first, 2);
  const Index second = hang_on(0);
  three.Slots(second, 1);
  three.model.processes[2].last_ns = three.now();
  const Detection detection = Diagnose(three.model);
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"H0"});
  EXPECT_EQ(detection.findings[0].hangs, std::vector<Index>{first});
  ASSERT_EQ(detection.findings[0].consequences.size(), 1u);
  EXPECT_EQ(detection.findings[0].consequences[0].hang, second);
}

TEST_F(Diagnosis, AdvisesWhatHasNotBeenDone) {
  world.Slots(HangOn(0, 5));
  EXPECT_TRUE(Mentions(Detect().findings.at(0).actions, "LAMPLIGHT_MODE=journal"));
  EXPECT_FALSE(Mentions(Detect().findings.at(0).actions, "traces of all ranks"));
  world.model.processes[0].mode = "journal";
  world.model.communicators[0].members[1] = kNone;
  EXPECT_FALSE(Mentions(Detect().findings.at(0).actions, "LAMPLIGHT_MODE=journal"));
  EXPECT_TRUE(Mentions(Detect().findings.at(0).actions, "traces of all ranks"));
}

// ---------------------------------------------------------------- what cannot cause a hang

TEST_F(Diagnosis, ArrivalsThatWereTakenOffAgainExplainNoHang) {
  Trouble trouble;
  trouble.process = trouble.workspace = 0;
  trouble.report.trouble = static_cast<uint32_t>(kernels::Trouble::kArrivalResidue);
  trouble.report.arrivals = 3;
  world.model.troubles.push_back(trouble);
  world.model.communicators[0].members[1] = kNone;
  world.Slots(HangOn(0), 1);
  EXPECT_EQ(Hazards(Detect()), (std::vector<std::string>{"C3b", "H0"}));
}

class BesideAnEarlyRead : public Diagnosis {
 protected:
  BesideAnEarlyRead() {
    for (uint32_t rank = 0; rank < 2; ++rank) {
      const Index exec = world.AddExec(rank, 2);
      world.model.graphs.back().early_reads.push_back(
          {1, 0, trace::EarlyOperand::kResidual, trace::EarlyRelation::kWrites, 0x1000, 64});
      world.Tail(world.Replay(exec), 2);
      hangs.push_back(world.Hang(world.Replay(exec), 2, 8));
    }
  }
  std::vector<Index> hangs;
};

TEST_F(BesideAnEarlyRead, AnUnreadableHangIsNotItsConsequence) {
  for (const Index hang : hangs) {
    for (FlagsRead& read : world.model.hangs[hang].flags) {
      read.status = trace::SideChannel::kBlocked;
    }
  }
  EXPECT_EQ(Hazards(Detect()), (std::vector<std::string>{"C8", "H0"}));
}

TEST_F(BesideAnEarlyRead, AWaitIsNotItsConsequence) {
  world.Slots(hangs[0], 1);
  world.Slots(hangs[1], 0);
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), (std::vector<std::string>{"C8", "H0"}));
  EXPECT_TRUE(detection.findings[0].consequences.empty());
}

// ---------------------------------------------------------------- behind a hang

TEST_F(Diagnosis, AReplayThatWaitsForAHungEagerCallIsAConsequence) {
  const Index call = world.Eager(0);
  const Index other = world.AddStream(0);
  world.OrderBy(trace::OrderKind::kEventRecord, 0, world.stream(0), 1, 1);
  world.OrderBy(trace::OrderKind::kStreamWait, 0, other, 1, 1);
  const Index exec = world.AddExec(0, std::vector<Call>{});
  world.model.graphs.back().nodes.push_back({0, 0, "sample(float*)", {}});
  const Index replay = world.Replay(exec, other);
  const Index first = world.EagerHang(call, 0, 8);
  world.Slots(first);
  Alias(first, 1);
  const Index behind = world.Hang(replay, 0, 0);
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C1"});
  ASSERT_EQ(detection.findings[0].consequences.size(), 1u);
  EXPECT_EQ(detection.findings[0].consequences[0].hang, behind);
}

TEST_F(Diagnosis, AReplayWithoutAnOrderBehindAHungEagerCallIsNone) {
  const Index call = world.Eager(0);
  const Index exec = world.AddExec(0, std::vector<Call>{});
  world.model.graphs.back().nodes.push_back({0, 0, "sample(float*)", {}});
  const Index replay = world.Replay(exec, world.AddStream(0));
  const Index first = world.EagerHang(call, 0, 8);
  world.Slots(first);
  Alias(first, 1);
  world.Hang(replay, 0, 0);
  EXPECT_EQ(Hazards(Detect()), (std::vector<std::string>{"C1", "C16"}));
}

TEST_F(Diagnosis, SaysWhereTheGraphIsAssumed) {
  const Index hang = HangOn(0);
  world.Slots(hang);
  Alias(hang, 1);
  EXPECT_FALSE(Mentions(Detect().findings.at(0).missing, "as it was captured"));
  world.model.execs[0].versions[0].assumed = true;
  EXPECT_TRUE(Mentions(Detect().findings.at(0).missing,
                       "whether exec 1 still ran graph 1 as it was captured"));
}

TEST_F(Diagnosis, RanksWithoutANumberAreNotNumbered) {
  for (Workspace& workspace : world.model.workspaces) {
    workspace.rank = kUnknown;
    workspace.communicator = kNone;
  }
  world.model.communicators.clear();
  HangOn(0, 0);
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.summary.find("4294967295"), std::string::npos) << finding.summary;
  EXPECT_EQ(finding.summary.rfind("Rank ? (pid 100)", 0), 0u) << finding.summary;
}

TEST_F(Diagnosis, ManyHangsOfLongTracesAreQuick) {
  const Index exec = world.AddExec(0, 2);
  for (uint32_t i = 0; i < 20'000; ++i) world.Tail(world.Replay(exec), (2 * i + 2) % 3);
  std::vector<Index> replays;
  for (int i = 0; i < 64; ++i) replays.push_back(world.Replay(exec));
  for (const Index replay : replays) world.Slots(world.Hang(replay, 1, 8), 1);
  EXPECT_FALSE(Detect().findings.empty());
}

}  // namespace
}  // namespace lamplight
