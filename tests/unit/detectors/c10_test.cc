// C10: different calls under one number, calls that never came, and numbers that do not line up.
#include <gtest/gtest.h>

#include "analyzer/detectors/c10_divergence.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

// ---------------------------------------------------------------- different calls

class C10 : public testing::Test {
 protected:
  // One eager call on every rank; that of `odd` is changed.
  template <class Change>
  void Round(uint32_t odd, Change change) {
    for (uint32_t rank = 0; rank < world.model.processes.size(); ++rank) {
      Call call = world.MakeCall(rank);
      if (rank == odd) change(call);
      last.push_back(world.Eager(rank, call));
    }
  }
  void Round() {
    Round(kNone, [](Call&) {});
  }
  Detection Detect() { return DetectC10(world.model); }

  World world{3};
  std::vector<Index> last;
};

TEST_F(C10, ProvenWhenTokensDifferAndAHangFollows) {
  Round();
  Round(2, [](Call& call) { call.tokens = 9; });
  const Index hang = world.EagerHang(last.back(), 1, 9);
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C10"});
  const Finding& finding = detection.findings[0];
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.ranks, std::vector<uint32_t>{2});
  EXPECT_EQ(finding.place.operation, 1u);
  EXPECT_EQ(finding.hangs, std::vector<Index>{hang});
  EXPECT_TRUE(Mentions(finding.evidence, "rank 2 (pid 102): one-shot, 9 tokens x 64 bf16"));
}

TEST_F(C10, LikelyWithoutAHang) {
  Round(2, [](Call& call) { call.tokens = 9; });
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.confidence, Confidence::kLikely);
  EXPECT_FALSE(finding.missing.empty());
}

TEST_F(C10, NothingWhenAllCallsAgree) {
  Round();
  Round();
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C10, CallsThatDoNotAdvanceHaveNoNumberOfTheirOwn) {
  Call half = world.MakeCall(1);
  half.flags = 0;
  half.tokens = 3;
  world.Eager(1, half);
  Round();
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C10, AReplayEqualsTheSameCallsMadeEagerly) {
  world.Replay(world.AddExec(0, 2));
  for (int i = 0; i < 2; ++i) world.Eager(1);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C10, LostRecordsOnOneRankAreSkipped) {
  Round();
  Round(2, [](Call& call) { call.tokens = 9; });
  for (Index rank : {0u, 1u}) world.model.workspaces[rank].timeline.pop_back();
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C10, AllRanksAreNamedWhereNoCallIsMoreFrequent) {
  World two;
  Call call = two.MakeCall(1);
  call.tokens = 9;
  two.Eager(0);
  two.Eager(1, call);
  EXPECT_EQ(DetectC10(two.model).findings.at(0).ranks, (std::vector<uint32_t>{0, 1}));
}

TEST_F(C10, NumbersDoNotLineUpWhenAllRanksWentOn) {
  Round(2, [](Call& call) { call.tokens = 9; });
  for (int i = 0; i < 2; ++i) Round();
  for (uint32_t rank = 0; rank < 3; ++rank) {
    world.Tail(world.Replay(world.AddExec(rank, 1)), 1);
  }
  const Detection detection = Detect();
  EXPECT_TRUE(detection.findings.empty());
  EXPECT_TRUE(Mentions(detection.unchecked, "do not line up"));
}

TEST_F(C10, AHangInALaterReplayIsPastIt) {
  Round(2, [](Call& call) { call.tokens = 9; });
  Round();
  for (uint32_t rank = 0; rank < 3; ++rank) {
    world.Hang(world.Replay(world.AddExec(rank, 1)), 0, 8);
  }
  EXPECT_EQ(Detect().findings.size(), 1u);  // only one call lies between
  for (uint32_t rank = 0; rank < 3; ++rank) {
    world.model.hangs[rank].ended = true;
    world.Hang(world.Replay(rank), 1, 8);
  }
  const Detection detection = Detect();
  EXPECT_TRUE(detection.findings.empty());
  EXPECT_TRUE(Mentions(detection.unchecked, "do not line up"));
}

TEST_F(C10, AHungEagerCallSaysNothingOfThoseInFrontOfIt) {
  Round(2, [](Call& call) { call.tokens = 9; });
  for (int i = 0; i < 6; ++i) Round();
  for (size_t i = 0; i < 3; ++i) world.EagerHang(last[last.size() - 3 + i], 0, 8);
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kProven);
}

TEST_F(C10, RanksWhoseHostsHaveWaitedForLaterCallsWentOn) {
  Round(2, [](Call& call) { call.tokens = 9; });
  for (int i = 0; i < 4; ++i) Round();
  for (uint32_t rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(Detect().findings.size(), 1u);
    world.OrderBy(trace::OrderKind::kStreamSync, rank, world.stream(rank));
  }
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C10, RanksThatEndedInAnOrderlyWayWentOn) {
  Round(2, [](Call& call) { call.tokens = 9; });
  for (int i = 0; i < 4; ++i) Round();
  for (Process& process : world.model.processes) {
    EXPECT_EQ(Detect().findings.size(), 1u);
    process.closed = true;
  }
  EXPECT_TRUE(Detect().findings.empty());
}

// The shim has missed rank 1's first call; a hang much later.
TEST(C10Calls, OfOneOrderUnderOtherNumbersDoNotDiffer) {
  World world;
  for (uint32_t i = 0; i < 60; ++i) {
    for (uint32_t rank = 0; rank < 2; ++rank) {
      Call call = world.MakeCall(rank);
      call.tokens = (i + rank) % 7 + 1;
      const Index eager = world.Eager(rank, call);
      if (i == 59) world.Slots(world.EagerHang(eager, (i + rank) % 3, call.tokens), 1 - rank);
    }
  }
  const Detection detection = DetectC10(world.model);
  EXPECT_TRUE(detection.findings.empty());
  EXPECT_TRUE(Mentions(detection.unchecked, "the same calls under other numbers"));
}

// Calls with a period look shifted by it up to the one that differs.
TEST(C10Calls, WithAPeriodDivergeInTheLastOne) {
  World world;
  for (uint32_t i = 0; i < 40; ++i) {
    for (uint32_t rank = 0; rank < 2; ++rank) {
      Call call = world.MakeCall(rank);
      call.tokens = i == 39 && rank == 0 ? 5 : i % 2 == 0 ? 4 : 8;
      world.Eager(rank, call);
    }
  }
  const Detection detection = DetectC10(world.model);
  ASSERT_EQ(detection.findings.size(), 1u);
  EXPECT_EQ(detection.findings[0].place.operation, 39u);
}

TEST(C10Calls, ThatDifferFromSomeNumberOnDiverge) {
  World world;
  for (uint32_t i = 0; i < 60; ++i) {
    for (uint32_t rank = 0; rank < 2; ++rank) {
      Call call = world.MakeCall(rank);
      call.tokens = (i + (i >= 30 ? rank : 0)) % 7 + 1;  // rank 1 skips one
      world.Eager(rank, call);
    }
  }
  const Finding finding = DetectC10(world.model).findings.at(0);
  EXPECT_EQ(finding.place.operation, 30u);
}

TEST_F(C10, OnlyPossibleInAGuessedGroup) {
  world.model.communicators[0].guessed = true;
  Round(2, [](Call& call) { call.tokens = 9; });
  world.EagerHang(last.back(), 0, 9);
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kPossible);
}

TEST_F(C10, OnlyLikelyWhereAnExecMayHaveBeenUpdated) {
  Call other = world.MakeCall(2);
  other.tokens = 9;
  for (uint32_t rank = 0; rank < 2; ++rank) world.Replay(world.AddExec(rank, 1));
  const Index exec = world.AddExec(2, {other});
  world.Hang(world.Replay(exec), 0, 9);
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kProven);
  world.model.execs[exec].versions[0].assumed = true;
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.confidence, Confidence::kLikely);
  EXPECT_TRUE(Mentions(finding.missing, "older events were overwritten"));
}

TEST_F(C10, OneRankThatDidNotGoOnIsEnough) {
  Round(2, [](Call& call) { call.tokens = 9; });
  for (int i = 0; i < 2; ++i) Round();
  for (uint32_t rank = 0; rank < 2; ++rank) {
    world.Tail(world.Replay(world.AddExec(rank, 1)), 1);
  }
  EXPECT_EQ(Detect().findings.size(), 1u);
}

TEST_F(C10, SaysWhenTheGroupIsInferred) {
  world.model.communicators[0].certain = false;
  world.model.communicators[0].basis = "the folder";
  Round(2, [](Call& call) { call.tokens = 9; });
  EXPECT_TRUE(Mentions(Detect().findings.at(0).missing, "inferred: the folder"));
}

TEST_F(C10, HangsBeforeTheDivergenceAreNotExplained) {
  Round();
  const Index early = world.EagerHang(last.back(), 0, 8);
  Round(2, [](Call& call) { call.tokens = 9; });
  const Index late = world.EagerHang(last.back(), 1, 8);
  EXPECT_EQ(Detect().findings.at(0).hangs, std::vector<Index>{late});
  EXPECT_NE(early, late);
}

TEST(C10Calls, OnAReplaysSecondWorkspaceExplainItsHangToo) {
  World world;
  const std::vector<Index> second{world.AddWorkspace(0), world.AddWorkspace(1)};
  world.model.communicators.push_back({2, second, true, "another key"});
  std::vector<Index> hangs;
  for (uint32_t rank = 0; rank < 2; ++rank) {
    world.model.workspaces[second[rank]].communicator = 1;
    Call first = world.MakeCall(rank), other = first;
    other.workspace = second[rank];
    other.tokens += rank;
    hangs.push_back(world.Hang(world.Replay(world.AddExec(rank, {first, other})), 1, 0));
  }
  const Finding finding = DetectC10(world.model).findings.at(0);
  EXPECT_EQ(finding.place.communicator, 1u);
  EXPECT_EQ(finding.hangs, hangs);
}

TEST(C10Calls, EachDifferenceCounts) {
  const auto differs = [](auto change) {
    World world;
    Call call = world.MakeCall(1);
    change(world, call);
    world.Eager(0);
    world.Eager(1, call);
    return DetectC10(world.model).findings.size() == 1;
  };
  EXPECT_TRUE(differs([](World&, Call& call) { call.tokens = 1; }));
  EXPECT_TRUE(differs([](World&, Call& call) { call.dim = 1; }));
  EXPECT_TRUE(differs([](World& world, Call& call) {
    world.model.kernels[call.kernel].data_type = trace::DataType::kF16;
  }));
  EXPECT_TRUE(differs([](World& world, Call& call) {
    world.model.kernels[call.kernel].algorithm = trace::Algorithm::kTwoShot;
  }));
  EXPECT_FALSE(differs([](World&, Call& call) { call.grid[0] = 77; }));
  EXPECT_FALSE(differs([](World&, Call& call) { call.tokens = kUnknown; }));
  EXPECT_FALSE(differs([](World& world, Call& call) {
    world.model.kernels[call.kernel].data_type = trace::DataType::kUnknown;
  }));
}

// ---------------------------------------------------------------- a call that never came

// Rank 0 waits in its second call for rank 1, which has made one.
class C10Missing : public testing::Test {
 protected:
  C10Missing() {
    world.Eager(0);
    world.Eager(1);
    hang = world.EagerHang(world.Eager(0), 1, 8);
    world.Slots(hang, 1);
  }
  Process& peer() { return world.model.processes[1]; }
  Detection Detect() { return DetectC10(world.model); }

  World world;
  Index hang = kNone;
};

TEST_F(C10Missing, ProvenWhileThePeersTraceGoesOn) {
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C10"});
  const Finding& finding = detection.findings[0];
  EXPECT_EQ(finding.ranks, std::vector<uint32_t>{1});
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.hangs, std::vector<Index>{hang});
  EXPECT_TRUE(Mentions(finding.evidence, "1 operation recorded in all"));
}

TEST_F(C10Missing, ProvenWhenThePeerEndedInAnOrderlyWay) {
  peer().last_ns = 0;
  peer().closed = true;
  EXPECT_TRUE(Mentions(Detect().findings.at(0).evidence, "ended in an orderly way"));
}

TEST_F(C10Missing, NothingWhenThePeersTraceStopsEarly) {
  peer().last_ns = world.model.hangs[hang].launched_ns;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C10Missing, NothingWhenThePeerHasMadeTheCall) {
  world.Eager(1);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C10Missing, NotConcludedWhenThePeerHasKernelsThatWereNotDecoded) {
  const Index unknown = world.AddKernel(1, trace::Algorithm::kUnknown);
  world.model.kernels[unknown].decoded = false;
  const Detection detection = Detect();
  EXPECT_TRUE(detection.findings.empty());
  EXPECT_TRUE(Mentions(detection.unchecked, "were not decoded and may be it"));
}

TEST_F(C10Missing, OnlyPossibleInAGuessedGroup) {
  world.model.communicators[0].guessed = true;
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kPossible);
}

TEST_F(C10Missing, SaysWhenThePeersTraceEndsBeforeTheHangWasNoticed) {
  EXPECT_FALSE(Mentions(Detect().findings.at(0).evidence, "was killed"));
  peer().last_ns = world.model.hangs[hang].detected_ns - 4'000 * kMs;
  const Finding finding = Detect().findings.at(0);
  EXPECT_TRUE(Mentions(finding.evidence, "its trace ends 4.0 s before the hang was noticed"));
  EXPECT_NE(finding.actions.at(0).find("dmesg"), std::string::npos);
}

TEST_F(C10Missing, NothingWhenThePeersRecordsHaveGaps) {
  peer().events_lost = true;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C10Missing, NothingWhenThePeerHangsElsewhere) {
  const Index exec = world.AddExec(1, std::vector<Call>{});
  world.Hang(world.Replay(exec), 0, 0);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C10Missing, APeersHangThatEndedDoesNotCount) {
  const Index exec = world.AddExec(1, std::vector<Call>{});
  world.model.hangs[world.Hang(world.Replay(exec), 0, 0)].ended = true;
  EXPECT_EQ(Detect().findings.size(), 1u);
}

TEST_F(C10Missing, NothingWhenThePeerLeftNoTrace) {
  world.model.communicators[0].members[1] = kNone;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C10Missing, NothingWhenTheRankDoesNotWaitForThePeer) {
  for (SlotState& slot : world.model.hangs[hang].slots) {
    slot.arrived = slot.words;
    slot.sentinel = 0;
  }
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C10Missing, NothingWhenTheHangEnded) {
  world.model.hangs[hang].ended = true;
  EXPECT_TRUE(Detect().findings.empty());
}

}  // namespace
}  // namespace lamplight
