// C3b: indices that do not fit the calls, and all that makes them look so.
#include <gtest/gtest.h>

#include <algorithm>

#include "analyzer/detectors/c3b_index_not_advanced.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

class C3b : public testing::Test {
 protected:
  // One replay of two calls that leaves `index`.
  Index Run(uint32_t index, uint32_t arrivals = 0) {
    const Index replay = world.Replay(exec);
    world.Tail(replay, index, arrivals);
    return replay;
  }
  Detection Detect() { return DetectC3b(world.model); }

  World world;
  Index exec = world.AddExec(0, 2);
};

TEST_F(C3b, NothingWhenTheIndexFitsEveryCall) {
  for (const uint32_t index : {2u, 1u, 0u, 2u}) Run(index);
  EXPECT_TRUE(Detect().findings.empty());
  EXPECT_TRUE(Detect().unchecked.empty());
}

TEST_F(C3b, ProvenWhenUpdatesAreLostTwice) {
  for (const uint32_t index : {2u, 0u, 2u, 0u}) Run(index);  // 2, 1 due; 1 due after 0: 2; then 1
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.hazard, "C3b");
  EXPECT_EQ(finding.severity, Severity::kSilent);
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.occurrences, 2u);
  EXPECT_EQ(finding.place.replay, 2u);
  EXPECT_EQ(finding.place.nodes.size(), 2u);
  EXPECT_NE(finding.summary.find("was lost inside a replay"), std::string::npos);
  EXPECT_TRUE(
      Mentions(finding.evidence,
               "index 2 after operation 2, then 2 advancing calls, exit index 0, expected 1"));
}

TEST_F(C3b, LikelyWhenItJumpsOnce) {
  for (const uint32_t index : {2u, 0u, 2u, 1u}) Run(index);
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.confidence, Confidence::kLikely);
  EXPECT_TRUE(Mentions(finding.missing, "initialised anew"));
}

// Single calls; the host sets the index to 0 ahead of these replays.
TEST_F(C3b, LikelyWhileAllJumpsFitANewInitialisation) {
  const Index single = world.AddExec(0, 1);
  const auto run = [&](int replays, std::vector<int> restarts) {
    uint32_t index = 0;
    for (int i = 0; i < replays; ++i) {
      if (std::ranges::find(restarts, i) != restarts.end()) index = 0;
      index = (index + 1) % 3;
      world.Tail(world.Replay(single), index);
    }
  };
  run(20, {7, 14});
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.occurrences, 2u);
  EXPECT_EQ(finding.confidence, Confidence::kLikely);
  EXPECT_TRUE(Mentions(finding.missing, "each of the jumps fits"));
  world.Tail(world.Replay(single), 2);  // 0 was due, and a new start would leave 1
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kProven);
}

TEST_F(C3b, ALaunchThatWasRefusedIsNotTheReplayOfItsNumber) {
  Run(2);
  lamplight::Replay refused = world.model.replays.back();
  refused.status = 2;
  refused.number = 2;
  refused.launched_ns = world.now();
  refused.ops[0].before = 2;
  refused.snapshots.clear();
  world.model.execs[exec].replays.push_back(static_cast<Index>(world.model.replays.size()));
  world.model.replays.push_back(refused);
  world.Eager(0);
  world.model.replays[Run(2)].number = 2;
  world.model.snapshots.back().replay = 2;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3b, ProvenWhenHeadAndTailOfOneReplayDisagree) {
  const Index replay = world.Replay(exec);
  world.Snap(replay, trace::SnapshotPlace::kHead, 0);
  world.Tail(replay, 1);
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kProven);
}

TEST_F(C3b, CountsEagerCallsInBetween) {
  Run(2);
  world.Eager(0);
  Run(2);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3b, MissesTheUpdateOfAnEagerCall) {
  Run(2);
  world.Eager(0);
  Run(1);
  const Finding finding = Detect().findings.at(0);
  EXPECT_NE(finding.summary.find("between two replays"), std::string::npos);
  EXPECT_TRUE(finding.place.nodes.empty());
}

TEST_F(C3b, CallsThatDoNotAdvanceAreNotCounted) {
  Call half = world.MakeCall(0);
  half.flags = 0;
  Run(2);
  world.Eager(0, half);
  Run(1);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3b, SaysWhenTheIndexMovedTooFar) {
  Run(2);
  Run(2);
  EXPECT_NE(Detect().findings.at(0).summary.find("moved further"), std::string::npos);
}

TEST_F(C3b, SpansReplaysWithoutSnapshot) {
  Run(2);
  world.Replay(exec);
  Run(0);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3b, IgnoresSnapshotsWhoseReplayIsNotRecorded) {
  Run(2);
  Run(0);
  world.model.snapshots.back().replay = 99;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3b, IgnoresWordsThatCannotBeAnIndex) {
  Run(2);
  Run(7);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3b, IgnoresLayoutsThatItDoesNotKnow) {
  world.model.workspaces[0].flag_layout = trace::FlagLayout::kUnknown;
  Run(2);
  Run(0);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3b, NotJudgedAcrossANewSize) {
  Run(2);
  Run(0);
  world.model.snapshots.back().word[protocol::kBytesPerBuffer] *= 2;
  const Detection detection = Detect();
  EXPECT_TRUE(detection.findings.empty());
  EXPECT_TRUE(Mentions(detection.unchecked, "initialised anew"));
}

TEST_F(C3b, NotJudgedWhereStreamsRanInAnotherOrder) {
  Run(2);
  const Index other = world.AddStream(0);
  world.Tail(world.Replay(exec, other), 0);  // there
  Run(0);                                    // and back: 6 calls leave 0
  const Detection detection = Detect();
  EXPECT_TRUE(detection.findings.empty());
  EXPECT_TRUE(Mentions(detection.unchecked, "another order"));
}

TEST_F(C3b, JumpsThereAndBackOnOneStreamAreJudged) {
  for (const uint32_t index : {2u, 0u, 0u}) Run(index);
  EXPECT_EQ(Detect().findings.at(0).occurrences, 2u);
}

TEST_F(C3b, NotConcludedBesideKernelsThatWereNotDecoded) {
  Run(2);
  Run(0);
  const Index unknown = world.AddKernel(0, trace::Algorithm::kOneShot);
  world.model.kernels[unknown].decoded = false;
  const Detection detection = Detect();
  EXPECT_TRUE(detection.findings.empty());
  EXPECT_TRUE(Mentions(detection.unchecked, "not decoded"));
}

TEST_F(C3b, UndecodedKernelsOfOtherProcessesDoNotMatter) {
  Run(2);
  Run(0);
  world.model.kernels[world.AddKernel(1, trace::Algorithm::kOneShot)].decoded = false;
  EXPECT_EQ(Detect().findings.size(), 1u);
}

TEST_F(C3b, ReadsTheIndexOfUnicastWorkspaces) {
  world.model.workspaces[0].flag_layout = trace::FlagLayout::kUnicast;
  for (const uint32_t index : {2u, 0u}) {
    const Index replay = world.Replay(exec);
    world.Tail(replay, 0);
    world.model.snapshots.back().word[2] = index;
  }
  EXPECT_EQ(Detect().findings.size(), 1u);
}

// ---------------------------------------------------------------- arrivals

TEST_F(C3b, ArrivalsLeftOverWhileQuiet) {
  Run(2);
  Run(1, 5);
  Run(0);
  const Finding finding = Detect().findings.at(0);
  EXPECT_NE(finding.title.find("Arrivals"), std::string::npos);
  EXPECT_EQ(finding.place.replay, 2u);
}

TEST_F(C3b, ArrivalsMayBeThoseOfTheNextCallOnAnotherStream) {
  Run(2);
  const Index replay = world.Replay(exec);
  world.Eager(0, world.MakeCall(0), world.AddStream(0));
  world.Tail(replay, 1, 5);  // drained after the eager launch
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3b, ArrivalsMayBeThoseOfAnEarlierCallOnAnotherStream) {
  Run(2);
  world.Eager(0, world.MakeCall(0), world.AddStream(0));
  Run(2, 5);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3b, ArrivalsInTheMiddleOfAReplayAreNormal) {
  const Index replay = world.Replay(exec);
  const Index snapshot = world.Snap(replay, trace::SnapshotPlace::kNode, 1, 0);
  world.model.snapshots[snapshot].word[protocol::kArrivals] = 4;
  world.Tail(replay, 2);
  EXPECT_TRUE(Detect().findings.empty());
}

}  // namespace
}  // namespace lamplight
