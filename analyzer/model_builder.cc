// Trace by trace, then what takes all of them: timelines, ranks, communicators.
// Thread-safe: no shared state.
#include "analyzer/model_builder.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "analyzer/communicators.h"
#include "analyzer/model_builder_definitions.h"
#include "analyzer/model_builder_events.h"
#include "analyzer/model_builder_hangs.h"

namespace lamplight {
namespace {

using Kind = TraceLoss::Kind;

LossKind ModelKind(Kind kind) {
  switch (kind) {
    case Kind::kEventsOverwritten:
      return LossKind::kEventsOverwritten;
    case Kind::kEventsDropped:
      return LossKind::kEventsDropped;
    case Kind::kSnapshotsDropped:
      return LossKind::kSnapshotsDropped;
    case Kind::kDefinitionsDropped:
      return LossKind::kDefinitionsDropped;
    case Kind::kTruncated:
      return LossKind::kTruncated;
    case Kind::kHeaderDamaged:
    case Kind::kRingOrderLost:
    case Kind::kDamagedEvents:
    case Kind::kDamagedDefinitions:
    case Kind::kUnfinishedRecord:
    case Kind::kBadRecord:
      return LossKind::kCorrupt;
  }
  return LossKind::kOther;
}

// What a loss takes from the conclusions that may be drawn.
void Mark(const TraceFile& trace, const TraceLoss& loss, Process* process) {
  const Kind kind = loss.kind;
  const bool anything = kind == Kind::kHeaderDamaged || kind == Kind::kBadRecord ||
                        (kind == Kind::kTruncated && loss.offset < trace.header.defs_offset);
  process->events_lost |= anything || kind == Kind::kEventsDropped ||
                          kind == Kind::kDamagedEvents || kind == Kind::kRingOrderLost;
  process->snapshots_lost |= anything || kind == Kind::kSnapshotsDropped ||
                             kind == Kind::kDamagedEvents || kind == Kind::kRingOrderLost;
  process->definitions_lost |= anything || kind == Kind::kDefinitionsDropped ||
                               kind == Kind::kDamagedDefinitions || kind == Kind::kTruncated;
}

void AddTimes(const TraceFile& trace, const ClockShift& shift, Process* process) {
  uint64_t oldest = ~uint64_t{0};
  uint64_t newest = 0;
  for (const RecordView& view : trace.events) {
    oldest = std::min(oldest, view.time_ns());
    newest = std::max(newest, view.time_ns());
  }
  for (const RecordView& view : trace.definitions) newest = std::max(newest, view.time_ns());
  process->last_ns = shift.Apply(newest);
  const bool went_round =
      std::any_of(trace.losses.begin(), trace.losses.end(), [](const TraceLoss& loss) {
        return loss.kind == Kind::kEventsOverwritten || loss.kind == Kind::kRingOrderLost ||
               loss.kind == Kind::kHeaderDamaged;
      });
  if (went_round) process->events_since_ns = newest == 0 ? 1 : shift.Apply(oldest);
}

void AddLosses(const TraceFile& trace, const ProcessIds& ids, Model* model) {
  Process& process = model->processes[ids.process];
  for (const TraceLoss& loss : trace.losses) {
    const std::string text = process.file + ": " + loss.text;
    if (loss.kind == Kind::kUnfinishedRecord) {  // how any kill -9 may end a trace
      model->notes.push_back({ids.process, text});
      continue;
    }
    Mark(trace, loss, &process);
    model->losses.push_back({ids.process, ModelKind(loss.kind), loss.count, text});
  }
  if (ids.dangling) {
    process.definitions_lost = true;
    model->losses.push_back(
        {ids.process, LossKind::kOther, 0,
         process.file + ": some records refer to definitions that are missing"});
  }
  if (trace.unknown_records.empty()) return;
  std::string types;
  uint64_t count = 0;
  for (const auto& [type, records] : trace.unknown_records) {
    count += records;
    if (types.size() < 100) types += (types.empty() ? "" : ", ") + std::to_string(type);
  }
  model->notes.push_back(
      {ids.process, process.file + ": " + std::to_string(count) +
                        " records of types that this lamplight does not know were skipped (" +
                        types + "); the trace has format " + std::to_string(trace.header.major) +
                        "." + std::to_string(trace.header.minor) +
                        ", a newer lamplight reads more"});
}

// Some kernels do not name their rank; another call on the same workspace may have.
void InferRanks(Model* model) {
  const auto learn = [&](const Call& call) {
    if (call.workspace == kNone) return;
    Workspace& workspace = model->workspaces[call.workspace];
    if (workspace.rank == kUnknown && call.rank != kUnknown) workspace.rank = call.rank;
    const bool no_world = workspace.world == kUnknown || workspace.world == 0;
    if (no_world && call.world != kUnknown) workspace.world = call.world;
  };
  for (const Graph& graph : model->graphs) {
    for (const Node& node : graph.nodes) learn(node.call);
  }
  for (const EagerLaunch& eager : model->eager) learn(eager.call);
}

void BuildTimelines(Model* model) {
  for (Index i = 0; i < model->replays.size(); ++i) {
    const Replay& replay = model->replays[i];
    if (replay.status != 0) continue;
    for (const OpRange& range : replay.ops) {
      model->workspaces[range.workspace].timeline.push_back(
          {range.before, range.ops, i, kNone, replay.launched_ns, replay.stream});
    }
  }
  for (Index i = 0; i < model->eager.size(); ++i) {
    const EagerLaunch& eager = model->eager[i];
    if (eager.status != 0 || eager.call.workspace == kNone) continue;
    model->workspaces[eager.call.workspace].timeline.push_back(
        {eager.op, eager.call.advances() ? 1u : 0u, kNone, i, eager.time_ns, eager.stream});
  }
  for (Workspace& workspace : model->workspaces) {
    std::stable_sort(workspace.timeline.begin(), workspace.timeline.end(),
                     [](const Turn& a, const Turn& b) {
                       return std::tie(a.before, a.time_ns) < std::tie(b.before, b.time_ns);
                     });
  }
}

int PlaceOrder(trace::SnapshotPlace place) {
  return place == trace::SnapshotPlace::kHead ? 0 : place == trace::SnapshotPlace::kNode ? 1 : 2;
}

void SortSnapshots(Model* model) {
  std::vector<uint64_t> launched(model->snapshots.size());
  for (size_t i = 0; i < launched.size(); ++i) launched[i] = model->snapshots[i].time_ns;
  for (const Replay& replay : model->replays) {
    for (const Index snapshot : replay.snapshots) launched[snapshot] = replay.launched_ns;
  }
  std::map<std::pair<Index, uint64_t>, uint64_t> eager;  // launch times by workspace, operation
  for (const EagerLaunch& launch : model->eager) {
    if (launch.call.journals()) eager[{launch.call.workspace, launch.op}] = launch.time_ns;
  }
  for (size_t i = 0; i < launched.size(); ++i) {
    const Snapshot& snapshot = model->snapshots[i];
    if (snapshot.exec != kNone) continue;
    const auto launch = eager.find({snapshot.workspace, snapshot.op});
    if (launch != eager.end()) launched[i] = launch->second;
  }
  const auto earlier = [&](Index a, Index b) {
    const Snapshot& left = model->snapshots[a];
    const Snapshot& right = model->snapshots[b];
    return std::tuple(launched[a], left.replay, PlaceOrder(left.place), left.gpu_ns) <
           std::tuple(launched[b], right.replay, PlaceOrder(right.place), right.gpu_ns);
  };
  for (Workspace& workspace : model->workspaces) {
    std::stable_sort(workspace.snapshots.begin(), workspace.snapshots.end(), earlier);
  }
  for (Replay& replay : model->replays) {
    std::stable_sort(replay.snapshots.begin(), replay.snapshots.end(), earlier);
  }
}

// Adds one trace; returns the communicator key of each of its workspaces.
std::vector<std::string> AddTrace(const TraceFile& trace, const ClockShift& shift, Model* model) {
  const size_t first_workspace = model->workspaces.size();
  ProcessIds ids;
  ids.shift = shift;
  AddDefinitions(trace, &ids, model);
  AddEvents(trace, &ids, model);
  AddHangs(trace, &ids, model);
  AddTimes(trace, shift, &model->processes[ids.process]);
  AddLosses(trace, ids, model);
  std::vector<std::string> keys;
  for (size_t i = first_workspace; i < model->workspaces.size(); ++i) {
    const auto key = ids.communicator_keys.find(ids.communicator_of[static_cast<Index>(i)]);
    keys.push_back(key == ids.communicator_keys.end() ? "" : key->second);
  }
  return keys;
}

// Who wrote a trace; nothing where it does not tell.
using Identity = std::tuple<std::string, uint32_t, uint64_t>;

std::optional<Identity> IdentityOf(const TraceFile& trace) {
  for (const RecordView& view : trace.definitions) {
    if (view.type() != trace::RecordType::kProcess) continue;
    const trace::Process process = *view.As<trace::Process>();
    const auto& boot = process.boot_id;
    if (std::ranges::all_of(boot, [](uint8_t byte) { return byte == 0; })) return std::nullopt;
    return Identity{std::string(std::begin(boot), std::end(boot)), process.pid, process.start_ns};
  }
  return std::nullopt;
}

uint64_t NewestRecord(const TraceFile& trace) {
  uint64_t newest = 0;
  for (const RecordView& view : trace.events) newest = std::max(newest, view.time_ns());
  for (const RecordView& view : trace.definitions) newest = std::max(newest, view.time_ns());
  return newest;
}

// Of several copies of one process's trace the newest stays.
void DropCopies(std::vector<TraceFile>* traces, Model* model) {
  std::map<Identity, size_t> first;
  std::vector<bool> copy(traces->size());
  for (size_t i = 0; i < traces->size(); ++i) {
    const std::optional<Identity> identity = IdentityOf((*traces)[i]);
    if (!identity) continue;
    const auto [at, is_new] = first.try_emplace(*identity, i);
    if (is_new) continue;
    size_t kept = at->second, dropped = i;
    if (NewestRecord((*traces)[dropped]) > NewestRecord((*traces)[kept])) std::swap(kept, dropped);
    at->second = kept;
    copy[dropped] = true;
    model->notes.push_back({kNone, Sanitized((*traces)[dropped].path) +
                                       " was left out: it is of the same process as " +
                                       Sanitized((*traces)[kept].path)});
  }
  size_t at = 0;
  std::erase_if(*traces, [&](const TraceFile&) { return copy[at++]; });
}

}  // namespace

Model BuildModel(std::vector<TraceFile> traces, const std::vector<std::string>& unreadable) {
  Model model;
  for (const std::string& line : unreadable) {
    model.losses.push_back({kNone, LossKind::kFile, 0, Sanitized(line)});
  }
  DropCopies(&traces, &model);
  const ClockAlignment clocks = AlignClocks(traces);
  for (const std::string& note : clocks.notes) model.notes.push_back({kNone, Sanitized(note)});
  std::vector<std::string> keys;
  for (size_t i = 0; i < traces.size(); ++i) {
    const TraceFile trace = std::move(traces[i]);  // freed when its part of the model is there
    for (std::string& key : AddTrace(trace, clocks.shifts[i], &model)) {
      keys.push_back(std::move(key));
    }
  }
  InferRanks(&model);
  BuildTimelines(&model);
  SortSnapshots(&model);
  GroupCommunicators(keys, &model);
  return model;
}

}  // namespace lamplight
