// C9: overlap inside graphs, between launches, on the arrivals word; and every order that excludes
// it.
#include <gtest/gtest.h>

#include "analyzer/detectors/c9_overlap.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

// ---------------------------------------------------------------- inside one graph

class C9Graph : public testing::Test {
 protected:
  C9Graph() { world.Replay(exec); }
  Graph& graph() { return world.model.graphs[0]; }
  Detection Detect() { return DetectC9(world.model); }

  World world;
  Index exec = world.AddExec(0, 2);
};

TEST_F(C9Graph, ProvenWithoutAPathBetweenTwoNodes) {
  graph().edges.clear();
  world.Replay(exec);
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C9"});
  EXPECT_EQ(detection.findings[0].confidence, Confidence::kProven);
  EXPECT_EQ(detection.findings[0].place.nodes.size(), 2u);
  EXPECT_EQ(detection.findings[0].occurrences, 2u);
}

TEST_F(C9Graph, NothingWithAnEdge) { EXPECT_TRUE(Detect().findings.empty()); }

TEST_F(C9Graph, NothingWithAProgrammaticEdge) {
  graph().edges[0].programmatic = true;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Graph, NothingWithAPathThroughAnotherNode) {
  graph().nodes.push_back({2, 0, "other", {}});
  graph().edges = {{0, 2, false}, {2, 1, false}};
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Graph, AnEdgeBackwardsIsNoPath) {
  graph().edges = {{1, 0, false}};
  EXPECT_EQ(Detect().findings.size(), 1u);
}

TEST_F(C9Graph, NothingConcludedFromAGraphWithMissingNodes) {
  graph().edges.clear();
  graph().complete = false;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Graph, NothingConcludedWhenDefinitionsWereLost) {
  graph().edges.clear();
  world.model.processes[0].definitions_lost = true;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Graph, OnlyLikelyWhereTheExecMayHaveBeenUpdated) {
  graph().edges.clear();
  world.model.execs[0].versions[0].assumed = true;
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kLikely);
}

TEST_F(C9Graph, NothingForDifferentWorkspaces) {
  graph().edges.clear();
  world.model.execs[0].versions[0].calls[1].workspace = world.AddWorkspace(0);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Graph, NothingForAGraphThatNeverRan) {
  graph().edges.clear();
  world.model.execs[0].replays.clear();
  EXPECT_TRUE(Detect().findings.empty());
}

// ---------------------------------------------------------------- between launches

// Rank 0 launches a replay on one stream and a call on another; rank 1 joins the first only later.
class C9Launch : public testing::Test {
 protected:
  C9Launch() : first(world.Replay(world.AddExec(0, 1))) {}
  void Second() { world.Eager(0, world.MakeCall(0), other); }
  void PeerJoins() {
    world.Replay(world.AddExec(1, 1));
    world.Eager(1);
  }
  void Finish() {
    Second();
    PeerJoins();
  }
  Detection Detect() { return DetectC9(world.model); }
  void ExpectOrdered() {
    EXPECT_TRUE(Detect().findings.empty());
    EXPECT_TRUE(Detect().unchecked.empty());
  }

  World world;
  Index other = world.AddStream(0);
  Index first;
};

TEST_F(C9Launch, ProvenWhenAPeerJoinsTheFirstAfterTheSecondWasLaunched) {
  Finish();
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C9"});
  EXPECT_EQ(detection.findings[0].confidence, Confidence::kProven);
  EXPECT_EQ(detection.findings[0].ranks, std::vector<uint32_t>{0});
  EXPECT_TRUE(Mentions(detection.findings[0].evidence, "rank 1 (pid 101) launched its part"));
}

TEST_F(C9Launch, NotConcludedWhenTheFirstMayHaveBeenOver) {
  PeerJoins();
  Second();
  const Detection detection = Detect();
  EXPECT_TRUE(detection.findings.empty());
  EXPECT_TRUE(Mentions(detection.unchecked, "without a recorded order"));
}

TEST_F(C9Launch, ClocksOfOtherHostsProveNothing) {
  world.model.processes[1].hostname = "elsewhere";
  Finish();
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Launch, OneBootIsOneHostWhateverItsName) {
  world.model.processes[0].boot = world.model.processes[1].boot = "0a";
  world.model.processes[1].hostname = "container";
  Finish();
  EXPECT_EQ(Detect().findings.size(), 1u);
  world.model.processes[1] = world.model.processes[0];
  world.model.processes[1].boot = "0b";
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Launch, PeersOfAGuessedGroupProveNothing) {
  world.model.communicators[0].guessed = true;
  Finish();
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Launch, ProvenWhenTheFirstNeverEnds) {
  PeerJoins();
  Second();
  world.Hang(first, 0, 8);
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kProven);
}

TEST_F(C9Launch, NotProvenByAHangThatEnded) {
  PeerJoins();
  Second();
  world.model.hangs[world.Hang(first, 0, 8)].ended = true;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Launch, ProvenWhenTheGpuEndsTheSecondBeforeTheFirst) {
  const Index second = world.Replay(world.AddExec(0, 1), other);
  world.Snap(second, trace::SnapshotPlace::kTail, 1);
  world.Pass(kMs);
  world.Snap(first, trace::SnapshotPlace::kTail, 1);
  EXPECT_EQ(Detect().findings.size(), 1u);
}

TEST_F(C9Launch, NotProvenWhenTheGpuEndsTheFirstBeforeTheSecond) {
  const Index second = world.Replay(world.AddExec(0, 1), other);
  world.Snap(first, trace::SnapshotPlace::kTail, 1);
  world.Pass(kMs);
  world.Snap(second, trace::SnapshotPlace::kTail, 2);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Launch, OrderedOnOneStream) {
  world.Eager(0);
  PeerJoins();
  ExpectOrdered();
}

TEST_F(C9Launch, OrderedByAnEvent) {
  world.OrderBy(trace::OrderKind::kEventRecord, 0, 0, 7, 1);
  world.OrderBy(trace::OrderKind::kStreamWait, 0, other, 7, 1);
  Finish();
  ExpectOrdered();
}

TEST_F(C9Launch, NotOrderedByAnEventOfBeforeTheFirst) {
  World fresh;
  const Index stream = fresh.AddStream(0);
  fresh.OrderBy(trace::OrderKind::kEventRecord, 0, 0, 7, 1);
  fresh.Replay(fresh.AddExec(0, 1));
  fresh.OrderBy(trace::OrderKind::kStreamWait, 0, stream, 7, 1);
  fresh.Eager(0, fresh.MakeCall(0), stream);
  fresh.Replay(fresh.AddExec(1, 1));
  EXPECT_EQ(DetectC9(fresh.model).findings.size(), 1u);
}

TEST_F(C9Launch, NotOrderedByAnEventBetweenTwoLaunchesOfItsStream) {
  World fresh;
  const Index stream = fresh.AddStream(0);
  const Index exec = fresh.AddExec(0, 1);
  fresh.Replay(exec);
  fresh.OrderBy(trace::OrderKind::kEventRecord, 0, 0, 7, 1);
  fresh.Replay(exec);
  fresh.OrderBy(trace::OrderKind::kStreamWait, 0, stream, 7, 1);
  fresh.Eager(0, fresh.MakeCall(0), stream);
  const Index peer = fresh.AddExec(1, 1);
  for (int i = 0; i < 2; ++i) fresh.Replay(peer);
  EXPECT_EQ(DetectC9(fresh.model).findings.size(), 1u);
}

TEST_F(C9Launch, NotOrderedByAWaitForAnEarlierSerial) {
  World fresh;
  const Index stream = fresh.AddStream(0);
  fresh.OrderBy(trace::OrderKind::kEventRecord, 0, 0, 7, 1);
  fresh.Replay(fresh.AddExec(0, 1));
  fresh.OrderBy(trace::OrderKind::kEventRecord, 0, 0, 7, 2);
  fresh.OrderBy(trace::OrderKind::kStreamWait, 0, stream, 7, 1);
  fresh.Eager(0, fresh.MakeCall(0), stream);
  fresh.Replay(fresh.AddExec(1, 1));
  EXPECT_EQ(DetectC9(fresh.model).findings.size(), 1u);
}

TEST_F(C9Launch, NotOrderedByAWaitOnAThirdStream) {
  world.OrderBy(trace::OrderKind::kEventRecord, 0, 0, 7, 1);
  world.OrderBy(trace::OrderKind::kStreamWait, 0, world.AddStream(0), 7, 1);
  Finish();
  EXPECT_EQ(Detect().findings.size(), 1u);
}

TEST_F(C9Launch, OrderedThroughAThirdStream) {
  const Index third = world.AddStream(0);
  world.OrderBy(trace::OrderKind::kEventRecord, 0, 0, 7, 1);
  world.OrderBy(trace::OrderKind::kStreamWait, 0, third, 7, 1);
  world.OrderBy(trace::OrderKind::kEventRecord, 0, third, 8, 1);
  world.OrderBy(trace::OrderKind::kStreamWait, 0, other, 8, 1);
  Finish();
  ExpectOrdered();
}

TEST_F(C9Launch, MayBeOrderedByAnEventWhoseRecordIsUnknown) {
  world.OrderBy(trace::OrderKind::kStreamWait, 0, other, 9, 4);
  Finish();
  ExpectOrdered();
}

TEST_F(C9Launch, OrderedByHostSynchronisation) {
  for (const trace::OrderKind kind : {trace::OrderKind::kStreamSync, trace::OrderKind::kDeviceSync,
                                      trace::OrderKind::kEventSync}) {
    World fresh;
    const Index stream = fresh.AddStream(0);
    fresh.Replay(fresh.AddExec(0, 1));
    fresh.OrderBy(trace::OrderKind::kEventRecord, 0, 0, 7, 1);
    fresh.OrderBy(kind, 0, 0, 7, 1);
    fresh.Eager(0, fresh.MakeCall(0), stream);
    fresh.Replay(fresh.AddExec(1, 1));
    EXPECT_TRUE(DetectC9(fresh.model).findings.empty()) << static_cast<int>(kind);
  }
}

TEST_F(C9Launch, NotOrderedBySynchronisingAnotherStream) {
  world.OrderBy(trace::OrderKind::kStreamSync, 0, other);
  Finish();
  EXPECT_EQ(Detect().findings.size(), 1u);
}

TEST_F(C9Launch, OrderRecordsOfOtherProcessesDoNotCount) {
  world.OrderBy(trace::OrderKind::kDeviceSync, 1, 1);
  Finish();
  EXPECT_EQ(Detect().findings.size(), 1u);
}

TEST_F(C9Launch, OrderedWhenTheFirstIsKnownComplete) {
  world.model.replays[first].completed_ns = world.now();
  Finish();
  ExpectOrdered();
}

TEST_F(C9Launch, OrderedByTheLegacyStream) {
  world.model.streams[0].flags = trace::kStreamLegacy;
  world.model.streams[other].flags = 0;
  Finish();
  ExpectOrdered();
}

TEST_F(C9Launch, TheLegacyStreamOfAnotherDeviceOrdersNothing) {
  world.model.streams[0].flags = trace::kStreamLegacy;
  world.model.streams[other].flags = 0;
  world.model.streams[other].device = 1;
  Finish();
  EXPECT_EQ(Detect().findings.size(), 1u);
}

TEST_F(C9Launch, NonBlockingStreamsDoNotFollowTheLegacyStream) {
  world.model.streams[0].flags = trace::kStreamLegacy;
  Finish();
  EXPECT_EQ(Detect().findings.size(), 1u);
}

TEST_F(C9Launch, OnlyLikelyBetweenBlockingStreams) {
  world.model.streams[0].flags = world.model.streams[other].flags = trace::kStreamUnknownFlags;
  Finish();
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kLikely);
}

TEST_F(C9Launch, NotConcludedWhenEventsWereDropped) {
  world.model.processes[0].events_lost = true;
  Finish();
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Launch, NotConcludedWhenEventsOfThatTimeWereOverwritten) {
  world.model.processes[0].events_since_ns = world.now() + 100 * kMs;
  Finish();
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Launch, MayBeOrderedByAWaitInsideTheSecondGraph) {
  const Index second = world.AddExec(0, 1);
  constexpr uint32_t kWaitEventNode = 6;
  world.model.graphs.back().nodes.push_back({1, kWaitEventNode, "", {}});
  world.Replay(second, other);
  world.Replay(world.AddExec(1, 1));
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C9Launch, CountsFurtherPairs) {
  Finish();
  world.Replay(0);
  Finish();
  EXPECT_EQ(Detect().findings.at(0).occurrences, 2u);
}

// ---------------------------------------------------------------- arrivals

class C9Arrivals : public testing::Test {
 protected:
  C9Arrivals() {
    const Index exec = world.AddExec(0, 1);
    world.Tail(world.Replay(exec), 1);
    replay = world.Replay(exec);
  }
  Detection Detect(uint32_t arrivals) {
    world.Slots(world.Hang(replay, 1, arrivals), 1);
    return DetectC9(world.model);
  }
  World world;
  Index replay = kNone;
};

TEST_F(C9Arrivals, ProvenWhenMoreArrivedThanTheLaunchHas) {
  const Detection detection = Detect(9);
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C9"});
  EXPECT_EQ(detection.findings[0].confidence, Confidence::kProven);
  EXPECT_EQ(detection.findings[0].hangs, std::vector<Index>{0});
}

TEST_F(C9Arrivals, NothingWhenAllArrived) { EXPECT_TRUE(Detect(8).findings.empty()); }

TEST_F(C9Arrivals, NothingWhenTheTargetIsUnknown) {
  world.model.execs[0].versions[0].calls[0].expected_arrivals = 0;
  EXPECT_TRUE(Detect(9).findings.empty());
}

TEST_F(C9Arrivals, OnlyPossibleWhenTheWordWasNotQuietBefore) {
  world.model.snapshots[0].word[protocol::kArrivals] = 1;
  EXPECT_EQ(Detect(9).findings.at(0).confidence, Confidence::kPossible);
}

TEST_F(C9Arrivals, NothingWhenTheHangEnded) {
  Detect(9);
  world.model.hangs[0].ended = true;
  EXPECT_TRUE(DetectC9(world.model).findings.empty());
}

TEST_F(C9Arrivals, NothingWhileTheWordMoves) {
  Detect(9);
  world.model.hangs[0].flags[0].word[protocol::kArrivals] = 8;
  EXPECT_TRUE(DetectC9(world.model).findings.empty());
}

}  // namespace
}  // namespace lamplight
