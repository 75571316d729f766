// Lookups in timelines. Indices in the model are the builder's promise; counts are not.
#include "analyzer/detectors/history.h"

#include <algorithm>

namespace lamplight {
namespace {

std::vector<Operation> ReplayOperations(const Model& model, Index workspace, const Turn& turn,
                                        Index turn_index) {
  std::vector<Operation> operations;
  const ExecVersion* version = VersionOf(model, model.replays[turn.replay]);
  if (version == nullptr) return operations;
  uint64_t op = turn.before;
  const size_t count = std::min(version->lamport_order.size(), version->calls.size());
  for (size_t i = 0; i < count; ++i) {
    const Call& call = version->calls[i];
    if (call.workspace != workspace) continue;
    operations.push_back({op, &call, turn.replay, kNone, version->lamport_order[i], turn_index});
    if (call.advances()) ++op;
  }
  return operations;
}

// Advancing calls of the replay on the workspace, up to and including `node`.
std::optional<uint64_t> AdvancesThrough(const Model& model, const Replay& replay, Index workspace,
                                        uint32_t node) {
  const ExecVersion* version = VersionOf(model, replay);
  if (version == nullptr) return std::nullopt;
  uint64_t advances = 0;
  const size_t count = std::min(version->lamport_order.size(), version->calls.size());
  for (size_t i = 0; i < count; ++i) {
    const Call& call = version->calls[i];
    if (call.workspace == workspace && call.advances()) ++advances;
    if (version->lamport_order[i] == node) return advances;
  }
  return std::nullopt;
}

// Advancing calls that are complete when the snapshot is taken.
std::optional<uint64_t> PositionOf(const Model& model, const Snapshot& snapshot, Index replay) {
  if (snapshot.exec == kNone) return snapshot.op + 1;
  if (replay == kNone) return std::nullopt;
  const OpRange* range = RangeOf(model.replays[replay], snapshot.workspace);
  if (range == nullptr) return std::nullopt;
  switch (snapshot.place) {
    case trace::SnapshotPlace::kHead:
      return range->before;
    case trace::SnapshotPlace::kTail:
      return range->before + range->ops;
    case trace::SnapshotPlace::kNode: {
      const auto advances =
          AdvancesThrough(model, model.replays[replay], snapshot.workspace, snapshot.node);
      if (!advances) return std::nullopt;
      return range->before + *advances;
    }
  }
  return std::nullopt;
}

bool BeginsAfter(uint64_t op, const Turn& turn) { return op < turn.before; }

// How many advancing calls are known to have ended, and the snapshot that says so; kNone: a replay
// that is known to be complete.
struct LastPlace {
  uint64_t position = 0;
  Index snapshot = kNone;
};

LastPlace NewestPlace(const Model& model, Index workspace) {
  LastPlace last;
  for (const Turn& turn : model.workspaces[workspace].timeline) {
    if (turn.replay == kNone || model.replays[turn.replay].completed_ns == 0) continue;
    last.position = std::max(last.position, turn.before + turn.ops);
  }
  for (const Index index : model.workspaces[workspace].snapshots) {
    const Snapshot& snapshot = model.snapshots[index];
    const Index replay = FindReplay(model, snapshot.exec, snapshot.replay);
    const auto position = PositionOf(model, snapshot, replay);
    if (position && *position >= last.position) last = {*position, index};
  }
  return last;
}

}  // namespace

const ExecVersion* VersionOf(const Model& model, const Replay& replay) {
  if (replay.exec >= model.execs.size()) return nullptr;
  const std::vector<ExecVersion>& versions = model.execs[replay.exec].versions;
  return replay.version < versions.size() ? &versions[replay.version] : nullptr;
}

bool IsAssumed(const Model& model, const Operation& operation) {
  if (operation.replay == kNone) return false;
  const ExecVersion* version = VersionOf(model, model.replays[operation.replay]);
  return version != nullptr && version->assumed;
}

std::vector<Operation> OperationsOf(const Model& model, Index workspace, Index turn_index) {
  const Turn& turn = model.workspaces[workspace].timeline[turn_index];
  if (turn.replay != kNone) return ReplayOperations(model, workspace, turn, turn_index);
  if (turn.eager == kNone) return {};
  const EagerLaunch& launch = model.eager[turn.eager];
  return {{launch.op, &launch.call, kNone, turn.eager, 0, turn_index}};
}

std::optional<Operation> FindOperation(const Model& model, Index workspace, uint64_t op) {
  const std::vector<Turn>& timeline = model.workspaces[workspace].timeline;
  const auto after = std::upper_bound(timeline.begin(), timeline.end(), op, BeginsAfter);
  if (after == timeline.begin()) return std::nullopt;
  // A turn that does not advance stands before the one that shares its number.
  const Index turn = static_cast<Index>(after - timeline.begin() - 1);
  for (const Operation& operation : OperationsOf(model, workspace, turn)) {
    if (operation.op == op && operation.call->advances()) return operation;
  }
  return std::nullopt;
}

uint64_t EndOfOperations(const Workspace& workspace) {
  uint64_t end = 0;
  for (const Turn& turn : workspace.timeline) end = std::max(end, turn.before + turn.ops);
  return end;
}

std::vector<Observation> Observe(const Model& model, Index workspace) {
  std::vector<Observation> observations;
  for (const Index index : model.workspaces[workspace].snapshots) {
    const Snapshot& snapshot = model.snapshots[index];
    const Index replay = FindReplay(model, snapshot.exec, snapshot.replay);
    const auto position = PositionOf(model, snapshot, replay);
    const std::span<const uint32_t> words(snapshot.word.data(),
                                          std::min<size_t>(snapshot.words, snapshot.word.size()));
    const FlagWords flags = ReadFlagWords(model.workspaces[workspace].flag_layout, words);
    if (!position || !flags.index) continue;
    observations.push_back({*position, flags, index, replay});
  }
  std::stable_sort(
      observations.begin(), observations.end(),
      [](const Observation& a, const Observation& b) { return a.position < b.position; });
  return observations;
}

bool NothingLostSince(const Model& model, Index snapshot) {
  const Index process = model.workspaces[model.snapshots[snapshot].workspace].process;
  if (!model.processes[process].snapshots_lost) return true;
  // The ring keeps the newest: whatever is lost has one behind it that was not.
  for (size_t later = snapshot + size_t{1}; later < model.snapshots.size(); ++later) {
    const Index workspace = model.snapshots[later].workspace;
    if (workspace == kNone || model.workspaces[workspace].process == process) return false;
  }
  return true;
}

bool WouldTell(const Model& model, Index workspace, const Operation& operation) {
  if (operation.call->journals()) return true;
  if (!operation.call->marks() || operation.replay == kNone) return false;
  const Turn& turn = model.workspaces[workspace].timeline[operation.turn];
  return turn.time_ns < model.execs[model.replays[operation.replay].exec].marks_read_ns;
}

std::optional<LastFinished> LastToFinish(const Model& model, Index workspace) {
  const LastPlace last = NewestPlace(model, workspace);
  if (last.position == 0) return std::nullopt;
  if (last.snapshot != kNone && !NothingLostSince(model, last.snapshot)) return std::nullopt;
  const auto ended = FindOperation(model, workspace, last.position - 1);
  if (!ended) return std::nullopt;
  // Only where the call behind it would have told as well was this one the last.
  const auto next = FindOperation(model, workspace, last.position);
  const Process& process = model.processes[model.workspaces[workspace].process];
  if (next && !WouldTell(model, workspace, *next) && process.mode != "journal") return std::nullopt;
  return LastFinished{*ended, last.snapshot == kNone ? 0 : model.snapshots[last.snapshot].gpu_ns};
}

Index FindReplay(const Model& model, Index exec, uint64_t number) {
  if (exec >= model.execs.size()) return kNone;
  const std::vector<Index>& replays = model.execs[exec].replays;
  const auto found = std::lower_bound(
      replays.begin(), replays.end(), number,
      [&](Index replay, uint64_t wanted) { return model.replays[replay].number < wanted; });
  for (auto at = found; at != replays.end() && model.replays[*at].number == number; ++at) {
    if (model.replays[*at].status == 0) return *at;  // a launch that was refused has no number
  }
  return kNone;
}

const OpRange* RangeOf(const Replay& replay, Index workspace) {
  for (const OpRange& range : replay.ops) {
    if (range.workspace == workspace) return &range;
  }
  return nullptr;
}

}  // namespace lamplight
