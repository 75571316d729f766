// C1: what proves sentinel aliasing, and what only resembles it.
#include <gtest/gtest.h>

#include "analyzer/detectors/c1_sentinel_aliasing.h"
#include "analyzer/detectors/hang_state.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

// Rank 0 hangs in its second replay with three aliased words of rank 1 in token 5.
class C1 : public testing::Test {
 protected:
  C1() {
    const Index exec = world.AddExec(0, 1);
    world.Tail(world.Replay(exec), 1);
    hang = world.Hang(world.Replay(exec), 1, 8);
    world.Slots(hang);
    slot().alias = 3;
    slot().arrived -= 3;
    slot().first_alias = {1, 7, 9};
  }
  SlotState& slot() { return world.model.hangs[hang].slots[world.tokens + 5]; }
  Hang& evidence() { return world.model.hangs[hang]; }
  Kernel& kernel() { return world.model.kernels[world.kernel(0)]; }
  Detection Detect() { return DetectC1(world.model); }
  void ExpectNothing() { EXPECT_TRUE(Detect().findings.empty()); }

  World world;
  Index hang = kNone;
};

TEST_F(C1, ProvenWhenAllWordsArrivedAndSomeAlias) {
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C1"});
  const Finding& finding = detection.findings.front();
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.severity, Severity::kHang);
  EXPECT_EQ(finding.ranks, std::vector<uint32_t>{0});
  EXPECT_EQ(finding.hangs, std::vector<Index>{hang});
  EXPECT_EQ(finding.place.replay, 2u);
  EXPECT_EQ(finding.place.operation, 1u);
  ASSERT_EQ(finding.place.nodes.size(), 1u);
}

TEST_F(C1, NamesPeerTokenAndWords) {
  const Finding finding = Detect().findings.at(0);
  ASSERT_EQ(finding.slots.size(), 1u);
  EXPECT_EQ(finding.slots[0].rank, 0u);
  EXPECT_EQ(finding.slots[0].peer, 1u);
  EXPECT_EQ(finding.slots[0].token, 5u);
  EXPECT_EQ(finding.slots[0].generation, 1u);
  EXPECT_EQ(finding.slots[0].positions, (std::vector<uint32_t>{1, 7, 9}));
}

TEST_F(C1, AdvisesByWhoseKernelItIs) {
  EXPECT_NE(Detect().findings.at(0).actions.at(0).find("Upgrade FlashInfer"), std::string::npos);
  kernel().descriptor = "tensorrt-llm-mnnvl-oneshot-C";
  kernel().compare = protocol::Compare::kUnknown;
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  for (const std::string& action : finding.actions) {
    EXPECT_EQ(action.find("FlashInfer"), std::string::npos) << action;
  }
  EXPECT_NE(finding.actions.at(0).find("FAST_MATH"), std::string::npos) << finding.actions.at(0);
}

TEST_F(C1, NothingWhenNoWordAliases) {
  slot().alias = 0;
  ExpectNothing();
}

TEST_F(C1, OnlyPossibleWhenOtherWordsAreAbsent) {
  world.Slot(hang, 1, 6, 2, 0);
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kPossible);
  EXPECT_FALSE(Detect().findings.at(0).missing.empty());
}

TEST_F(C1, NothingWhenASlotChangedBetweenTheReads) {
  slot().changed = 1;
  ExpectNothing();
}

TEST_F(C1, NothingWhenTheFlagsChangedBetweenTheReads) {
  evidence().flags[1].word[protocol::kArrivals] = 7;
  ExpectNothing();
}

TEST_F(C1, NothingWhenTheKernelHasNotBegun) {
  for (FlagsRead& read : evidence().flags) read.word[protocol::kArrivals] = 0;
  for (SlotState& own : evidence().slots) {
    if (own.peer != 0) continue;
    own.sentinel = own.words;
    own.arrived = 0;
  }
  ExpectNothing();
}

TEST_F(C1, NothingWhenTheKernelComparesBitwise) {
  kernel().compare = protocol::Compare::kBitwise;
  ExpectNothing();
}

TEST_F(C1, ProvenWhenTheCompareIsUnknown) {
  kernel().compare = protocol::Compare::kUnknown;
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kProven);
}

TEST_F(C1, NothingWhenTheReplayCompletedAfterAll) {
  evidence().ended = true;
  ExpectNothing();
}

TEST_F(C1, NothingWhenTheFlagsCouldNotBeRead) {
  evidence().flags[1].status = trace::SideChannel::kTimedOut;
  ExpectNothing();
}

TEST_F(C1, NothingWhenThereIsOneReadOnly) {
  evidence().flags.pop_back();
  ExpectNothing();
}

TEST_F(C1, NothingFromSlotsThatAreNotPolled) {
  slot().role = trace::kSlotCurrent;
  ExpectNothing();
}

TEST_F(C1, NothingFromTheNextGeneration) {
  slot().role = trace::kSlotNext | trace::kSlotAwaited;
  ExpectNothing();
}

TEST_F(C1, OnlyPossibleWhenItsOwnBlocksAreMissing) {
  for (FlagsRead& read : evidence().flags) read.word[protocol::kArrivals] = 5;
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kPossible);
}

TEST_F(C1, ProvenWhenTheExpectedArrivalsAreUnknown) {
  world.model.execs[0].versions[0].calls[0].expected_arrivals = 0;
  for (FlagsRead& read : evidence().flags) read.word[protocol::kArrivals] = 5;
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kProven);
}

TEST_F(C1, UsesPeerSumsWhereSingleSlotsWereLeftOut) {
  evidence().slots.clear();
  SlotState& own = world.Slot(hang, 0, kUnknown, 0, 0);
  own.words = own.arrived = 256;
  SlotState& peer = world.Slot(hang, 1, kUnknown, 0, 9);
  peer.words = 256;
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  ASSERT_EQ(finding.slots.size(), 1u);
  EXPECT_EQ(finding.slots[0].token, kUnknown);
  EXPECT_EQ(finding.slots[0].alias, 9u);
}

// ---------------------------------------------------------------- two-shot

// Rank 0 owns tokens 0, 2, 4, 6; scatter parts in stage 0, all tokens in stage 1.
class C1TwoShot : public testing::Test {
 protected:
  C1TwoShot() {
    Call reduce = world.MakeCall(0);
    reduce.kernel = world.AddKernel(0, trace::Algorithm::kTwoShot);
    reduce.flags = 0;
    Call norm = world.MakeCall(0);
    norm.kernel = world.AddKernel(0, trace::Algorithm::kRmsNorm);
    const Index exec = world.AddExec(0, {reduce, norm});
    hang = world.Hang(world.Replay(exec), 0, 8);
    for (uint32_t token = 0; token < 8; token += 2) {
      world.Slot(hang, 0, token, 0, 0, 0);
      world.Slot(hang, 1, token, 0, 0, 0);
    }
    for (uint32_t token = 0; token < 8; ++token) world.Slot(hang, token % 2, token, 0, 0, 1);
  }
  SlotState& Find(uint32_t stage, uint32_t peer, uint32_t token) {
    for (SlotState& slot : world.model.hangs[hang].slots) {
      if (slot.stage == stage && slot.peer == peer && slot.token == token) return slot;
    }
    return world.model.hangs[hang].slots.front();
  }
  void Alias(SlotState& slot, std::vector<uint32_t> positions) {
    slot.alias = static_cast<uint32_t>(positions.size());
    slot.arrived = slot.words - slot.alias;
    slot.first_alias = std::move(positions);
  }
  void Absent(SlotState& slot) {
    slot.sentinel = slot.words;
    slot.arrived = 0;
  }
  Detection Detect() { return DetectC1(world.model); }

  World world;
  Index hang = kNone;
};

TEST_F(C1TwoShot, ProvenInTheScatterStageWhileTheOwnBroadcastIsMissing) {
  Alias(Find(0, 1, 2), {3});
  Absent(Find(1, 0, 2));
  Absent(Find(1, 1, 1));  // the peer may be stuck as well
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  ASSERT_EQ(finding.place.nodes.size(), 1u);
  EXPECT_EQ(finding.place.nodes[0].position, 0u);
}

TEST_F(C1TwoShot, NothingFromAScatterThatWasPassed) {
  Alias(Find(0, 1, 2), {3});
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C1TwoShot, OnlyPossibleWhenOtherScatterWordsAreAbsent) {
  Alias(Find(0, 1, 2), {3});
  Absent(Find(0, 1, 4));
  Absent(Find(1, 0, 2));
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kPossible);
}

TEST_F(C1TwoShot, ProvenInTheBroadcastStageWhenAPolledWordAliases) {
  Alias(Find(1, 1, 3), {1, 4});
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  ASSERT_EQ(finding.place.nodes.size(), 1u);
  EXPECT_EQ(finding.place.nodes[0].position, 1u);
}

TEST_F(C1TwoShot, NothingWhenOnlyWordsAliasThatNobodyTests) {
  Alias(Find(1, 1, 3), {1, 6});
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C1TwoShot, LikelyWhenThePositionsAreNotAllRecorded) {
  Alias(Find(1, 1, 3), {1, 2, 3, 5});
  Find(1, 1, 3).alias = 6;
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kLikely);
}

TEST_F(C1TwoShot, OnlyPossibleInTheBroadcastStageWhenOthersAreAbsent) {
  Alias(Find(1, 1, 3), {4});
  Absent(Find(1, 1, 5));
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kPossible);
}

TEST_F(C1TwoShot, OnlyPossibleInTheBroadcastStageWhenItsOwnBlocksAreMissing) {
  Alias(Find(1, 1, 3), {4});
  for (FlagsRead& read : world.model.hangs[hang].flags) read.word[protocol::kArrivals] = 3;
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kPossible);
}

// ---------------------------------------------------------------- launches whose record is lost

class C1LostLaunch : public C1 {
 protected:
  C1LostLaunch() {
    evidence().replay_index = kNone;
    world.model.execs[0].replays.pop_back();
    world.model.workspaces[0].timeline.pop_back();
  }
};

TEST_F(C1LostLaunch, TheExecTellsTheKernel) {
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kProven);
  for (FlagsRead& read : evidence().flags) read.word[protocol::kArrivals] = 5;
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kPossible);
  kernel().compare = protocol::Compare::kBitwise;
  ExpectNothing();
}

TEST_F(C1LostLaunch, OnlyPossibleWhereTheExecDoesNotTellEither) {
  world.model.execs[0].versions[0].calls.clear();
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.confidence, Confidence::kPossible);
  EXPECT_TRUE(Mentions(finding.missing, "the record of its launch is lost"));
}

// ---------------------------------------------------------------- behind the flags of a two-shot

// Call 0 of a kernel that tests first words only is complete, call 1 has not begun. The broadcast
// of call 0 holds one aliased word for each token.
class C1BehindTwoShot : public testing::Test {
 protected:
  C1BehindTwoShot() {
    Kernel& kernel = world.model.kernels[0];
    kernel.algorithm = trace::Algorithm::kTwoShot;
    kernel.descriptor = "flashinfer-mnnvl-twoshot-C";
    hang = world.Hang(world.Replay(world.AddExec(0, 3)), 1, 0);
    for (FlagsRead& read : world.model.hangs[hang].flags) {
      read.word[protocol::kClearBytes0] = read.word[protocol::kClearBytes0 + 1] = 1024;
    }
    for (uint32_t stage = 0; stage < 2; ++stage) {
      for (uint32_t peer = 0; peer < 2; ++peer) {
        for (uint32_t token = 0; token < world.tokens; ++token) {
          world.Slot(hang, peer, token, world.dim / 2, 0, stage);
          SlotState& slot = world.Slot(hang, peer, token, 0, 0, stage);
          slot.role = trace::kSlotDirty;
          slot.generation = 0;
          slot.stored = slot.stored_leading = 0;
          if (stage == 0 || peer == 0) continue;
          slot.alias = 1;
          slot.arrived -= 1;
          slot.first_alias = {5};
        }
      }
    }
  }
  void ForEachAliased(void (*change)(SlotState&)) {
    for (SlotState& slot : world.model.hangs[hang].slots) {
      if (slot.alias > 0) change(slot);
    }
  }
  Detection Detect() { return DetectC1(world.model); }

  World world;
  Index hang = kNone;
};

TEST_F(C1BehindTwoShot, NothingWhenTheWordIsInNoPacketsFirstPlace) {
  EXPECT_TRUE(Detect().findings.empty());
  EXPECT_EQ(StatesOf(world.model, hang).at(0).progress, Progress::kNotBegun);
}

TEST_F(C1BehindTwoShot, ProvenWhenItIsAFirstWord) {
  ForEachAliased([](SlotState& slot) { slot.first_alias = {8}; });
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_NE(finding.summary.find("from rank 1, are"), std::string::npos) << finding.summary;
}

TEST_F(C1BehindTwoShot, ShowsTheFlagsAsTheyWereRead) {
  ForEachAliased([](SlotState& slot) { slot.first_alias = {8}; });
  EXPECT_TRUE(Mentions(Detect().findings.at(0).evidence, "unchanged: generation 1, arrivals 0"));
}

TEST_F(C1BehindTwoShot, OnlyPossibleWhenPositionsAreMissing) {
  ForEachAliased([](SlotState& slot) { slot.first_alias.clear(); });
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kPossible);
}

TEST_F(C1BehindTwoShot, EveryPlaceCountsWhereTheKernelTestsAll) {
  world.model.kernels[0].descriptor = "somebody's own";
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kProven);
}

}  // namespace
}  // namespace lamplight
