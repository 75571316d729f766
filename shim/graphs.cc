// Graph and exec bookkeeping.
#include "shim/graphs.h"

#include <algorithm>
#include <string_view>
#include <type_traits>

#include "shim/recorder/record_builder.h"

namespace lamplight::shim {

namespace {

// Of all that a graph's definition says, but for times.
class ContentHash {
 public:
  template <class T>
  void Add(const T& value) {
    static_assert(std::has_unique_object_representations_v<T>);
    const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
    for (size_t i = 0; i < sizeof value; ++i) hash_ = (hash_ ^ bytes[i]) * 0x100000001b3ull;
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325ull;
};

uint64_t ContentOf(const GraphInfo& info, const GraphShape& shape) {
  ContentHash hash;
  hash.Add(info.stream_id);
  hash.Add(info.site_id);
  hash.Add(info.capture_mode);
  hash.Add(static_cast<uint32_t>(info.origin));
  for (const uint32_t kind : shape.kinds) hash.Add(kind);
  for (const GraphShape::Edge& edge : shape.edges) hash.Add(edge);
  for (const GraphShape::Call& call : shape.calls) {
    hash.Add(call.node);
    hash.Add(call.function->kernel_id);
    hash.Add(call.decoded.call);
  }
  for (const trace::EarlyRead& read : shape.early_reads) {
    hash.Add(read.node);
    hash.Add(read.from);
    hash.Add(read.address);
    hash.Add(read.bytes);
    hash.Add(uint32_t{read.operand} << 16 | read.relation);
  }
  return hash.value();
}

}  // namespace

void Graphs::Captured(CUgraph graph, const GraphInfo& info) {
  std::lock_guard lock(mutex_);
  infos_[graph] = info;
}

void Graphs::GraphDestroyed(CUgraph graph) {
  std::lock_guard lock(mutex_);
  infos_.erase(graph);
}

GraphInfo Graphs::InfoOf(CUgraph graph) const {
  std::lock_guard lock(mutex_);
  const auto known = infos_.find(graph);
  return known == infos_.end() ? GraphInfo{} : known->second;
}

uint32_t Graphs::DefineUpdate(const GraphInfo& info, const GraphShape& shape) {
  const uint64_t content = ContentOf(info, shape);
  {
    std::lock_guard lock(mutex_);
    const auto known = contents_.find(content);
    if (known != contents_.end()) return known->second;
  }
  const uint32_t id = DefineGraph(info, shape);
  std::lock_guard lock(mutex_);
  if (contents_.size() >= kMostContents) contents_.clear();
  contents_[content] = id;
  return id;
}

uint32_t Graphs::DefineGraph(const GraphInfo& info, const GraphShape& shape) {
  trace::Graph record{};
  record.graph_id = next_graph_.fetch_add(1, std::memory_order_relaxed);
  record.stream_id = info.stream_id;
  record.capture_begin_ns = info.capture_begin_ns;
  record.capture_end_ns = info.capture_end_ns;
  record.site_id = info.site_id;
  record.nodes = static_cast<uint32_t>(shape.nodes.size());
  record.lamport_nodes = static_cast<uint32_t>(shape.calls.size());
  record.origin = static_cast<uint16_t>(info.origin);
  record.capture_mode = info.capture_mode;
  recorder_.Define(trace::RecordType::kGraph, record);

  std::vector<const GraphShape::Call*> call_of(shape.nodes.size(), nullptr);
  for (const GraphShape::Call& call : shape.calls) call_of[call.node] = &call;
  for (uint32_t node = 0; node < shape.nodes.size(); ++node) {
    RecordBuilder<trace::Node> builder(trace::RecordType::kNode);
    builder->graph_id = record.graph_id;
    builder->node = node;
    builder->kind = shape.kinds[node];
    if (const GraphShape::Call* call = call_of[node]) {
      builder->call = call->decoded.call;
      builder->call.kernel_id = call->function->kernel_id;
      builder.SetString(&trace::Node::name, call->function->symbol);
    }
    recorder_.Define(builder);
  }
  for (const GraphShape::Edge& edge : shape.edges) {
    trace::Edge out{};
    out.graph_id = record.graph_id;
    out.from = edge.from;
    out.to = edge.to;
    out.kind = edge.kind;
    out.from_port = edge.from_port;
    recorder_.Define(trace::RecordType::kEdge, out);
  }
  for (trace::EarlyRead read : shape.early_reads) {
    read.graph_id = record.graph_id;
    recorder_.Define(trace::RecordType::kEarlyRead, read);
  }
  return record.graph_id;
}

void Graphs::ExecCreated(CUgraphExec handle, std::unique_ptr<Exec> exec, uint32_t site_id,
                         uint64_t instantiate_flags) {
  trace::Exec record{};
  record.exec_id = exec->id;
  record.graph_id = exec->graph_id;
  record.site_id = site_id;
  record.device_id = exec->device == nullptr ? trace::kNoId : exec->device->ordinal();
  record.instantiate_flags = instantiate_flags;
  for (const PlannedSnapshot& snapshot : exec->snapshots) {
    record.snapshots += static_cast<uint32_t>(snapshot.workspaces.size());
  }
  record.snapshots += static_cast<uint32_t>(exec->journals.size());
  record.completion = exec->done != nullptr;
  recorder_.Define(trace::RecordType::kExec, record);
  Exec* raw = exec.get();
  {
    std::lock_guard lock(mutex_);
    execs_.push_back(std::move(exec));
  }
  if (Exec* stale = by_exec_.Insert(handle, raw)) stale->retired_ns = Recorder::NowNs();
}

void Graphs::ExecDestroyed(CUgraphExec handle) {
  Exec* exec = by_exec_.Erase(handle);
  if (exec == nullptr) return;
  exec->retired_ns = Recorder::NowNs();
  trace::Destroy record{};
  record.kind = static_cast<uint32_t>(trace::Handle::kExec);
  record.id = exec->id;
  recorder_.Emit(trace::RecordType::kDestroy, record);
}

std::vector<std::unique_ptr<Exec>> Graphs::TakeRetired(uint64_t time_ns) {
  std::lock_guard lock(mutex_);
  std::vector<std::unique_ptr<Exec>> taken;
  std::erase_if(execs_, [&](std::unique_ptr<Exec>& exec) {
    const uint64_t retired_ns = exec->retired_ns.load(std::memory_order_relaxed);
    if (retired_ns == 0 || retired_ns >= time_ns || exec->InLaunch()) return false;
    taken.push_back(std::move(exec));
    return true;
  });
  return taken;
}

std::vector<Exec*> Graphs::LiveExecs() const {
  std::lock_guard lock(mutex_);
  std::vector<Exec*> live;
  for (const auto& exec : execs_) {
    if (exec->retired_ns.load(std::memory_order_relaxed) == 0) live.push_back(exec.get());
  }
  return live;
}

std::vector<Exec*> Graphs::ExecsInFlight() const {
  std::lock_guard lock(mutex_);
  std::vector<Exec*> in_flight;
  for (const auto& exec : execs_) {
    if (exec->launched.load(std::memory_order_acquire) >
        exec->completed.load(std::memory_order_relaxed)) {
      in_flight.push_back(exec.get());
    }
  }
  return in_flight;
}

Exec* Graphs::ExecById(uint32_t id) const {
  std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(execs_.begin(), execs_.end(), [id](const auto& exec) { return exec->id == id; });
  return found == execs_.end() ? nullptr : found->get();
}

}  // namespace lamplight::shim
