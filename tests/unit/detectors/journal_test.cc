// What our kernels' own snapshots tell: which call is stuck, also where nothing could be read, and
// what each rank finished last.
#include <gtest/gtest.h>

#include "analyzer/detectors/c10_divergence.h"
#include "analyzer/detectors/c3b_index_not_advanced.h"
#include "analyzer/detectors/hang_state.h"
#include "analyzer/detectors/last_finished.h"
#include "analyzer/replay_progress.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

using trace::SnapshotPlace;

class Journals : public ::testing::Test {
 protected:
  // All calls journal but those of `silent`.
  Index AddExec(uint32_t rank, size_t calls, std::vector<size_t> silent = {}) {
    std::vector<Call> all(calls, JournallingCall(rank));
    for (const size_t call : silent) all[call].flags &= ~trace::kCallJournals;
    return world.AddExec(rank, all);
  }
  Call JournallingCall(uint32_t rank) {
    Call call = world.MakeCall(rank);
    call.flags |= trace::kCallJournals;
    return call;
  }
  // The same, with marks.
  Index AddMarkingExec(uint32_t rank, size_t calls) {
    Call call = world.MakeCall(rank);
    call.flags |= trace::kCallMarks;
    return world.AddExec(rank, std::vector<Call>(calls, call));
  }
  void ReadMarks(Index hang) {
    const Hang& of = world.model.hangs[hang];
    world.model.execs[of.exec].marks_read_ns = of.detected_ns;
  }
  // The first `nodes` of the replay have told.
  void Tell(Index replay, uint32_t nodes) {
    const uint64_t before = world.model.replays[replay].ops.front().before;
    for (uint32_t node = 0; node < nodes; ++node) {
      world.Snap(replay, SnapshotPlace::kNode, static_cast<uint32_t>((before + node + 1) % 3),
                 node);
    }
  }
  void Unread(Index hang) {
    for (FlagsRead& read : world.model.hangs[hang].flags) {
      read.status = trace::SideChannel::kTimedOut;
    }
  }
  std::vector<uint32_t> Nodes(Index hang) {
    stuck = FindStuckCalls(world.model, StatesOf(world.model, hang).front());
    std::vector<uint32_t> nodes;
    for (const Operation& operation : stuck.operations) nodes.push_back(operation.node);
    return nodes;
  }

  World world;
  StuckCalls stuck;
};

using Only = std::vector<uint32_t>;

TEST_F(Journals, LeaveOneNode) {
  const Index replay = world.Replay(AddExec(0, 7));
  Tell(replay, 2);
  EXPECT_EQ(Nodes(world.Hang(replay, 2, 8)), Only{2});
  EXPECT_TRUE(stuck.exact);
}

TEST_F(Journals, LeaveOneNodeWhereNothingCouldBeRead) {
  const Index replay = world.Replay(AddExec(0, 7));
  Tell(replay, 2);
  const Index hang = world.Hang(replay, 2, 8);
  Unread(hang);
  EXPECT_EQ(Nodes(hang), Only{2});
  EXPECT_TRUE(stuck.exact);
  EXPECT_FALSE(stuck.guessed);
}

// Marks lie in device memory: they tell what was there when they were read, and no more.
TEST_F(Journals, MarksThatWereReadLeaveOneNode) {
  const Index replay = world.Replay(AddMarkingExec(0, 7));
  Tell(replay, 2);
  const Index hang = world.Hang(replay, 2, 8);
  ReadMarks(hang);
  EXPECT_EQ(Nodes(hang), Only{2});
  EXPECT_TRUE(stuck.exact);
}

TEST_F(Journals, MarksThatWereNotReadLeaveAllThatTheFlagsMayMean) {
  const Index replay = world.Replay(AddMarkingExec(0, 7));
  Tell(replay, 2);
  EXPECT_EQ(Nodes(world.Hang(replay, 2, 8)), (Only{2, 5}));
}

TEST_F(Journals, MarksSayNothingOfWhatWasLaunchedAfterwards) {
  const Index exec = AddMarkingExec(0, 7);
  const Index first = world.Replay(exec);
  Tell(first, 7);
  ReadMarks(world.Hang(first, 1, 0));
  world.Pass(60'000 * kMs);
  const Index second = world.Replay(exec);
  Tell(second, 2);
  EXPECT_EQ(Nodes(world.Hang(second, 0, 8)), (Only{2, 5}));
}

TEST_F(Journals, OfTheReplayBeforeLeaveTheFirstNode) {
  const Index exec = AddExec(0, 7);
  Tell(world.Replay(exec), 7);
  const Index hang = world.Hang(world.Replay(exec), 1, 0);
  Unread(hang);
  EXPECT_EQ(Nodes(hang), Only{0});
}

TEST_F(Journals, OfNoCallYetLeaveTheFirst) {
  const Index hang = world.Hang(world.Replay(AddExec(0, 7)), 0, 8);
  EXPECT_EQ(Nodes(hang), Only{0});
}

TEST_F(Journals, SayNothingOfACallThatHasNone) {
  const Index replay = world.Replay(AddExec(0, 7, {2}));
  Tell(replay, 2);
  EXPECT_EQ(Nodes(world.Hang(replay, 2, 8)), (Only{2, 5}));
}

TEST_F(Journals, AreNotBelievedWhereTheFlagsAreAhead) {
  const Index replay = world.Replay(AddExec(0, 7));
  Tell(replay, 2);
  EXPECT_EQ(Nodes(world.Hang(replay, 0, 8)), (Only{3, 6}));
}

TEST_F(Journals, AreNotBelievedWhereSomeMayBeLostBehindThem) {
  const Index replay = world.Replay(AddExec(0, 7));
  Tell(replay, 2);
  world.model.processes[0].snapshots_lost = true;
  const Index hang = world.Hang(replay, 2, 8);
  EXPECT_EQ(Nodes(hang), Only{2}) << "nothing is lost behind the newest";
  Snapshot other = world.model.snapshots.back();
  other.workspace = world.AddWorkspace(0);
  world.model.snapshots.push_back(other);
  EXPECT_EQ(Nodes(hang), (Only{2, 5}));
}

TEST_F(Journals, NameTheOldestEagerCallThatHasNotEnded) {
  world.Eager(0, JournallingCall(0));
  const Index told = world.Eager(0, JournallingCall(0));
  world.SnapEager(told, 2);
  world.Eager(0, JournallingCall(0));
  const Index hang = world.EagerHang(world.Eager(0, JournallingCall(0)), 2, 8);
  Nodes(hang);
  ASSERT_EQ(stuck.operations.size(), 1u);
  EXPECT_EQ(stuck.operations[0].op, 2u);
}

TEST_F(Journals, PutAReplayPastItsCollectivesOnlyTogether) {
  const Index replay = world.Replay(AddExec(0, 3));
  Tell(replay, 2);
  EXPECT_FALSE(PastItsCollectives(world.model, replay));
  Tell(replay, 3);
  EXPECT_TRUE(PastItsCollectives(world.model, replay));
  EXPECT_FALSE(PastItsCollectives(world.model, replay, 0));
}

TEST_F(Journals, OfSomeCallsPutNoReplayPastItsCollectives) {
  const Index replay = world.Replay(AddExec(0, 3, {1}));
  Tell(replay, 3);
  EXPECT_FALSE(PastItsCollectives(world.model, replay));
}

// Only the newest mark is recorded.
TEST_F(Journals, TheLastMarkPutsAReplayPastItsCollectives) {
  const Index replay = world.Replay(AddMarkingExec(0, 3));
  world.Snap(replay, SnapshotPlace::kNode, 2, 1);
  EXPECT_FALSE(PastItsCollectives(world.model, replay));
  world.Snap(replay, SnapshotPlace::kNode, 0, 2);
  EXPECT_TRUE(PastItsCollectives(world.model, replay));
}

TEST_F(Journals, ShowAnIndexThatAnEagerCallDidNotAdvance) {
  const Index told = world.Eager(0, JournallingCall(0));
  world.SnapEager(told, 1);
  world.SnapEager(world.Eager(0, JournallingCall(0)), 1);
  EXPECT_EQ(Hazards(DetectC3b(world.model)), std::vector<std::string>{"C3b"});
}

TEST_F(Journals, LetEagerCallsAdvance) {
  for (uint32_t call = 1; call < 5; ++call) {
    world.SnapEager(world.Eager(0, JournallingCall(0)), call % 3);
  }
  EXPECT_TRUE(DetectC3b(world.model).findings.empty());
}

TEST_F(Journals, TellWhatEveryRankFinishedLast) {
  const Index hung = world.Replay(AddExec(0, 5));
  Tell(hung, 3);
  const Index other = world.Eager(1, JournallingCall(1));
  world.SnapEager(other, 1);
  Finding finding;
  finding.place.communicator = 0;
  AddLastFinished(world.model, &finding);
  ASSERT_EQ(finding.last_finished.size(), 2u);
  EXPECT_EQ(finding.last_finished[0].rank, 0u);
  EXPECT_EQ(finding.last_finished[0].node.position, 2u);
  EXPECT_EQ(finding.last_finished[0].replay, 1u);
  EXPECT_EQ(finding.last_finished[0].operation, 2u);
  EXPECT_EQ(finding.last_finished[1].rank, 1u);
  EXPECT_TRUE(finding.last_finished[1].node.eager);
  EXPECT_EQ(finding.last_finished[1].exec, kNone);
}

TEST_F(Journals, DoNotTellOfCallsBehindThatHaveNone) {
  const Index exec = world.AddExec(0, 2);
  world.Tail(world.Replay(exec), 2);
  Finding finding;
  finding.place.communicator = 0;
  AddLastFinished(world.model, &finding);
  EXPECT_EQ(finding.last_finished.size(), 1u) << "nothing was launched behind it";
  world.Replay(exec);
  finding.last_finished.clear();
  AddLastFinished(world.model, &finding);
  EXPECT_TRUE(finding.last_finished.empty());
}

// A mark that was read names an older call than a replay of another exec that has ended since.
TEST_F(Journals, OlderThanAReplayThatHasEndedAreNotTheLast) {
  const Index first = AddMarkingExec(0, 1), second = AddMarkingExec(0, 2);
  Tell(world.Replay(first), 1);
  const Index between = world.Replay(second);
  const Index hang = world.Hang(world.Replay(first), 0, 8);
  ReadMarks(hang);
  Finding finding;
  finding.place.communicator = 0;
  AddLastFinished(world.model, &finding);
  EXPECT_TRUE(finding.last_finished.empty()) << "the marks of the second exec were not read";
  world.model.replays[between].completed_ns = world.model.hangs[hang].detected_ns;
  AddLastFinished(world.model, &finding);
  ASSERT_EQ(finding.last_finished.size(), 1u);
  EXPECT_EQ(finding.last_finished[0].operation, 2u);
  EXPECT_EQ(finding.last_finished[0].gpu_ns, 0u) << "no snapshot says when";
}

TEST_F(Journals, LostBehindThemLeaveTheLastUnknown) {
  const Index replay = world.Replay(AddExec(0, 5));
  Tell(replay, 3);
  world.model.processes[0].snapshots_lost = true;
  Snapshot other = world.model.snapshots.back();
  other.workspace = world.AddWorkspace(0);
  world.model.snapshots.push_back(other);
  Finding finding;
  finding.place.communicator = 0;
  AddLastFinished(world.model, &finding);
  EXPECT_TRUE(finding.last_finished.empty());
}

TEST_F(Journals, ProveARankThatHasNotCalledWhereNothingCouldBeRead) {
  const Index replay = world.Replay(AddExec(0, 5));
  Tell(replay, 2);
  Unread(world.Hang(replay, 2, 8));
  Tell(world.Replay(AddExec(1, 2)), 2);
  const Detection detection = DetectC10(world.model);
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C10"});
  EXPECT_EQ(detection.findings[0].ranks, std::vector<uint32_t>{1});
  EXPECT_EQ(detection.findings[0].place.operation, 2u);
}

TEST_F(Journals, AloneCanProveThat) {
  const Index replay = world.Replay(world.AddExec(0, 1));
  Unread(world.Hang(replay, 0, 8));
  EXPECT_TRUE(DetectC10(world.model).findings.empty());
}

}  // namespace
}  // namespace lamplight
