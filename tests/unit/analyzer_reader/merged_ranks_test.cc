// Several traces to one model: one clock, and the communicators that the ranks form.
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/analyzer_reader/model_fixture.h"

namespace lamplight {
namespace {

using testing::BuildScenario;
using testing::Draft;
using testing::Launch;
using testing::Mentions;
using testing::Rank;
using testing::Scenario;
using testing::TraceBuilder;

using MergedRanks = testing::ModelBuilder;

TEST_F(MergedRanks, OneBootIdMeansOneClock) {
  Scenario second = Rank(1);
  second.realtime_ns += 5;  // jitter of the anchors
  const Model model = Build({BuildScenario(Rank(0)), BuildScenario(second)});
  EXPECT_EQ(model.replays[0].launched_ns, model.replays[6].launched_ns);
  EXPECT_TRUE(model.notes.empty());
}

TEST_F(MergedRanks, HostsAreAlignedByWallClockAndTheErrorIsTold) {
  Scenario second = Rank(1);
  second.boot = 2;
  second.host = "host-b";
  second.start_ns = 51'000'000'000;  // booted 50 s earlier
  second.realtime_ns -= 50'000'000'000;
  const Model model = Build({BuildScenario(Rank(0)), BuildScenario(second)});
  EXPECT_EQ(model.replays[0].launched_ns, model.replays[6].launched_ns);
  EXPECT_TRUE(Mentions(model.notes, "aligned by wall-clock time"));
}

TEST_F(MergedRanks, ClockWithoutAnchorIsNotAligned) {
  TraceBuilder bare;
  bare.Event(Launch(1));
  const Model model = Build({BuildScenario(Rank(0)), bare});
  EXPECT_TRUE(Mentions(model.notes, "its clock cannot be aligned"));
}

TEST_F(MergedRanks, RanksOfOneJobAreOneCommunicator) {
  const Model model = Build({BuildScenario(Rank(1)), BuildScenario(Rank(0))});
  ASSERT_EQ(model.communicators.size(), 1u);
  EXPECT_EQ(model.communicators[0].world, 2u);
  EXPECT_EQ(model.communicators[0].members, (std::vector<Index>{1, 0}));
  EXPECT_TRUE(model.communicators[0].certain);
  EXPECT_NE(model.communicators[0].basis.find("job job-1"), std::string::npos);
  EXPECT_EQ(model.workspaces[0].communicator, 0u);
  EXPECT_TRUE(model.notes.empty());
}

TEST_F(MergedRanks, AbsentRankIsTold) {
  const Model model = Build({BuildScenario(Rank(1))});
  ASSERT_EQ(model.communicators.size(), 1u);
  EXPECT_EQ(model.communicators[0].members, (std::vector<Index>{kNone, 0}));
  EXPECT_FALSE(model.communicators[0].certain);
  EXPECT_NE(model.communicators[0].basis.find("1 rank left no workspace"), std::string::npos);
}

TEST_F(MergedRanks, DifferentJobsAreDifferentCommunicators) {
  Scenario other = Rank(1);
  other.job = "job-2";
  const Model model = Build({BuildScenario(Rank(0)), BuildScenario(other)});
  EXPECT_EQ(model.communicators.size(), 2u);
}

Scenario Launched(uint32_t rank, int32_t env_rank) {
  Scenario scenario = Rank(rank);
  scenario.pid = 4000 + static_cast<uint32_t>(env_rank);
  scenario.env_rank = env_rank;
  scenario.env_world = 4;
  return scenario;
}

TEST_F(MergedRanks, GroupsOfALargerWorldAreSplitByRankBlocks) {
  const Model model = Build({BuildScenario(Launched(0, 0)), BuildScenario(Launched(1, 1)),
                             BuildScenario(Launched(0, 2)), BuildScenario(Launched(1, 3))});
  ASSERT_EQ(model.communicators.size(), 2u);
  EXPECT_EQ(model.communicators[0].members, (std::vector<Index>{0, 1}));
  EXPECT_EQ(model.communicators[1].members, (std::vector<Index>{2, 3}));
  EXPECT_TRUE(model.communicators[1].certain);
}

TEST_F(MergedRanks, StridedGroupsOfALargerWorldAreSplitToo) {
  const Model model = Build({BuildScenario(Launched(0, 0)), BuildScenario(Launched(0, 1)),
                             BuildScenario(Launched(1, 2)), BuildScenario(Launched(1, 3))});
  ASSERT_EQ(model.communicators.size(), 2u);
  EXPECT_EQ(model.communicators[0].members, (std::vector<Index>{0, 2}));
  EXPECT_EQ(model.communicators[1].members, (std::vector<Index>{1, 3}));
}

TEST_F(MergedRanks, ReplicasWithoutRankVariablesAreAGuessAndSaySo) {
  std::vector<TraceBuilder> traces;
  for (uint32_t i = 0; i < 4; ++i) {
    Scenario scenario = Rank(i % 2);
    scenario.pid = 4000 + i;
    scenario.start_ns += i * 1'000'000'000ull;
    traces.push_back(BuildScenario(scenario));
  }
  const Model model = Build(traces);
  ASSERT_EQ(model.communicators.size(), 2u);
  EXPECT_EQ(model.communicators[0].members, (std::vector<Index>{0, 1}));
  EXPECT_EQ(model.communicators[1].members, (std::vector<Index>{2, 3}));
  EXPECT_FALSE(model.communicators[0].certain);
  EXPECT_TRUE(Mentions(model.notes, "which is a guess"));
}

// Of two servers with parents of their own, one has a rank that made no call.
TEST_F(MergedRanks, AServerThatLacksARankIsToldByItsParent) {
  std::vector<TraceBuilder> traces;
  for (uint32_t i = 0; i < 3; ++i) {
    Scenario scenario = Rank(i == 2 ? 0 : i);
    scenario.pid = 4000 + i;
    scenario.ppid = i == 2 ? 3998 : 3997;
    scenario.start_ns += (i == 2 ? 0 : i + 1) * 1'000'000'000ull;  // the incomplete one was first
    traces.push_back(BuildScenario(scenario));
  }
  const Model model = Build(traces);
  ASSERT_EQ(model.communicators.size(), 2u);
  std::set<std::vector<Index>> groups;
  for (const Communicator& communicator : model.communicators) {
    EXPECT_FALSE(communicator.guessed);
    groups.insert(communicator.members);
  }
  EXPECT_TRUE(groups.contains(std::vector<Index>{0, 1}));
}

TEST_F(MergedRanks, RecordedKeyOutweighsTheJob) {
  std::vector<TraceBuilder> traces;
  for (uint32_t i = 0; i < 4; ++i) {
    Scenario scenario = Rank(i / 2);
    scenario.pid = 4000 + i;
    TraceBuilder builder = BuildScenario(scenario);
    trace::Communicator communicator = {};
    communicator.communicator_id = 2;
    builder.Define(Draft<trace::Communicator>(communicator)
                       .String(&trace::Communicator::key, i % 2 == 0 ? "even" : "odd"));
    trace::Workspace workspace = {};
    workspace.workspace_id = 2;
    workspace.rank = i / 2;
    workspace.world = 2;
    workspace.communicator_id = 2;
    builder.Define(workspace);
    traces.push_back(builder);
  }
  const Model model = Build(traces);
  ASSERT_GE(model.communicators.size(), 2u);
  EXPECT_EQ(model.communicators[0].members, (std::vector<Index>{1, 5}));  // even: traces 0 and 2
  EXPECT_EQ(model.communicators[1].members, (std::vector<Index>{3, 7}));
  EXPECT_TRUE(model.communicators[0].certain);
}

TEST_F(MergedRanks, OneProcessMayHoldAllRanks) {
  TraceBuilder builder = BuildScenario(Rank(0));
  trace::Workspace workspace = {};
  workspace.workspace_id = 2;
  workspace.rank = 1;
  workspace.world = 2;
  workspace.flag_layout = static_cast<uint16_t>(trace::FlagLayout::kEraC);
  builder.Define(workspace);
  const Model model = Build({builder});
  ASSERT_EQ(model.communicators.size(), 1u);
  EXPECT_EQ(model.communicators[0].members, (std::vector<Index>{0, 1}));
}

TEST_F(MergedRanks, ImpossibleWorldBelongsToNoCommunicator) {
  TraceBuilder builder;
  trace::Workspace workspace = {};
  workspace.workspace_id = 1;
  workspace.world = 0xfffffffe;
  builder.Define(workspace);
  const Model model = Build({builder});
  EXPECT_TRUE(model.communicators.empty());
  EXPECT_EQ(model.workspaces[0].communicator, kNone);
  EXPECT_TRUE(Mentions(model.notes, "names no valid rank and world"));
}

TEST_F(MergedRanks, ACopyOfATraceIsLeftOut) {
  TraceBuilder older = BuildScenario(Rank(0));
  TraceBuilder newer = older;
  newer.Event(Launch(7));
  const Model model = Build({older, newer, BuildScenario(Rank(1))});
  ASSERT_EQ(model.processes.size(), 2u);
  EXPECT_NE(model.processes[0].file.find("1.lamptrace"), std::string::npos);
  ASSERT_EQ(model.communicators.size(), 1u);
  EXPECT_TRUE(model.communicators[0].certain);
  EXPECT_TRUE(Mentions(model.notes, "0.lamptrace was left out: it is of the same process as"));
}

TEST_F(MergedRanks, AProcessNumberThatComesAgainIsNoCopy) {
  Scenario again = Rank(0);
  again.start_ns += 1;
  EXPECT_EQ(Build({BuildScenario(Rank(0)), BuildScenario(again)}).processes.size(), 2u);
}

TEST_F(MergedRanks, AServerOnTwoHostsThatWasStartedTwiceIsTwoServers) {
  std::vector<TraceBuilder> traces;
  for (uint32_t round = 0; round < 2; ++round) {
    for (uint32_t rank = 0; rank < 4; ++rank) {
      Scenario scenario = Rank(rank);
      scenario.world = 4;
      scenario.pid = 100 + round * 10 + rank % 2;
      scenario.ppid = 3000 + round * 10 + rank / 2;
      scenario.host = rank < 2 ? "host-a" : "host-b";
      scenario.boot = rank < 2 ? 1 : 2;
      scenario.start_ns += round * 60'000'000'000ull;
      traces.push_back(BuildScenario(scenario));
    }
  }
  const Model model = Build(traces);
  ASSERT_EQ(model.communicators.size(), 2u);
  EXPECT_EQ(model.communicators[0].members, (std::vector<Index>{0, 1, 2, 3}));
  EXPECT_EQ(model.communicators[1].members, (std::vector<Index>{4, 5, 6, 7}));
  EXPECT_TRUE(model.communicators[0].guessed);
}

TEST_F(MergedRanks, ReplicasOfOneHostAreToldByTheirParents) {
  std::vector<TraceBuilder> traces;
  for (uint32_t i = 0; i < 4; ++i) {
    Scenario scenario = Rank(i % 2);
    scenario.pid = 4000 + i;
    scenario.ppid = 3000 + i / 2;
    traces.push_back(BuildScenario(scenario));
  }
  const Model model = Build(traces);
  ASSERT_EQ(model.communicators.size(), 2u);
  EXPECT_EQ(model.communicators[1].members, (std::vector<Index>{2, 3}));
  EXPECT_FALSE(model.communicators[1].guessed);
}

TEST_F(MergedRanks, JobsThatHaveEachOthersMissingRanksAreNoted) {
  std::vector<TraceBuilder> traces;
  for (uint32_t rank = 0; rank < 4; ++rank) {
    Scenario scenario = Rank(rank);
    scenario.world = 4;
    scenario.host = rank < 2 ? "host-a" : "host-b";
    scenario.job = rank < 2 ? "9f0a" : "77bc";
    traces.push_back(BuildScenario(scenario));
  }
  EXPECT_TRUE(Mentions(Build(traces).notes, "have exactly the ranks that the other lacks"));
  traces.pop_back();
  EXPECT_FALSE(Mentions(Build(traces).notes, "have exactly the ranks that the other lacks"));
}

TEST_F(MergedRanks, HostsAreKnownByTheirBoot) {
  Scenario other = Rank(1);
  other.boot = 2;
  const Model model = Build({BuildScenario(Rank(0)), BuildScenario(other)});
  EXPECT_EQ(model.processes[0].boot.substr(0, 2), "01");
  EXPECT_EQ(model.processes[1].boot.substr(0, 2), "02");
}

TEST_F(MergedRanks, AFloodOfWorkspacesIsBounded) {
  TraceBuilder builder = BuildScenario(Rank(0));
  for (uint32_t i = 0; i < 1500; ++i) {
    trace::Workspace workspace = {};
    workspace.workspace_id = 10 + i;
    workspace.world = 2;
    workspace.flag_layout = static_cast<uint16_t>(trace::FlagLayout::kEraC);
    builder.Define(workspace);
  }
  const Model model = Build({builder});
  EXPECT_EQ(model.communicators.size(), 1024u);
  EXPECT_TRUE(Mentions(model.notes, "only the first 1024 of 1501 workspaces of rank 0"));
}

}  // namespace
}  // namespace lamplight
