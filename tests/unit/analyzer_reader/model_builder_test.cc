// From records to the model: what each field means, what is joined with what, what losses forbid.
#include <gtest/gtest.h>

#include "tests/unit/analyzer_reader/model_fixture.h"

namespace lamplight {
namespace {

using testing::BuildScenario;
using testing::Draft;
using testing::Launch;
using testing::Mentions;
using testing::ModelBuilder;
using testing::Rank;
using testing::Scenario;
using testing::TraceBuilder;

TEST_F(ModelBuilder, DescribesTheProcessAndWhatItDefined) {
  const Model model = Build({BuildScenario(Rank(1))});
  ASSERT_EQ(model.processes.size(), 1u);
  const Process& process = model.processes[0];
  EXPECT_EQ(process.pid, 4001u);
  EXPECT_EQ(process.hostname, "host-a");
  EXPECT_EQ(process.command_line, "server --world 2");
  EXPECT_EQ(process.timeout_ms, 2000u);
  EXPECT_FALSE(process.closed);
  EXPECT_FALSE(process.events_lost || process.snapshots_lost || process.definitions_lost);
  EXPECT_EQ(process.events_since_ns, 0u);
  ASSERT_EQ(model.kernels.size(), 1u);
  EXPECT_TRUE(model.kernels[0].lamport && model.kernels[0].decoded);
  EXPECT_EQ(model.kernels[0].algorithm, trace::Algorithm::kOneShot);
  EXPECT_EQ(model.kernels[0].compare, protocol::Compare::kFlushToZero);
  EXPECT_NE(model.kernels[0].name.find("oneshotAllreduceFusionKernel<"), std::string::npos);
  ASSERT_EQ(model.devices.size(), 1u);
  EXPECT_EQ(model.devices[0].uuid, "GPU-00000000-0000-0000-0000-000000000002");
  ASSERT_EQ(model.sites.size(), 1u);
  EXPECT_EQ(model.sites[0].frames[0].symbol, "server::Capture(int)");
  EXPECT_TRUE(model.losses.empty());
}

TEST_F(ModelBuilder, GraphHasItsNodesEdgesAndLamportOrder) {
  const Model model = Build({BuildScenario({})});
  ASSERT_EQ(model.graphs.size(), 1u);
  const Graph& graph = model.graphs[0];
  EXPECT_TRUE(graph.complete);
  ASSERT_EQ(graph.nodes.size(), 3u);
  EXPECT_TRUE(graph.nodes[0].call.lamport());
  EXPECT_FALSE(graph.nodes[1].call.lamport());
  EXPECT_EQ(graph.nodes[1].name, "scale(float*, float)");
  EXPECT_EQ(graph.nodes[2].call.tokens, testing::kScenarioTokens);
  ASSERT_EQ(graph.edges.size(), 2u);
  EXPECT_TRUE(graph.edges[0].programmatic);
  ASSERT_EQ(model.execs.size(), 1u);
  ASSERT_EQ(model.execs[0].versions.size(), 1u);
  EXPECT_EQ(model.execs[0].versions[0].lamport_order, (std::vector<uint32_t>{0, 2}));
  EXPECT_EQ(model.execs[0].versions[0].calls.size(), 2u);
}

TEST_F(ModelBuilder, LamportOrderFollowsEdgesNotPositions) {
  TraceBuilder builder;
  trace::Graph graph = {};
  graph.graph_id = 1;
  graph.nodes = 3;
  builder.Define(graph);
  for (uint32_t position = 0; position < 3; ++position) {
    trace::Node node = {};
    node.graph_id = 1;
    node.node = position;
    node.call.kernel_id = 1;
    builder.Define(node);
  }
  for (const auto& [from, to] : {std::pair(2u, 0u), std::pair(0u, 1u)}) {
    trace::Edge edge = {};
    edge.graph_id = 1;
    edge.from = from;
    edge.to = to;
    builder.Define(edge);
  }
  trace::Exec exec = {};
  exec.exec_id = 1;
  exec.graph_id = 1;
  builder.Define(exec);
  const Model model = Build({builder});
  EXPECT_EQ(model.execs[0].versions[0].lamport_order, (std::vector<uint32_t>{2, 0, 1}));
  // Its kernel was never defined: still a Lamport call, and the loss is told.
  EXPECT_TRUE(model.graphs[0].nodes[0].call.lamport());
  EXPECT_EQ(model.kernels[0].reason, "its definition is lost");
  EXPECT_TRUE(model.processes[0].definitions_lost);
}

TEST_F(ModelBuilder, MissingNodeOrDanglingEdgeMakesTheGraphIncomplete) {
  TraceBuilder builder;
  trace::Graph graph = {};
  graph.graph_id = 1;
  graph.nodes = 2;
  builder.Define(graph);
  trace::Node node = {};
  node.graph_id = 1;
  node.node = 1;
  builder.Define(node);
  trace::Edge edge = {};
  edge.graph_id = 1;
  edge.from = 0;
  edge.to = 1;
  builder.Define(edge);
  const Model model = Build({builder});
  EXPECT_FALSE(model.graphs[0].complete);
  EXPECT_TRUE(model.graphs[0].edges.empty());
}

TEST_F(ModelBuilder, TimelineHoldsEagerCallsAndReplaysByOperation) {
  const Model model = Build({BuildScenario({})});
  ASSERT_EQ(model.workspaces.size(), 1u);
  const auto& timeline = model.workspaces[0].timeline;
  ASSERT_EQ(timeline.size(), 7u);
  EXPECT_NE(timeline[0].eager, kNone);
  EXPECT_EQ(timeline[0].before, 0u);
  EXPECT_EQ(timeline[0].ops, 1u);
  for (size_t i = 1; i < timeline.size(); ++i) {
    EXPECT_NE(timeline[i].replay, kNone);
    EXPECT_EQ(timeline[i].eager, kNone);
    EXPECT_EQ(timeline[i].before, 1 + 2 * (i - 1));
    EXPECT_EQ(timeline[i].ops, 2u);
  }
}

TEST_F(ModelBuilder, ReplaysKnowTheirSnapshotsAndCompletion) {
  const Model model = Build({BuildScenario({})});
  ASSERT_EQ(model.replays.size(), 6u);
  for (size_t i = 0; i < 5; ++i) {
    const Replay& replay = model.replays[i];
    EXPECT_EQ(replay.number, i + 1);
    ASSERT_EQ(replay.snapshots.size(), 1u);
    EXPECT_EQ(model.snapshots[replay.snapshots[0]].replay, i + 1);
    EXPECT_EQ(replay.completed_ns, replay.launched_ns + 2'000'000);  // its ReplayDone
  }
  EXPECT_TRUE(model.replays[5].snapshots.empty());
  EXPECT_EQ(model.replays[5].completed_ns, 0u);
  EXPECT_EQ(model.execs[0].completed, 5u);
  EXPECT_EQ(model.workspaces[0].snapshots.size(), 5u);
}

TEST_F(ModelBuilder, SnapshotProvesOnlyTheReplaysBeforeIt) {
  TraceBuilder builder;
  builder.Event(Launch(1)).Event(Launch(2));
  trace::Snapshot snapshot = {};
  snapshot.exec_id = 1;
  snapshot.replay = 2;
  builder.Event(snapshot);
  const Model model = Build({builder});
  EXPECT_EQ(model.execs[0].completed, 1u);
  EXPECT_NE(model.replays[0].completed_ns, 0u);
  EXPECT_EQ(model.replays[1].completed_ns, 0u);
}

TEST_F(ModelBuilder, StreamSyncCompletesWhatItsThreadLaunchedThere) {
  trace::GraphLaunch other_thread = Launch(2);
  other_thread.header.tid = 200;
  trace::GraphLaunch other_stream = Launch(1);
  other_stream.exec_id = 2;
  other_stream.stream_id = 2;
  trace::Order sync = {};
  sync.kind = static_cast<uint32_t>(trace::OrderKind::kStreamSync);
  sync.stream_id = 1;
  TraceBuilder builder;
  builder.Event(Launch(1)).Event(other_thread).Event(other_stream).Event(sync).Event(Launch(3));
  const Model model = Build({builder});
  EXPECT_EQ(model.replays[0].completed_ns, model.orders[0].time_ns);
  for (size_t i = 1; i < 4; ++i) EXPECT_EQ(model.replays[i].completed_ns, 0u) << i;
}

TEST_F(ModelBuilder, DeviceSyncCompletesWhatItsThreadLaunchedOnThatDevice) {
  trace::Device device = {};
  device.device_id = 1;
  trace::Exec exec = {}, other_exec = {};
  exec.exec_id = 1;
  exec.device_id = 1;
  other_exec.exec_id = 2;
  other_exec.device_id = trace::kNoId;
  trace::GraphLaunch other_device = Launch(1);
  other_device.exec_id = 2;
  trace::GraphLaunch other_thread = Launch(3);
  other_thread.header.tid = 200;
  trace::GraphLaunch other_stream = Launch(2);
  other_stream.stream_id = 2;
  trace::Order sync = {};
  sync.kind = static_cast<uint32_t>(trace::OrderKind::kDeviceSync);
  sync.device_id = 1;
  TraceBuilder builder;
  builder.Define(device).Define(exec).Define(other_exec);
  builder.Event(Launch(1)).Event(other_stream).Event(other_device).Event(other_thread).Event(sync);
  const Model model = Build({builder});
  EXPECT_EQ(model.replays[0].completed_ns, model.orders[0].time_ns);
  EXPECT_EQ(model.replays[1].completed_ns, model.orders[0].time_ns);
  EXPECT_EQ(model.replays[2].completed_ns, 0u);
  EXPECT_EQ(model.replays[3].completed_ns, 0u);
}

TEST_F(ModelBuilder, PythonFramesBelongToTheirSite) {
  trace::PythonSite python = {};
  python.site_id = 1;
  python.frames = 2;
  TraceBuilder builder = BuildScenario({});
  builder.Define(Draft<trace::PythonSite>(python)
                     .PythonFrames(2)
                     .PythonFrame(0, "/app/model_runner.py", "capture_model", 812)
                     .PythonFrame(1, "/app/main.py", "<module>", 0));
  const Model model = Build({builder});
  ASSERT_EQ(model.sites.size(), 1u);
  ASSERT_EQ(model.sites[0].python.size(), 2u);
  EXPECT_EQ(model.sites[0].python[0].file, "/app/model_runner.py");
  EXPECT_EQ(model.sites[0].python[0].function, "capture_model");
  EXPECT_EQ(model.sites[0].python[0].line, 812u);
  EXPECT_TRUE(model.losses.empty());
}

TEST_F(ModelBuilder, PythonFramesOfALostSiteAreALoss) {
  trace::PythonSite python = {};
  python.site_id = 77;
  TraceBuilder builder;
  builder.Define(Draft<trace::PythonSite>(python));
  EXPECT_FALSE(Build({builder}).losses.empty());
}

TEST_F(ModelBuilder, InputMatchesBelongToTheirHang) {
  trace::InputMatch match = {};
  match.hang_id = 1;
  match.workspace_id = 1;
  match.node = 2;
  match.generation = 1;
  match.rows = 4;
  match.equal = 3;
  TraceBuilder builder = BuildScenario({});
  builder.Define(match);
  const Model model = Build({builder});
  ASSERT_EQ(model.hangs.size(), 1u);
  ASSERT_EQ(model.hangs[0].inputs.size(), 1u);
  EXPECT_EQ(model.hangs[0].inputs[0].workspace, 0u);
  EXPECT_EQ(model.hangs[0].inputs[0].node, 2u);
  EXPECT_EQ(model.hangs[0].inputs[0].equal, 3u);
}

TEST_F(ModelBuilder, SyncSaysNothingOfARefusedLaunchOrTheNextOfItsNumber) {
  trace::GraphLaunch refused = Launch(1);
  refused.returned_ns = 77;
  refused.status = 2;
  trace::Order sync = {};
  sync.kind = static_cast<uint32_t>(trace::OrderKind::kStreamSync);
  sync.stream_id = 1;
  TraceBuilder builder;
  builder.Event(Launch(1)).Event(refused).Event(sync).Event(Launch(1));
  const Model model = Build({builder});
  EXPECT_EQ(model.replays[0].completed_ns, 0u);
  EXPECT_EQ(model.replays[1].completed_ns, 0u);
}

TEST_F(ModelBuilder, RefusedLaunchNeverRanAndItsNumberIsUsedAgain) {
  TraceBuilder builder;
  trace::Workspace workspace = {};
  workspace.workspace_id = 1;
  workspace.world = 1;
  builder.Define(workspace);
  trace::GraphLaunch first = Launch(1);
  first.op[0] = {1, 1, 0};
  trace::GraphLaunch refused = first;
  refused.returned_ns = 77;
  refused.status = 2;
  builder.Event(first).Event(refused).Event(first);
  const Model model = Build({builder});
  ASSERT_EQ(model.replays.size(), 2u);
  EXPECT_EQ(model.replays[0].status, 2);
  EXPECT_EQ(model.replays[0].returned_ns, 77u);
  EXPECT_EQ(model.replays[1].status, 0);
  ASSERT_EQ(model.workspaces[0].timeline.size(), 1u);
  EXPECT_EQ(model.workspaces[0].timeline[0].replay, 1u);
}

TEST_F(ModelBuilder, UpdatesAndNodeParametersMakeVersionsFromTheNextReplayOn) {
  TraceBuilder builder = BuildScenario({});  // replays 1 to 6
  trace::NodeParams params = {};
  params.exec_id = 1;
  params.node = 2;
  params.call.kernel_id = 1;
  params.call.workspace_id = 1;
  params.call.tokens = 3;
  builder.Event(params).Event(Launch(7));
  params.call.tokens = 4;
  builder.Event(params);  // no replay between the two: one version
  params.call.tokens = 5;
  builder.Event(params).Event(Launch(8)).Event(params).Event(Launch(9));  // the same again: none
  trace::ExecUpdate update = {};
  update.exec_id = 1;
  update.graph_id = 1;
  builder.Event(update).Event(Launch(10));
  update.status = 910;  // refused: the exec stays
  builder.Event(update).Event(Launch(11));
  const Model model = Build({builder});
  const Exec& exec = model.execs[0];
  ASSERT_EQ(exec.versions.size(), 4u);
  EXPECT_EQ(exec.versions[1].from_replay, 7u);
  EXPECT_EQ(exec.versions[1].calls[1].tokens, 3u);
  EXPECT_EQ(exec.versions[2].from_replay, 8u);
  EXPECT_EQ(exec.versions[2].calls[1].tokens, 5u);
  EXPECT_EQ(exec.versions[3].from_replay, 10u);
  EXPECT_EQ(exec.versions[3].calls[1].tokens, testing::kScenarioTokens);
  EXPECT_EQ(model.replays.back().version, 3u);
  EXPECT_EQ(model.replays[5].version, 0u);
}

// As versions before 1.4 wrote it.
struct ShorterSlotState {
  trace::RecordHeader header;
  uint32_t fields[20];
};

TEST_F(ModelBuilder, SlotsTellMarksThatWereStored) {
  TraceBuilder builder = BuildScenario(Scenario());
  trace::SlotState slot = {};
  slot.header.type = static_cast<uint16_t>(trace::RecordType::kSlotState);
  slot.hang_id = 1;
  slot.sentinel = 6;
  slot.stored_sentinel = 5;
  slot.stored_leading = 2;
  std::fill(std::begin(slot.first_stored), std::end(slot.first_stored), trace::kNoId);
  slot.first_stored[0] = 8;
  builder.Define(slot);
  ShorterSlotState shorter = {};
  static_assert(sizeof shorter == 104);
  std::memcpy(&shorter, &slot, sizeof shorter);
  builder.Define(shorter);
  const Model model = Build({builder});
  EXPECT_TRUE(model.losses.empty());
  ASSERT_EQ(model.hangs.at(0).slots.size(), 4u);
  const SlotState& whole = model.hangs[0].slots[2];
  EXPECT_EQ(whole.stored, 5u);
  EXPECT_EQ(whole.stored_leading, 2u);
  EXPECT_EQ(whole.first_stored, std::vector<uint32_t>{8});
  const SlotState& older = model.hangs[0].slots[3];
  EXPECT_EQ(older.sentinel, 6u);
  EXPECT_EQ(older.stored, kUnknown);
  EXPECT_EQ(older.stored_leading, kUnknown);
  EXPECT_TRUE(older.first_stored.empty());
}

TEST_F(ModelBuilder, HangIsJoinedWithItsEvidence) {
  Scenario scenario;
  scenario.hang_ends = true;
  const Model model = Build({BuildScenario(scenario)});
  ASSERT_EQ(model.hangs.size(), 1u);
  const Hang& hang = model.hangs[0];
  EXPECT_EQ(hang.exec, 0u);
  EXPECT_EQ(hang.workspace, 0u);
  EXPECT_EQ(hang.replay_index, 5u);
  EXPECT_EQ(hang.flags.size(), 2u);
  ASSERT_EQ(hang.slots.size(), 2u);
  EXPECT_EQ(hang.slots[1].alias, 5u);
  EXPECT_EQ(hang.slots[1].first_alias, std::vector<uint32_t>{3});
  EXPECT_TRUE(hang.slots[1].first_sentinel.empty());
  ASSERT_EQ(hang.threads.size(), 1u);
  EXPECT_EQ(hang.threads[0].site, 0u);
  ASSERT_EQ(hang.texts.size(), 1u);
  EXPECT_EQ(hang.texts[0].text, "one word\nlooks absent");
  EXPECT_TRUE(hang.ended);
  EXPECT_NE(hang.ended_ns, 0u);
}

TEST_F(ModelBuilder, LossesForbidConclusionsThatTheyTouch) {
  struct Case {
    void (*damage)(trace::FileHeader&);
    bool events, snapshots, definitions;
  };
  const Case cases[] = {
      {[](trace::FileHeader& h) { h.events_dropped = 1; }, true, false, false},
      {[](trace::FileHeader& h) { h.snapshots_dropped = 1; }, false, true, false},
      {[](trace::FileHeader& h) { h.definitions_dropped = 1; }, false, false, true},
      {[](trace::FileHeader& h) { h.defs_bytes += 8; }, false, false, true},
  };
  for (const Case& expected : cases) {
    TraceBuilder builder = BuildScenario({});
    expected.damage(builder.header());
    const Model model = Build({builder});
    EXPECT_EQ(model.processes[0].events_lost, expected.events);
    EXPECT_EQ(model.processes[0].snapshots_lost, expected.snapshots);
    EXPECT_EQ(model.processes[0].definitions_lost, expected.definitions);
    ASSERT_EQ(model.losses.size(), 1u);
    EXPECT_EQ(model.losses[0].process, 0u);
    EXPECT_NE(model.losses[0].text.find("0.lamptrace: "), std::string::npos);
  }
}

TEST_F(ModelBuilder, OverwrittenEventsLeaveATimeSinceWhichAllAreThere) {
  TraceBuilder builder(4096);
  trace::Graph graph = {};
  graph.graph_id = 1;
  trace::Exec exec = {};
  exec.exec_id = 1;
  exec.graph_id = 1;
  builder.Define(graph).Define(exec);
  for (uint64_t i = 1; i <= 200; ++i) builder.Event(Launch(i));
  const Model model = Build({builder});
  EXPECT_EQ(model.processes[0].events_since_ns, model.replays.front().launched_ns);
  EXPECT_FALSE(model.processes[0].events_lost);
  ASSERT_EQ(model.losses.size(), 1u);
  EXPECT_EQ(model.losses[0].kind, LossKind::kEventsOverwritten);
  EXPECT_EQ(model.losses[0].count + model.replays.size(), 200u);
}

TEST_F(ModelBuilder, UnknownRecordsBecomeANote) {
  TraceBuilder builder = BuildScenario({});
  builder.header().minor = 3;
  trace::HangEnd future = {};
  future.header.type = 99;
  builder.Event(future);
  const Model model = Build({builder});
  EXPECT_TRUE(Mentions(model.notes, "1 records of types that this lamplight does not know"));
  EXPECT_TRUE(Mentions(model.notes, "format 1.3"));
  EXPECT_TRUE(model.losses.empty());
}

TEST_F(ModelBuilder, RankUnnamedByOneKernelIsLearntFromAnother) {
  TraceBuilder builder = BuildScenario(Rank(1));
  trace::Workspace workspace = {};
  workspace.workspace_id = 2;
  workspace.rank = trace::kNoId;
  workspace.world = trace::kNoId;
  builder.Define(workspace);
  trace::EagerLaunch eager = {};
  eager.call.kernel_id = 1;
  eager.call.workspace_id = 2;
  eager.call.rank = 1;
  eager.call.world = 2;
  builder.Event(eager);
  const Model model = Build({builder});
  EXPECT_EQ(model.workspaces[1].rank, 1u);
  EXPECT_EQ(model.workspaces[1].world, 2u);
}

TEST_F(ModelBuilder, UnreadableFilesAreLosses) {
  const Model model = BuildModel({}, {"x.lamptrace: not a\x1b trace"});
  ASSERT_EQ(model.losses.size(), 1u);
  EXPECT_EQ(model.losses[0].kind, LossKind::kFile);
  EXPECT_EQ(model.losses[0].text, "x.lamptrace: not a\\x1b trace");
}

// ---------------------------------------------------------------- updates that were overwritten

// An exec of two nodes, then `before`, then as many launches as overwrite all of that.
class Overwritten : public ModelBuilder {
 protected:
  Overwritten() : builder(4096) {
    trace::Graph graph = {};
    graph.graph_id = 1;
    graph.nodes = 2;
    trace::Workspace workspace = {};
    workspace.workspace_id = 1;
    workspace.world = 2;
    builder.Define(graph).Define(workspace);
    for (uint32_t position = 0; position < 2; ++position) {
      trace::Node node = {};
      node.graph_id = 1;
      node.node = position;
      node.call = CallOf(8);
      builder.Define(node);
    }
    trace::Exec exec = {};
    exec.exec_id = 1;
    exec.graph_id = 1;
    builder.Define(exec);
  }
  static trace::LamportCall CallOf(uint32_t tokens) {
    trace::LamportCall call = {};
    call.kernel_id = 1;
    call.workspace_id = 1;
    call.tokens = tokens;
    call.dim = 64;
    call.flags = trace::kCallAdvances;
    return call;
  }
  void Replays(int count, uint32_t ops = 2) {
    for (int i = 0; i < count; ++i) {
      trace::GraphLaunch launch = Launch(++replay);
      launch.op[0] = {1, ops, done};
      done += ops;
      builder.Event(launch);
    }
  }
  void Set(uint32_t node, uint32_t tokens) {
    trace::NodeParams params = {};
    params.exec_id = 1;
    params.node = node;
    params.call = CallOf(tokens);
    builder.Event(params);
  }
  void Update() {
    trace::ExecUpdate update = {};
    update.exec_id = 1;
    update.graph_id = 1;
    builder.Event(update);
  }

  TraceBuilder builder;
  uint64_t replay = 0;
  uint64_t done = 0;
};

TEST_F(Overwritten, NothingIsAssumedWhileAllEventsAreThere) {
  Replays(3);
  EXPECT_FALSE(Build({builder}).execs[0].versions[0].assumed);
}

TEST_F(Overwritten, TheFirstGraphIsAssumed) {
  Replays(200);
  const Model model = Build({builder});
  ASSERT_EQ(model.execs[0].versions.size(), 1u);
  EXPECT_TRUE(model.execs[0].versions[0].assumed);
  EXPECT_EQ(model.execs[0].versions[0].calls[0].tokens, 8u);
}

TEST_F(Overwritten, AnExecThatCameLaterIsKnown) {
  Replays(200);
  trace::Exec exec = {};
  exec.exec_id = 2;
  exec.graph_id = 1;
  builder.Define(exec);
  EXPECT_FALSE(Build({builder}).execs[1].versions[0].assumed);
}

TEST_F(Overwritten, WhatAnUpdatedExecRanBeforeIsNotKnown) {
  Replays(200);
  Update();
  Replays(2);
  const Model model = Build({builder});
  ASSERT_EQ(model.execs[0].versions.size(), 2u);
  EXPECT_EQ(model.execs[0].versions[0].graph, kNone);
  EXPECT_TRUE(model.execs[0].versions[0].calls.empty());
  EXPECT_FALSE(model.execs[0].versions[1].assumed);
  EXPECT_EQ(model.execs[0].versions[1].calls.size(), 2u);
}

TEST_F(Overwritten, WhatASetNodePassedBeforeIsNotKnown) {
  Replays(200);
  Set(0, 8);  // as the graph has it: it may have had another value in between
  Replays(1);
  Set(0, 5);
  Replays(1);
  const Model model = Build({builder});
  ASSERT_EQ(model.execs[0].versions.size(), 3u);
  EXPECT_EQ(model.execs[0].versions[0].calls[0].tokens, kUnknown);
  EXPECT_EQ(model.execs[0].versions[0].calls[1].tokens, 8u);
  EXPECT_EQ(model.execs[0].versions[1].calls[0].tokens, 8u);
  EXPECT_EQ(model.execs[0].versions[2].calls[0].tokens, 5u);
  EXPECT_TRUE(model.execs[0].versions[2].assumed);  // of the other node
}

TEST_F(Overwritten, AGraphWithOtherCallsThanWereCountedIsNotBelieved) {
  Replays(200, 3);
  EXPECT_TRUE(Build({builder}).execs[0].versions[0].calls.empty());
}

TEST_F(ModelBuilder, PastTheMostVersionsWhatIsSetIsUnknown) {
  constexpr uint32_t kNodes = 2'000;
  constexpr uint64_t kReplays = 2'100;  // more than 4,000,000 calls
  TraceBuilder builder(uint64_t{16} << 20);
  trace::Graph graph = {};
  graph.graph_id = 1;
  graph.nodes = kNodes;
  builder.Define(graph);
  trace::NodeParams params = {};
  params.exec_id = 1;
  params.call.kernel_id = 1;
  for (uint32_t position = 0; position < kNodes; ++position) {
    trace::Node node = {};
    node.graph_id = 1;
    node.node = position;
    node.call = params.call;
    node.call.tokens = 7;
    builder.Define(node);
  }
  trace::Exec exec = {};
  exec.exec_id = 1;
  exec.graph_id = 1;
  builder.Define(exec);
  for (uint64_t i = 1; i <= kReplays; ++i) {
    params.call.tokens = static_cast<uint32_t>(i);
    builder.Event(params).Event(Launch(i));
  }
  const Model model = Build({builder});
  const auto& versions = model.execs[0].versions;
  EXPECT_LT(versions.size(), kReplays);
  EXPECT_EQ(versions[versions.size() - 2].calls[0].tokens, versions.size() - 1);
  EXPECT_EQ(versions.back().calls[0].tokens, kUnknown);
  EXPECT_EQ(versions.back().calls[1].tokens, 7u);
  EXPECT_EQ(model.replays.back().version, versions.size() - 1);
  EXPECT_TRUE(Mentions(model.notes, "taken as unknown"));
}

}  // namespace
}  // namespace lamplight
