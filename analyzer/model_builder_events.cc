// One pass over the events in recorded order; what needs the whole picture is joined at the end.
#include "analyzer/model_builder_events.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "analyzer/lamport_order.h"

namespace lamplight {
namespace {

// Servers that set node parameters before each launch make one version a replay; past this many
// calls in all versions together, further ones are not told apart.
constexpr size_t kMaxVersionCalls = 4'000'000;

// Of a call whose parameters were set when nobody knows: what such an update may change.
void Forget(Call* call) {
  call->tokens = call->dim = call->index_argument = kUnknown;
  call->expected_arrivals = 0;
  call->digest = 0;
}

// The exec may have run anything.
void Forget(ExecVersion* version) {
  version->graph = kNone;
  version->lamport_order.clear();
  version->calls.clear();
}

bool SameCall(const Call& a, const Call& b) {
  return std::tie(a.kernel, a.workspace, a.tokens, a.dim, a.rank, a.world, a.index_argument,
                  a.flags, a.grid, a.block, a.cluster, a.expected_arrivals, a.digest) ==
         std::tie(b.kernel, b.workspace, b.tokens, b.dim, b.rank, b.world, b.index_argument,
                  b.flags, b.grid, b.block, b.cluster, b.expected_arrivals, b.digest);
}

// What one exec's events have said so far.
struct ExecState {
  std::unordered_map<uint64_t, Index> replays;  // by number, launches that did not fail
  // The newest version has run no replay yet.
  bool fresh = true;
  bool refused = false;          // the newest version stands for all further ones
  std::set<uint32_t> set_nodes;  // since the exec ran what is not assumed
  // "This replay and all before it are complete", and when that was known.
  std::vector<std::pair<uint64_t, uint64_t>> done;
};

class EventBuilder {
 public:
  EventBuilder(const TraceFile& trace, ProcessIds* ids, Model* model)
      : trace_(trace), ids_(*ids), model_(*model) {}

  void Build() {
    for (Exec& exec : model_.execs) {
      if (exec.process == ids_.process) StartVersion(&exec.versions.front());
    }
    FindAssumed();
    const size_t first_order = model_.orders.size();
    const size_t first_snapshot = model_.snapshots.size();
    for (const RecordView& view : trace_.events) Take(view);
    for (const RecordView& view : trace_.definitions) {
      if (view.type() == trace::RecordType::kMark) TakeMark(*view.As<trace::Mark>());
    }
    const auto earlier = [](const Order& a, const Order& b) { return a.time_ns < b.time_ns; };
    std::stable_sort(model_.orders.begin() + static_cast<std::ptrdiff_t>(first_order),
                     model_.orders.end(), earlier);
    for (size_t i = first_snapshot; i < model_.snapshots.size(); ++i) LinkSnapshot(i);
    for (auto& [exec, state] : states_) Finish(exec, &state);
    if (versions_refused_) {
      Note(
          "some updates of graph execs are not told apart: there are too many of them, and what "
          "they set is taken as unknown");
    }
  }

 private:
  void Note(std::string text) { model_.notes.push_back({ids_.process, std::move(text)}); }

  void Take(const RecordView& view) {
    switch (view.type()) {
      case trace::RecordType::kGraphLaunch:
        return TakeLaunch(*view.As<trace::GraphLaunch>());
      case trace::RecordType::kSnapshot:
        return TakeSnapshot(*view.As<trace::Snapshot>());
      case trace::RecordType::kEagerSnapshot:
        return TakeEagerSnapshot(*view.As<trace::EagerSnapshot>());
      case trace::RecordType::kEagerLaunch:
        return TakeEager(*view.As<trace::EagerLaunch>());
      case trace::RecordType::kExecUpdate:
        return TakeUpdate(*view.As<trace::ExecUpdate>());
      case trace::RecordType::kNodeParams:
        return TakeNodeParams(*view.As<trace::NodeParams>());
      case trace::RecordType::kDestroy:
        return TakeDestroy(*view.As<trace::Destroy>());
      case trace::RecordType::kReplayDone:
        return TakeDone(*view.As<trace::ReplayDone>());
      case trace::RecordType::kOrder:
        return TakeOrder(*view.As<trace::Order>());
      case trace::RecordType::kCaptureEnd:
        return TakeCaptureEnd(*view.As<trace::CaptureEnd>());
      default:
        return;
    }
  }

  // Updates stand among the events: where older ones were overwritten, one of an exec that was
  // there by then may be lost.
  void FindAssumed() {
    const bool went_round = std::ranges::any_of(trace_.losses, [](const TraceLoss& loss) {
      return loss.kind == TraceLoss::Kind::kEventsOverwritten ||
             loss.kind == TraceLoss::Kind::kRingOrderLost ||
             loss.kind == TraceLoss::Kind::kHeaderDamaged;
    });
    if (!went_round) return;
    uint64_t oldest = ~uint64_t{0};
    for (const RecordView& view : trace_.events) oldest = std::min(oldest, view.time_ns());
    for (const RecordView& view : trace_.definitions) {
      if (view.type() != trace::RecordType::kExec || view.time_ns() >= oldest) continue;
      const Index exec = ids_.execs.Find(view.As<trace::Exec>()->exec_id);
      if (exec != kNone) model_.execs[exec].versions.front().assumed = true;
    }
  }

  uint64_t Time(uint64_t ns) const { return ids_.shift.Apply(ns); }

  // An exec whose definition is lost still has replays.
  Index ExecOf(uint32_t id) {
    if (const Index known = ids_.execs.Find(id); known != kNone) return known;
    ids_.dangling = true;
    Exec exec;
    exec.process = ids_.process;
    exec.id = id;
    exec.versions.emplace_back();
    const Index index = Append(&model_.execs, std::move(exec));
    ids_.execs.Add(id, index);
    return index;
  }

  // Fills the version's calls from its graph.
  void StartVersion(ExecVersion* version) {
    if (version->graph == kNone) return;
    const Graph& graph = model_.graphs[version->graph];
    version->lamport_order = LamportOrder(graph);
    for (const uint32_t position : version->lamport_order) {
      const auto node =
          std::lower_bound(graph.nodes.begin(), graph.nodes.end(), position,
                           [](const Node& at, uint32_t wanted) { return at.position < wanted; });
      version->calls.push_back(node->call);
    }
    version_calls_ += version->calls.size();
  }

  // The version that the next replay will run, for changes. Past the most there may be, one version
  // stands for all further ones: what changes in it is forgotten.
  ExecVersion* NextVersion(Index exec, uint64_t time_ns) {
    auto& versions = model_.execs[exec].versions;
    ExecState& state = states_[exec];
    if (state.fresh || state.refused) return &versions.back();
    state.refused = version_calls_ > kMaxVersionCalls;
    versions_refused_ |= state.refused;
    ExecVersion copy = versions.back();
    copy.from_ns = time_ns;
    version_calls_ += copy.calls.size() + 1;
    versions.push_back(std::move(copy));
    state.fresh = true;
    return &versions.back();
  }

  // Of a source beside the hooks, what it has seen so far.
  void CountSource(const trace::RecordHeader& header, uint64_t DriverCalls::*through_cupti,
                   uint64_t DriverClients::*through_driver) {
    Process& process = model_.processes[ids_.process];
    process.driver_calls.*through_cupti += (header.flags & trace::kRecordThroughCupti) != 0;
    process.driver_clients.*through_driver += (header.flags & trace::kRecordThroughDriver) != 0;
  }

  void TakeLaunch(const trace::GraphLaunch& record) {
    const Index exec = ExecOf(record.exec_id);
    ExecState& state = states_[exec];
    const auto known = state.replays.find(record.replay);
    if (record.returned_ns != 0 && known != state.replays.end()) {
      Replay& replay = model_.replays[known->second];
      replay.returned_ns = Time(record.returned_ns);
      replay.status = record.status;
      // The driver refused it: the next launch gets the same number.
      if (record.status != 0) state.replays.erase(known);
      return;
    }
    const Index replay = AddReplay(record, exec);
    CountSource(record.header, &DriverCalls::replays, &DriverClients::replays);
    if (record.status != 0) return;
    state.replays[record.replay] = replay;
    launched_[{record.header.tid, record.stream_id}][exec] = record.replay;
  }

  // The thread has waited for the stream: what it had launched there itself is complete. (Launches
  // of other threads may have come after the wait began.)
  void CompleteLaunched(uint32_t tid, uint32_t stream, uint64_t time_ns) {
    const auto launched = launched_.find({tid, stream});
    if (launched == launched_.end()) return;
    for (const auto& [exec, replay] : launched->second) {
      // Not a launch that the driver refused.
      if (states_[exec].replays.contains(replay)) states_[exec].done.emplace_back(replay, time_ns);
    }
    launched_.erase(launched);
  }

  // The same for all streams of the device that the thread has waited for.
  void CompleteLaunchedOn(Index device, uint32_t tid, uint64_t time_ns) {
    for (auto& [place, launched] : launched_) {
      if (place.first != tid) continue;
      std::erase_if(launched, [&](const std::pair<const Index, uint64_t>& newest) {
        const auto& [exec, replay] = newest;
        if (device == kNone || model_.execs[exec].device != device) return false;
        if (states_[exec].replays.contains(replay)) {
          states_[exec].done.emplace_back(replay, time_ns);
        }
        return true;
      });
    }
  }

  Index AddReplay(const trace::GraphLaunch& record, Index exec) {
    auto& versions = model_.execs[exec].versions;
    ExecState& state = states_[exec];
    if (state.fresh && versions.size() > 1) versions.back().from_replay = record.replay;
    state.fresh = false;
    Replay replay;
    replay.exec = exec;
    replay.version = static_cast<Index>(versions.size() - 1);
    replay.number = record.replay;
    replay.stream = ids_.streams.Find(record.stream_id);
    replay.tid = record.header.tid;
    replay.launched_ns = Time(record.header.time_ns);
    replay.returned_ns = Time(record.returned_ns);
    replay.status = record.status;
    for (const trace::OpBase& op : record.op) {
      if (op.workspace_id == 0) continue;
      const Index workspace = ids_.workspaces.Find(op.workspace_id);
      if (workspace == kNone) ids_.dangling = true;
      if (workspace != kNone) replay.ops.push_back({workspace, op.before, op.ops});
    }
    ForgetIfImpossible(replay, &versions.back());
    const Index index = Append(&model_.replays, std::move(replay));
    model_.execs[exec].replays.push_back(index);
    return index;
  }

  // The shim has counted the calls of what really ran.
  static void ForgetIfImpossible(const Replay& replay, ExecVersion* version) {
    if (!version->assumed || version->calls.empty()) return;
    for (const OpRange& range : replay.ops) {
      const auto calls = std::ranges::count_if(version->calls, [&](const Call& call) {
        return call.workspace == range.workspace && call.advances();
      });
      if (static_cast<uint64_t>(calls) != range.ops) return Forget(version);
    }
  }

  // What snapshots of execs and of eager calls have in common.
  template <class Record>
  Snapshot ToSnapshot(const Record& record) {
    Snapshot snapshot;
    snapshot.workspace = ids_.workspaces.Find(record.workspace_id);
    if (snapshot.workspace == kNone) ids_.dangling = true;
    snapshot.gpu_ns = record.gpu_ns;
    snapshot.time_ns = Time(record.header.time_ns);
    snapshot.words = std::min<uint32_t>(record.words, snapshot.word.size());
    std::copy_n(record.word, snapshot.word.size(), snapshot.word.begin());
    return snapshot;
  }

  void TakeEagerSnapshot(const trace::EagerSnapshot& record) {
    Snapshot snapshot = ToSnapshot(record);
    snapshot.op = record.op;
    snapshot.place = trace::SnapshotPlace::kNode;
    model_.snapshots.push_back(snapshot);
  }

  void TakeSnapshot(const trace::Snapshot& record) {
    Snapshot snapshot = ToSnapshot(record);
    snapshot.place = static_cast<trace::SnapshotPlace>(record.place);
    TakeSnapshotOfNode(snapshot, ExecOf(record.exec_id), record.replay, record.node);
  }

  void TakeSnapshotOfNode(Snapshot snapshot, Index exec, uint64_t replay, uint32_t node) {
    snapshot.exec = exec;
    snapshot.replay = replay;
    snapshot.node = node;
    // Replays of one exec never overlap: this one runs, so those before it are complete.
    if (replay > 1) states_[exec].done.emplace_back(replay - 1, snapshot.time_ns);
    model_.snapshots.push_back(snapshot);
  }

  // Read at a hang: also says that what has left none by then has not ended.
  void TakeMark(const trace::Mark& record) {
    Snapshot snapshot = ToSnapshot(record);
    const Index exec = ExecOf(record.exec_id);
    uint64_t& read_ns = model_.execs[exec].marks_read_ns;
    read_ns = std::max(read_ns, snapshot.time_ns);
    if (record.run == 0) return;
    snapshot.place = trace::SnapshotPlace::kNode;
    TakeSnapshotOfNode(snapshot, exec, record.run, record.node);
  }

  void LinkSnapshot(size_t index) {
    const Snapshot& snapshot = model_.snapshots[index];
    if (snapshot.exec != kNone) {
      const ExecState& state = states_[snapshot.exec];
      const auto replay = state.replays.find(snapshot.replay);
      if (replay != state.replays.end()) {
        model_.replays[replay->second].snapshots.push_back(static_cast<Index>(index));
      }
    }
    if (snapshot.workspace != kNone) {
      model_.workspaces[snapshot.workspace].snapshots.push_back(static_cast<Index>(index));
    }
  }

  void TakeEager(const trace::EagerLaunch& record) {
    EagerLaunch launch;
    launch.process = ids_.process;
    launch.stream = ids_.streams.Find(record.stream_id);
    launch.tid = record.header.tid;
    launch.time_ns = Time(record.header.time_ns);
    launch.status = record.status;
    launch.op = record.op;
    launch.call = ToCall(record.call, &ids_, &model_);
    model_.eager.push_back(launch);
    CountSource(record.header, &DriverCalls::eager, &DriverClients::eager);
  }

  void TakeUpdate(const trace::ExecUpdate& record) {
    if (record.status != 0) return;  // the exec stays as it was
    const Index exec = ExecOf(record.exec_id);
    ExecState& state = states_[exec];
    ExecVersion* version = NextVersion(exec, Time(record.header.time_ns));
    if (state.refused) return Forget(version);
    // Whoever updates an exec here may have done so before.
    if (version->assumed) ForgetBefore(exec, version);
    version->assumed = false;
    state.set_nodes.clear();
    Forget(version);
    version->graph = ids_.graphs.Find(record.graph_id);
    if (version->graph == kNone) ids_.dangling = true;
    StartVersion(version);
  }

  void ForgetBefore(Index exec, const ExecVersion* newest) {
    for (ExecVersion& version : model_.execs[exec].versions) {
      if (&version != newest && version.assumed) Forget(&version);
    }
  }

  // The same of one node's parameters.
  void ForgetNodeBefore(Index exec, const ExecVersion* newest, size_t place) {
    for (ExecVersion& version : model_.execs[exec].versions) {
      if (&version == newest || !version.assumed) continue;
      if (place < version.calls.size()) Forget(&version.calls[place]);
    }
  }

  void TakeNodeParams(const trace::NodeParams& record) {
    const Index exec = ExecOf(record.exec_id);
    const Call call = ToCall(record.call, &ids_, &model_);
    ExecState& state = states_[exec];
    const ExecVersion& now = model_.execs[exec].versions.back();
    const auto at = std::find(now.lamport_order.begin(), now.lamport_order.end(), record.node);
    if (at == now.lamport_order.end()) return;
    const auto place = static_cast<size_t>(at - now.lamport_order.begin());
    const bool first = now.assumed && state.set_nodes.insert(record.node).second;
    if (!first && SameCall(now.calls[place], call)) return;
    ExecVersion* version = NextVersion(exec, Time(record.header.time_ns));
    if (first) ForgetNodeBefore(exec, version, place);
    if (state.refused) return Forget(&version->calls[place]);
    version->calls[place] = call;
  }

  void TakeDestroy(const trace::Destroy& record) {
    if (record.kind != static_cast<uint32_t>(trace::Handle::kExec)) return;
    model_.execs[ExecOf(record.id)].destroyed_ns = Time(record.header.time_ns);
  }

  void TakeDone(const trace::ReplayDone& record) {
    states_[ExecOf(record.exec_id)].done.emplace_back(record.replay, Time(record.header.time_ns));
  }

  void TakeOrder(const trace::Order& record) {
    Order order;
    order.process = ids_.process;
    order.time_ns = Time(record.header.time_ns);
    order.tid = record.header.tid;
    order.kind = static_cast<trace::OrderKind>(record.kind);
    order.stream = ids_.streams.Find(record.stream_id);
    order.event = record.event_id;
    order.serial = record.serial;
    order.device = ids_.devices.Find(record.device_id);
    model_.orders.push_back(order);
    if (order.kind == trace::OrderKind::kStreamSync) {
      CompleteLaunched(order.tid, record.stream_id, order.time_ns);
    }
    if (order.kind == trace::OrderKind::kDeviceSync) {
      CompleteLaunchedOn(order.device, order.tid, order.time_ns);
    }
  }

  void TakeCaptureEnd(const trace::CaptureEnd& record) {
    if (record.status == 0) return;
    Note("a stream capture failed with CUDA error " + std::to_string(record.status) + " (stream " +
         std::to_string(record.stream_id) + ")");
  }

  // Completion times, and replays by number.
  void Finish(Index index, ExecState* state) {
    Exec& exec = model_.execs[index];
    std::stable_sort(exec.replays.begin(), exec.replays.end(), [&](Index a, Index b) {
      return model_.replays[a].number < model_.replays[b].number;
    });
    auto& done = state->done;
    std::sort(done.begin(), done.end());
    if (!done.empty()) exec.completed = done.back().first;
    // The earliest time at which a replay was known complete: the least of all later statements.
    for (size_t i = done.size(); i-- > 1;) {
      done[i - 1].second = std::min(done[i - 1].second, done[i].second);
    }
    for (const Index replay_index : exec.replays) {
      Replay& replay = model_.replays[replay_index];
      const auto first = std::lower_bound(done.begin(), done.end(),
                                          std::pair<uint64_t, uint64_t>(replay.number, 0));
      if (first != done.end() && replay.status == 0) replay.completed_ns = first->second;
    }
  }

  const TraceFile& trace_;
  ProcessIds& ids_;
  Model& model_;
  std::unordered_map<Index, ExecState> states_;
  // Newest replay of each exec, by thread and stream, since the thread last waited for the stream.
  std::map<std::pair<uint32_t, uint32_t>, std::map<Index, uint64_t>> launched_;
  size_t version_calls_ = 0;
  bool versions_refused_ = false;
};

}  // namespace

void AddEvents(const TraceFile& trace, ProcessIds* ids, Model* model) {
  EventBuilder(trace, ids, model).Build();
}

Index FindReplay(const Model& model, const Exec& exec, uint64_t number) {
  auto at = std::lower_bound(
      exec.replays.begin(), exec.replays.end(), number,
      [&](Index replay, uint64_t wanted) { return model.replays[replay].number < wanted; });
  for (; at != exec.replays.end() && model.replays[*at].number == number; ++at) {
    if (model.replays[*at].status == 0) return *at;
  }
  return kNone;
}

}  // namespace lamplight
