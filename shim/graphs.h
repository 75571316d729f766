// The process's graphs and graph execs: captured graphs under ids of ours, execs with their plans.
//
// FindExec is wait-free; the rest takes a lock and belongs to captures and instantiations. No lock
// is held while the host's own call runs.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "shim/exec.h"
#include "shim/handle_map.h"
#include "shim/recorder/recorder.h"

namespace lamplight::shim {

// What is known of a graph from how it came to be.
struct GraphInfo {
  uint32_t stream_id = 0;
  uint32_t site_id = 0;
  uint64_t capture_begin_ns = 0;
  uint64_t capture_end_ns = 0;
  trace::GraphOrigin origin = trace::GraphOrigin::kExplicit;
  uint16_t capture_mode = 0;
};

class Graphs {
 public:
  explicit Graphs(Recorder& recorder) : recorder_(recorder) {}

  void Captured(CUgraph graph, const GraphInfo& info);
  void GraphDestroyed(CUgraph graph);
  GraphInfo InfoOf(CUgraph graph) const;

  // Defines graph, nodes and edges in the trace; returns the new graph id.
  uint32_t DefineGraph(const GraphInfo& info, const GraphShape& shape);
  // The same for a graph that an exec was updated from. One that differs from an earlier one in its
  // times only gets that one's id: some hosts capture and update in every step, and definitions are
  // never overwritten.
  uint32_t DefineUpdate(const GraphInfo& info, const GraphShape& shape);

  uint32_t NextExecId() { return next_exec_.fetch_add(1, std::memory_order_relaxed); }
  void ExecCreated(CUgraphExec handle, std::unique_ptr<Exec> exec, uint32_t site_id,
                   uint64_t instantiate_flags);
  // The host destroyed it; the entry stays readable, the watchdog lets go of it.
  void ExecDestroyed(CUgraphExec handle);
  Exec* FindExec(CUgraphExec handle) const noexcept { return by_exec_.Find(handle); }

  // Execs that were retired before `time_ns`, but for those with a launch that has not come back:
  // no hook can hold them any more.
  std::vector<std::unique_ptr<Exec>> TakeRetired(uint64_t time_ns);

  // Every exec that has not been retired.
  std::vector<Exec*> LiveExecs() const;
  // Every exec with replays that are not known to be complete, retired or not.
  std::vector<Exec*> ExecsInFlight() const;
  Exec* ExecById(uint32_t id) const;

 private:
  // Of graph ids by content, so many at most.
  static constexpr size_t kMostContents = 4096;

  Recorder& recorder_;
  HandleMap<Exec> by_exec_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Exec>> execs_;
  std::unordered_map<CUgraph, GraphInfo> infos_;
  std::unordered_map<uint64_t, uint32_t> contents_;
  std::atomic<uint32_t> next_graph_{1};
  std::atomic<uint32_t> next_exec_{1};
};

}  // namespace lamplight::shim
