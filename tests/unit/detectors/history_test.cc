// Operation numbers, stuck calls and flag words.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "analyzer/detectors/flag_words.h"
#include "analyzer/detectors/hang_state.h"
#include "analyzer/detectors/history.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

TEST(FlagWords, FollowTheLayout) {
  const uint32_t words[9] = {1, 20, 2, 30, 40, 50, 60, 70, 80};
  using trace::FlagLayout;
  EXPECT_EQ(ReadFlagWords(FlagLayout::kEraA, words).arrivals, 30u);
  EXPECT_EQ(ReadFlagWords(FlagLayout::kEraB, words).arrivals, 40u);
  EXPECT_EQ(ReadFlagWords(FlagLayout::kEraC, words).arrivals, 80u);
  EXPECT_EQ(ReadFlagWords(FlagLayout::kEraC, words).index, 1u);
  EXPECT_EQ(ReadFlagWords(FlagLayout::kUnicast, words).index, 2u);
  EXPECT_EQ(ReadFlagWords(FlagLayout::kUnicast, words).arrivals, 1u);
  const uint32_t ours[] = {0, 2, 131072, 1, 0, 0, 0, 0, 5 * protocol::kArrivalStep};
  EXPECT_EQ(ReadFlagWords(FlagLayout::kEraC, ours).arrivals, 5u);
  EXPECT_FALSE(ReadFlagWords(FlagLayout::kUnknown, words).index);
}

TEST(FlagWords, ShortReadsHaveNoArrivals) {
  const uint32_t words[4] = {1, 0, 0, 0};
  EXPECT_EQ(ReadFlagWords(trace::FlagLayout::kEraC, words).index, 1u);
  EXPECT_FALSE(ReadFlagWords(trace::FlagLayout::kEraC, words).arrivals);
}

TEST(History, FindsAnOperationInsideAReplay) {
  World world;
  world.Eager(0);
  const Index replay = world.Replay(world.AddExec(0, 3));
  const auto operation = FindOperation(world.model, 0, 2);
  ASSERT_TRUE(operation);
  EXPECT_EQ(operation->replay, replay);
  EXPECT_EQ(operation->node, 1u);
  EXPECT_EQ(FindOperation(world.model, 0, 0)->eager, 0u);
  EXPECT_FALSE(FindOperation(world.model, 0, 4));
  EXPECT_EQ(EndOfOperations(world.model.workspaces[0]), 4u);
}

TEST(History, FindsTheAdvancingCallBehindOneThatDoesNot) {
  World world;
  Call half = world.MakeCall(0);
  half.flags = 0;
  world.Eager(0, half);
  const Index whole = world.Eager(0);
  world.Eager(0, half);
  ASSERT_TRUE(FindOperation(world.model, 0, 0));
  EXPECT_EQ(FindOperation(world.model, 0, 0)->eager, whole);
}

TEST(History, FindsTheSecondHalfOfAPair) {
  World world;
  Call half = world.MakeCall(0);
  half.flags = 0;
  world.Replay(world.AddExec(0, {half, world.MakeCall(0)}));
  ASSERT_TRUE(FindOperation(world.model, 0, 0));
  EXPECT_EQ(FindOperation(world.model, 0, 0)->node, 1u);
}

TEST(History, DoesNotFindLostOperations) {
  World world;
  for (int i = 0; i < 3; ++i) world.Eager(0);
  auto& timeline = world.model.workspaces[0].timeline;
  timeline.erase(timeline.begin() + 1);
  EXPECT_FALSE(FindOperation(world.model, 0, 1));
  EXPECT_TRUE(FindOperation(world.model, 0, 2));
}

TEST(History, ObservesHeadNodeAndTailAtTheirPlaces) {
  World world;
  const Index replay = world.Replay(world.AddExec(0, 3));
  world.Tail(replay, 0);
  world.Snap(replay, trace::SnapshotPlace::kNode, 2, 1);
  world.Snap(replay, trace::SnapshotPlace::kHead, 0);
  const std::vector<Observation> all = Observe(world.model, 0);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].position, 0u);
  EXPECT_EQ(all[1].position, 2u);
  EXPECT_EQ(all[2].position, 3u);
}

TEST(HangState, ItsOwnAbsentWordsAreNoPeers) {
  World world;
  const Index hang = world.Hang(world.Replay(world.AddExec(0, 1)), 0, 3);
  world.Slot(hang, 0, 0, 4, 0);
  world.Slot(hang, 1, 0, 4, 0);
  const RankState state = StatesOf(world.model, hang).at(0);
  EXPECT_EQ(state.progress, Progress::kWaiting);
  EXPECT_EQ(state.AbsentPeers(0), std::vector<uint32_t>{1});
}

// ---------------------------------------------------------------- stuck calls

class Stuck : public testing::Test {
 protected:
  std::vector<uint32_t> Nodes(Index hang) {
    result = FindStuckCalls(world.model, StatesOf(world.model, hang).at(0));
    std::vector<uint32_t> nodes;
    for (const Operation& operation : result.operations) nodes.push_back(operation.node);
    return nodes;
  }
  // What the flags keep of the call before.
  void Written(Index hang, std::array<uint32_t, 2> bytes) {
    for (FlagsRead& read : world.model.hangs[hang].flags) {
      std::ranges::copy(bytes, read.word.begin() + protocol::kClearBytes0);
    }
  }
  void Input(Index hang, uint32_t node, uint32_t equal) {
    const uint32_t generation = world.model.hangs[hang].flags[0].word[protocol::kCurrentIndex];
    world.model.hangs[hang].inputs.push_back({0, node, generation, 4, equal});
  }
  World world;
  StuckCalls result;
};

TEST_F(Stuck, OneNodeOfThree) {
  const Index exec = world.AddExec(0, 3);
  world.Tail(world.Replay(exec), 0);
  const Index hang = world.Hang(world.Replay(exec), 1, 8);
  EXPECT_EQ(Nodes(hang), std::vector<uint32_t>{1});
  EXPECT_TRUE(result.exact);
}

TEST_F(Stuck, EveryThirdNodeOfSeven) {
  const Index exec = world.AddExec(0, 7);
  const Index hang = world.Hang(world.Replay(exec), 1, 8);
  EXPECT_EQ(Nodes(hang), (std::vector<uint32_t>{1, 4}));
  EXPECT_FALSE(result.exact);
  EXPECT_TRUE(result.past_all);
}

TEST_F(Stuck, EagerCallsSinceTheLastSnapshotCount) {
  const Index exec = world.AddExec(0, 2);
  world.Tail(world.Replay(exec), 2);
  world.Eager(0);
  const Index hang = world.Hang(world.Replay(exec), 1, 8);
  EXPECT_EQ(Nodes(hang), std::vector<uint32_t>{1});
}

TEST_F(Stuck, AJournalLeavesOneNode) {
  world.model.processes[0].mode = "journal";
  const Index replay = world.Replay(world.AddExec(0, 7));
  world.Snap(replay, trace::SnapshotPlace::kHead, 0);
  world.Snap(replay, trace::SnapshotPlace::kNode, 1, 0);
  world.Snap(replay, trace::SnapshotPlace::kNode, 2, 1);
  EXPECT_EQ(Nodes(world.Hang(replay, 2, 8)), std::vector<uint32_t>{2});
  EXPECT_TRUE(result.exact);
}

TEST_F(Stuck, SlotExtentsNarrowTheNodes) {
  std::vector<Call> calls(7, world.MakeCall(0));
  calls[4].tokens = 2;
  const Index hang = world.Hang(world.Replay(world.AddExec(0, calls)), 1, 8);
  world.Slots(hang, 1);
  EXPECT_EQ(Nodes(hang), std::vector<uint32_t>{1});
  EXPECT_TRUE(result.exact);
}

TEST_F(Stuck, WithoutSentWordsExtentsSayNothing) {
  std::vector<Call> calls(7, world.MakeCall(0));
  calls[4].tokens = 2;
  const Index hang = world.Hang(world.Replay(world.AddExec(0, calls)), 1, 0);
  for (uint32_t token = 0; token < world.tokens; ++token) world.Slot(hang, 0, token, 32, 0);
  EXPECT_EQ(Nodes(hang), (std::vector<uint32_t>{1, 4}));
}

TEST_F(Stuck, TheSizeOfTheCallBeforeNarrowsTheNodes) {
  std::vector<Call> calls(7, world.MakeCall(0));
  calls[3].tokens = 2;
  const Index hang = world.Hang(world.Replay(world.AddExec(0, calls)), 1, 8);
  Written(hang, {8 * 64 * 2 * 2, 0});
  EXPECT_EQ(Nodes(hang), std::vector<uint32_t>{1});
  EXPECT_TRUE(Mentions(result.reasons, "1 of 2 candidates left out"));
  Written(hang, {2 * 64 * 2 * 2, 0});
  EXPECT_EQ(Nodes(hang), std::vector<uint32_t>{4});
}

TEST_F(Stuck, TheFirstNodeFollowsTheReplayBefore) {
  Call small = world.MakeCall(0);
  small.tokens = 2;
  for (int i = 0; i < 3; ++i) world.Eager(0, small);
  const Index hang = world.Hang(world.Replay(world.AddExec(0, 4)), 0, 8);
  Written(hang, {2 * 64 * 2 * 2, 0});
  EXPECT_EQ(Nodes(hang), std::vector<uint32_t>{0});
  Written(hang, {8 * 64 * 2 * 2, 0});
  EXPECT_EQ(Nodes(hang), std::vector<uint32_t>{3});
}

TEST_F(Stuck, TwoShotCallsKeepTheirSizeInTheSecondStage) {
  const Index kernel = world.AddKernel(0, trace::Algorithm::kRmsNorm);
  std::vector<Call> calls(7, world.MakeCall(0));
  for (Call& call : calls) call.kernel = kernel;
  calls[0].tokens = 2;
  const Index hang = world.Hang(world.Replay(world.AddExec(0, calls)), 1, 8);
  Written(hang, {4096, 2 * 64 * 2});
  EXPECT_EQ(Nodes(hang), std::vector<uint32_t>{1});
}

TEST_F(Stuck, SizesThatFitNoCallLeaveAllNodes) {
  const Index hang = world.Hang(world.Replay(world.AddExec(0, 7)), 1, 8);
  Written(hang, {12345, 0});
  EXPECT_EQ(Nodes(hang), (std::vector<uint32_t>{1, 4}));
  EXPECT_TRUE(result.reasons.empty());
}

TEST_F(Stuck, TheOneInputThatMatchesNarrowsTheNodes) {
  const Index hang = world.Hang(world.Replay(world.AddExec(0, 8)), 1, 8);
  world.Slots(hang, 1);
  for (const uint32_t node : {1u, 4u, 7u}) Input(hang, node, node == 4 ? 3 : 0);
  EXPECT_EQ(Nodes(hang), std::vector<uint32_t>{4});
  EXPECT_TRUE(result.exact);
  EXPECT_TRUE(Mentions(result.reasons, "2 of 3 candidates left out: their inputs"));
}

TEST_F(Stuck, ASharedInputTellsNothing) {
  const Index hang = world.Hang(world.Replay(world.AddExec(0, 8)), 1, 8);
  world.Slots(hang, 1);
  for (const uint32_t node : {1u, 4u, 7u}) Input(hang, node, 4);
  EXPECT_EQ(Nodes(hang), (std::vector<uint32_t>{1, 4, 7}));
  EXPECT_TRUE(result.reasons.empty());
}

TEST_F(Stuck, InputsThatDifferTellNothing) {
  const Index hang = world.Hang(world.Replay(world.AddExec(0, 8)), 1, 8);
  world.Slots(hang, 1);
  for (const uint32_t node : {1u, 4u, 7u}) Input(hang, node, 0);
  EXPECT_EQ(Nodes(hang), (std::vector<uint32_t>{1, 4, 7}));
}

TEST_F(Stuck, InputsThatMatchAnotherGenerationTellNothing) {
  const Index hang = world.Hang(world.Replay(world.AddExec(0, 8)), 1, 8);
  world.Slots(hang, 1);
  Input(hang, 4, 4);
  world.model.hangs[hang].inputs.back().generation = 0;
  EXPECT_EQ(Nodes(hang), (std::vector<uint32_t>{1, 4, 7}));
}

TEST_F(Stuck, BeforeTheRankHasSentAMatchTellsNothing) {
  const Index hang = world.Hang(world.Replay(world.AddExec(0, 8)), 1, 8);
  Input(hang, 4, 4);
  EXPECT_EQ(Nodes(hang), (std::vector<uint32_t>{1, 4, 7}));
}

TEST_F(Stuck, AllNodesWhereTheStartIsUnknown) {
  const Index exec = world.AddExec(0, 3);
  const Index replay = world.Replay(exec);
  for (Turn& turn : world.model.workspaces[0].timeline) turn.before = 50;
  world.model.replays[replay].ops[0].before = 50;
  EXPECT_EQ(Nodes(world.Hang(replay, 1, 8)), (std::vector<uint32_t>{0, 1, 2}));
}

TEST_F(Stuck, AllNodesWhereTheIndexFitsNone) {
  const Index exec = world.AddExec(0, 1);
  world.Tail(world.Replay(exec), 1);
  const Index hang = world.Hang(world.Replay(exec), 0, 8);
  EXPECT_EQ(Nodes(hang), std::vector<uint32_t>{0});
}

TEST_F(Stuck, NothingWhereTheLaunchRecordIsLost) {
  const Index hang = world.Hang(world.Replay(world.AddExec(0, 1)), 0, 8);
  world.model.hangs[hang].replay_index = kNone;
  EXPECT_TRUE(Nodes(hang).empty());
}

TEST_F(Stuck, HugeNumbersOfADamagedTraceEndSoon) {
  const Index exec = world.AddExec(0, 1);
  world.Tail(world.Replay(exec), 1);
  const Index replay = world.Replay(exec);
  Turn& turn = world.model.workspaces[0].timeline.back();
  turn.before = ~uint64_t{0} - 5;
  turn.ops = ~uint32_t{0};
  EXPECT_EQ(Nodes(world.Hang(replay, 1, 8)).size(), 1u);
}

TEST_F(Stuck, FindsTheEagerCall) {
  world.Eager(0);
  const Index eager = world.Eager(0);
  const Index hang = world.EagerHang(eager, 1, 8);
  Nodes(hang);
  ASSERT_EQ(result.operations.size(), 1u);
  EXPECT_EQ(result.operations[0].eager, eager);
  EXPECT_TRUE(result.exact);
}

TEST_F(Stuck, FindsTheEagerCallThatOthersWaitBehind) {
  const Index stuck = world.Eager(0);
  world.Eager(0);
  Nodes(world.EagerHang(world.Eager(0), 0, 8));
  ASSERT_EQ(result.operations.size(), 1u);
  EXPECT_EQ(result.operations[0].eager, stuck);
  EXPECT_TRUE(result.exact);
}

TEST_F(Stuck, AReplayInFrontIsNoEagerCallToLookAt) {
  world.Replay(world.AddExec(0, 1));
  const Index eager = world.Eager(0);
  Nodes(world.EagerHang(eager, 0, 8));
  ASSERT_EQ(result.operations.size(), 1u);
  EXPECT_EQ(result.operations[0].eager, eager);
  EXPECT_TRUE(result.guessed);
}

}  // namespace
}  // namespace lamplight
