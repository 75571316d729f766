// Vector clocks over streams, advanced record by record in time order.
#include "analyzer/detectors/happens_before.h"

#include <algorithm>

#include "analyzer/detectors/history.h"

namespace lamplight {
namespace {

// CUgraphNodeType values of nodes that can wait for something outside the graph, or hide nodes.
bool CanWait(uint32_t kind) {
  constexpr uint32_t kChildGraph = 4, kWaitEvent = 6, kSemaphoreWait = 9, kBatchMemOp = 12,
                     kConditional = 13;
  return kind == kChildGraph || kind == kWaitEvent || kind == kSemaphoreWait ||
         kind == kBatchMemOp || kind == kConditional;
}

}  // namespace

struct LaunchOrder::Step {
  uint64_t time_ns;
  Launch launch;
  Index order = kNone;
};

LaunchOrder::LaunchOrder(const Model& model, Index process)
    : model_(model), process_(model.processes[process]) {
  std::vector<Step> steps;
  for (Index i = 0; i < model.replays.size(); ++i) {
    const Replay& replay = model.replays[i];
    if (replay.exec == kNone || model.execs[replay.exec].process != process) continue;
    if (replay.status == 0) steps.push_back({replay.launched_ns, {i, kNone}, kNone});
  }
  for (Index i = 0; i < model.eager.size(); ++i) {
    if (model.eager[i].process != process || model.eager[i].status != 0) continue;
    steps.push_back({model.eager[i].time_ns, {kNone, i}, kNone});
  }
  for (Index i = 0; i < model.orders.size(); ++i) {
    if (model.orders[i].process == process) steps.push_back({model.orders[i].time_ns, {}, i});
  }
  std::stable_sort(steps.begin(), steps.end(),
                   [](const Step& a, const Step& b) { return a.time_ns < b.time_ns; });
  for (const Step& step : steps) Run(step);
}

void LaunchOrder::Run(const Step& step) {
  if (step.order != kNone) return RunOrder(model_.orders[step.order]);
  RunLaunch(step.launch, step.launch.replay != kNone ? model_.replays[step.launch.replay].stream
                                                     : model_.eager[step.launch.eager].stream);
}

void LaunchOrder::RunLaunch(const Launch& launch, Index stream) {
  Clock& clock = streams_[stream];
  Join(&clock, host_);
  FollowLegacy(stream);
  const uint64_t number = ++clock[stream];
  Ticket ticket{stream, number, clock};
  if (launch.replay != kNone) {
    replays_.emplace(launch.replay, std::move(ticket));
  } else {
    eager_.emplace(launch.eager, std::move(ticket));
  }
}

// Work on the legacy stream waits for all blocking streams of its device, and they wait for it.
void LaunchOrder::FollowLegacy(Index stream) {
  if (!Blocking(stream)) return;
  for (auto& [other, clock] : streams_) {
    if (other == stream || !Blocking(other)) continue;
    if (model_.streams[other].device != model_.streams[stream].device) continue;
    if (Legacy(stream) || Legacy(other)) Join(&streams_[stream], clock);
  }
}

void LaunchOrder::RunOrder(const Order& order) {
  switch (order.kind) {
    case trace::OrderKind::kEventRecord: {
      Clock clock = host_;
      FollowLegacy(order.stream);
      Join(&clock, streams_[order.stream]);
      events_[{order.event, order.serial}] = std::move(clock);
      break;
    }
    case trace::OrderKind::kStreamWait:
      RunWait(order);
      break;
    case trace::OrderKind::kStreamSync:
      FollowLegacy(order.stream);
      Join(&host_, streams_[order.stream]);
      break;
    case trace::OrderKind::kEventSync: {
      const auto event = events_.find({order.event, order.serial});
      Join(&host_, event != events_.end() ? event->second : Everything());
      break;
    }
    case trace::OrderKind::kDeviceSync:
      Join(&host_, Everything());
      break;
  }
}

// An event whose record the trace does not hold may stand behind anything.
void LaunchOrder::RunWait(const Order& order) {
  const auto event = events_.find({order.event, order.serial});
  const Clock clock = event != events_.end() ? event->second : Everything();
  Join(&streams_[order.stream], clock);
}

bool LaunchOrder::Legacy(Index stream) const {
  return stream < model_.streams.size() &&
         (model_.streams[stream].flags & trace::kStreamLegacy) != 0;
}

bool LaunchOrder::Blocking(Index stream) const {
  return stream < model_.streams.size() &&
         (model_.streams[stream].flags & trace::kStreamNonBlocking) == 0;
}

LaunchOrder::Clock LaunchOrder::Everything() const {
  Clock all = host_;
  for (const auto& [stream, clock] : streams_) Join(&all, clock);
  return all;
}

void LaunchOrder::Join(Clock* into, const Clock& from) {
  if (into == &from) return;
  for (const auto& [stream, number] : from) {
    uint64_t& own = (*into)[stream];
    own = std::max(own, number);
  }
}

const LaunchOrder::Ticket* LaunchOrder::Find(const Launch& launch) const {
  const bool is_replay = launch.replay != kNone;
  const auto& tickets = is_replay ? replays_ : eager_;
  const auto found = tickets.find(is_replay ? launch.replay : launch.eager);
  return found == tickets.end() ? nullptr : &found->second;
}

bool LaunchOrder::KnownComplete(const Launch& first, const Launch& second) const {
  if (first.replay == kNone) return false;
  const uint64_t completed = model_.replays[first.replay].completed_ns;
  return completed != 0 && completed <= LaunchTime(model_, second);
}

bool LaunchOrder::RecordsMayBeMissing(const Launch& first) const {
  return process_.events_lost || LaunchTime(model_, first) < process_.events_since_ns;
}

bool LaunchOrder::WaitsInside(const Launch& launch) const {
  if (launch.replay == kNone) return false;
  const ExecVersion* version = VersionOf(model_, model_.replays[launch.replay]);
  if (version == nullptr || version->graph == kNone) return true;
  const Graph& graph = model_.graphs[version->graph];
  return !graph.complete ||
         std::ranges::any_of(graph.nodes, [](const Node& node) { return CanWait(node.kind); });
}

bool LaunchOrder::Ordered(const Launch& first, const Launch& second) const {
  const Ticket* a = Find(first);
  const Ticket* b = Find(second);
  if (a == nullptr || b == nullptr || a->stream == kNone || b->stream == kNone) return true;
  const auto seen = b->seen.find(a->stream);
  if (seen != b->seen.end() && seen->second >= a->number) return true;
  return KnownComplete(first, second) || RecordsMayBeMissing(first) || WaitsInside(second);
}

uint64_t LaunchTime(const Model& model, const Launch& launch) {
  return launch.replay != kNone ? model.replays[launch.replay].launched_ns
                                : model.eager[launch.eager].time_ns;
}

}  // namespace lamplight
