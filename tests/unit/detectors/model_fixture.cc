// One launch advances the clock by a millisecond; a tail snapshot is drained at once.
#include "tests/unit/detectors/model_fixture.h"

#include <algorithm>

namespace lamplight {

std::vector<std::string> Hazards(const Detection& detection) {
  std::vector<std::string> hazards;
  for (const Finding& finding : detection.findings) hazards.push_back(finding.hazard);
  return hazards;
}

bool Mentions(const std::vector<std::string>& lines, const std::string& text) {
  return std::ranges::any_of(
      lines, [&](const std::string& line) { return line.find(text) != std::string::npos; });
}

World::World(uint32_t ranks) {
  model.communicators.push_back({ranks, {}, true, "a key"});
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    Process process;
    process.pid = 100 + rank;
    process.hostname = "node";
    process.mode = "default";
    process.last_ns = 1'000'000 * kMs;
    model.processes.push_back(process);
    Device device;
    device.process = rank;
    device.name = "GPU";
    model.devices.push_back(device);
    AddStream(rank);
    AddKernel(rank, trace::Algorithm::kOneShot);
    Workspace workspace;
    workspace.process = workspace.device = workspace.rank = rank;
    workspace.world = ranks;
    workspace.flag_layout = trace::FlagLayout::kEraC;
    workspace.flag_words = 9;
    workspace.communicator = 0;
    model.workspaces.push_back(workspace);
    model.communicators[0].members.push_back(rank);
    ops_.push_back(0);
  }
}

Index World::AddStream(uint32_t rank, uint32_t flags) {
  const Index stream = static_cast<Index>(model.streams.size());
  model.streams.push_back({rank, rank, stream + 1, flags, 0});
  return stream;
}

Index World::AddWorkspace(uint32_t rank) {
  Workspace workspace = model.workspaces[rank];
  workspace.communicator = kNone;
  workspace.timeline.clear();
  workspace.snapshots.clear();
  model.workspaces.push_back(workspace);
  ops_.push_back(0);
  return static_cast<Index>(model.workspaces.size() - 1);
}

Index World::AddKernel(uint32_t rank, trace::Algorithm algorithm) {
  Kernel kernel;
  kernel.process = rank;
  kernel.algorithm = algorithm;
  kernel.data_type = trace::DataType::kBf16;
  kernel.flag_layout = trace::FlagLayout::kEraC;
  kernel.compare = protocol::Compare::kFlushToZero;
  kernel.lamport = kernel.decoded = true;
  kernel.symbol = "_Z6kernelv";
  kernel.name = "void ns::kernel<(unsigned char)2>(float*)";
  model.kernels.push_back(kernel);
  return static_cast<Index>(model.kernels.size() - 1);
}

Call World::MakeCall(uint32_t rank) const {
  Call call;
  call.kernel = kernel(rank);
  call.workspace = workspace(rank);
  call.tokens = tokens;
  call.dim = dim;
  call.rank = rank;
  call.world = static_cast<uint32_t>(model.processes.size());
  call.flags = trace::kCallAdvances;
  call.expected_arrivals = tokens;
  return call;
}

Index World::AddExec(uint32_t rank, std::vector<Call> calls) {
  const Index exec = static_cast<Index>(model.execs.size());
  Exec own;
  own.process = own.device = rank;
  own.id = exec + 1;
  model.execs.push_back(own);
  Update(exec, std::move(calls));
  return exec;
}

void World::Update(Index exec, std::vector<Call> calls) {
  const uint32_t rank = model.execs[exec].process;
  const Index index = static_cast<Index>(model.graphs.size());
  Graph graph;
  graph.process = rank;
  graph.id = index + 1;
  graph.stream = stream(rank);
  graph.complete = true;
  graph.declared_nodes = graph.declared_lamport_nodes = static_cast<uint32_t>(calls.size());
  ExecVersion version;
  version.graph = index;
  version.from_replay = model.execs[exec].replays.size() + 1;
  for (uint32_t i = 0; i < calls.size(); ++i) {
    graph.nodes.push_back({i, 0, model.kernels[calls[i].kernel].name, calls[i]});
    if (i > 0) graph.edges.push_back({i - 1, i, false});
    version.lamport_order.push_back(i);
  }
  version.calls = std::move(calls);
  model.graphs.push_back(std::move(graph));
  model.execs[exec].versions.push_back(std::move(version));
}

OpRange World::CountIn(Index workspace, uint32_t ops) {
  const OpRange range{workspace, ops_[workspace], ops};
  ops_[workspace] += ops;
  return range;
}

Index World::Replay(Index exec_index, Index stream_index) {
  Exec& exec = model.execs[exec_index];
  const Index index = static_cast<Index>(model.replays.size());
  lamplight::Replay replay;
  replay.exec = exec_index;
  replay.version = static_cast<Index>(exec.versions.size() - 1);
  replay.number = exec.replays.size() + 1;
  replay.stream = stream_index == kNone ? stream(exec.process) : stream_index;
  replay.launched_ns = now_;
  for (Index workspace = 0; workspace < model.workspaces.size(); ++workspace) {
    uint32_t ops = 0, calls = 0;
    for (const Call& call : exec.versions.back().calls) {
      if (call.workspace != workspace) continue;
      ++calls;
      ops += call.advances();
    }
    if (calls == 0) continue;
    replay.ops.push_back(CountIn(workspace, ops));
    model.workspaces[workspace].timeline.push_back(
        {replay.ops.back().before, ops, index, kNone, now_, replay.stream});
  }
  exec.replays.push_back(index);
  model.replays.push_back(std::move(replay));
  Pass(kMs);
  return index;
}

Index World::Eager(uint32_t rank, Call call, Index stream_index) {
  const Index index = static_cast<Index>(model.eager.size());
  EagerLaunch launch;
  launch.process = rank;
  launch.stream = stream_index == kNone ? stream(rank) : stream_index;
  launch.time_ns = now_;
  launch.op = CountIn(call.workspace, call.advances()).before;
  launch.call = call;
  model.workspaces[call.workspace].timeline.push_back(
      {launch.op, call.advances(), kNone, index, now_, launch.stream});
  model.eager.push_back(launch);
  Pass(kMs);
  return index;
}

Index World::Snap(Index replay_index, trace::SnapshotPlace place, uint32_t index, uint32_t node) {
  lamplight::Replay& replay = model.replays[replay_index];
  const Index snapshot_index = static_cast<Index>(model.snapshots.size());
  Snapshot snapshot;
  snapshot.exec = replay.exec;
  snapshot.workspace = replay.ops.front().workspace;
  snapshot.replay = replay.number;
  snapshot.gpu_ns = snapshot.time_ns = now_;
  snapshot.node = node;
  snapshot.place = place;
  snapshot.words = 9;
  snapshot.word[protocol::kCurrentIndex] = index;
  snapshot.word[protocol::kBytesPerBuffer] = 1 << 17;
  model.snapshots.push_back(snapshot);
  replay.snapshots.push_back(snapshot_index);
  model.workspaces[snapshot.workspace].snapshots.push_back(snapshot_index);
  return snapshot_index;
}

Index World::SnapEager(Index eager, uint32_t index) {
  const EagerLaunch& launch = model.eager[eager];
  const Index snapshot_index = static_cast<Index>(model.snapshots.size());
  Snapshot snapshot;
  snapshot.workspace = launch.call.workspace;
  snapshot.op = launch.op;
  snapshot.gpu_ns = snapshot.time_ns = now_;
  snapshot.place = trace::SnapshotPlace::kNode;
  snapshot.words = 9;
  snapshot.word[protocol::kCurrentIndex] = index;
  snapshot.word[protocol::kBytesPerBuffer] = 1 << 17;
  model.snapshots.push_back(snapshot);
  model.workspaces[snapshot.workspace].snapshots.push_back(snapshot_index);
  return snapshot_index;
}

Index World::Tail(Index replay, uint32_t index, uint32_t arrivals) {
  const Index snapshot = Snap(replay, trace::SnapshotPlace::kTail, index);
  model.snapshots[snapshot].word[protocol::kArrivals] = arrivals;
  model.replays[replay].completed_ns = now_;
  return snapshot;
}

void World::OrderBy(trace::OrderKind kind, uint32_t rank, Index stream, uint32_t event,
                    uint64_t serial) {
  model.orders.push_back({rank, now_, 0, kind, stream, event, serial, rank});
  Pass(kMs);
}

Index World::AddHang(Index process, Index workspace, Index stream, uint64_t launched_ns,
                     uint32_t index, uint32_t arrivals) {
  lamplight::Hang hang;
  hang.process = process;
  hang.id = static_cast<uint32_t>(model.hangs.size() + 1);
  hang.workspace = workspace;
  hang.stream = stream;
  hang.launched_ns = launched_ns;
  hang.timeout_ns = 10'000 * kMs;
  hang.detected_ns = launched_ns + hang.timeout_ns;
  hang.side_channel = trace::SideChannel::kOk;
  for (uint32_t pass = 0; workspace != kNone && pass < 2; ++pass) {
    FlagsRead read;
    read.workspace = workspace;
    read.pass = pass;
    read.status = trace::SideChannel::kOk;
    read.words = 9;
    read.word[protocol::kCurrentIndex] = index;
    read.word[protocol::kArrivals] = arrivals;
    hang.flags.push_back(read);
  }
  model.hangs.push_back(std::move(hang));
  return static_cast<Index>(model.hangs.size() - 1);
}

Index World::Hang(Index replay_index, uint32_t index, uint32_t arrivals) {
  const lamplight::Replay& replay = model.replays[replay_index];
  const Index workspace = replay.ops.empty() ? kNone : replay.ops.front().workspace;
  const Index hang = AddHang(model.execs[replay.exec].process, workspace, replay.stream,
                             replay.launched_ns, index, arrivals);
  model.hangs[hang].exec = replay.exec;
  model.hangs[hang].replay = replay.number;
  model.hangs[hang].replay_index = replay_index;
  if (!replay.ops.empty()) model.hangs[hang].op_before = replay.ops.front().before;
  return hang;
}

Index World::EagerHang(Index eager, uint32_t index, uint32_t arrivals) {
  const EagerLaunch& launch = model.eager[eager];
  const Index hang = AddHang(launch.process, launch.call.workspace, launch.stream, launch.time_ns,
                             index, arrivals);
  model.hangs[hang].op_before = launch.op;
  return hang;
}

SlotState& World::Slot(Index hang_index, uint32_t peer, uint32_t token, uint32_t sentinel,
                       uint32_t alias, uint32_t stage) {
  lamplight::Hang& hang = model.hangs[hang_index];
  SlotState slot;
  slot.workspace = hang.workspace;
  slot.generation = hang.flags.front().word[protocol::kCurrentIndex];
  slot.stage = stage;
  slot.peer = peer;
  slot.token = token;
  slot.role = trace::kSlotCurrent | trace::kSlotAwaited;
  slot.words = dim / 2;
  slot.sentinel = sentinel;
  slot.alias = alias;
  slot.arrived = slot.words - sentinel - alias;
  for (uint32_t i = 0; i < std::min(alias, 4u); ++i) slot.first_alias.push_back(i * 4);
  for (uint32_t i = 0; i < std::min(sentinel, 4u); ++i) slot.first_sentinel.push_back(i);
  hang.slots.push_back(slot);
  return hang.slots.back();
}

void World::Slots(Index hang, uint32_t absent) {
  for (uint32_t peer = 0; peer < model.processes.size(); ++peer) {
    for (uint32_t token = 0; token < tokens; ++token) {
      Slot(hang, peer, token, peer == absent ? dim / 2 : 0, 0);
    }
  }
}

}  // namespace lamplight
