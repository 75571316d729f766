// Adds the shim's nodes to a graph for as long as the host instantiates or updates from it.
//
// The graph is given back node for node as it was, so the host never sees ours, and its node
// handles keep working on the exec. One object lives on one thread around one real call; a graph
// that cannot lose nodes again (it owns memory), or that runs on the device side, is left alone.
#pragma once

#include <cuda.h>

#include <memory>
#include <vector>

#include "shim/config.h"
#include "shim/driver_api.h"
#include "shim/exec.h"
#include "shim/graph_shape.h"

namespace lamplight::shim {

class Instrumentation {
 public:
  Instrumentation(const DriverApi& driver, CUgraph graph) : driver_(driver), graph_(graph) {}
  ~Instrumentation() { Remove(); }
  Instrumentation(const Instrumentation&) = delete;
  Instrumentation& operator=(const Instrumentation&) = delete;

  // Adds what `exec` plans, at the planned positions of this graph. On failure nothing stays added.
  bool Add(const GraphShape& shape, const Exec& exec) noexcept;
  void Remove() noexcept;
  bool added() const { return !added_.empty(); }

 private:
  bool AddSnapshot(const GraphShape& shape, const Exec& exec, const PlannedSnapshot& snapshot);
  bool AddDone(const GraphShape& shape, const Exec& exec);

  const DriverApi& driver_;
  CUgraph graph_;
  std::vector<CUgraphNode> added_;
};

// Sets how many advancing calls one replay of `exec` makes on each workspace.
void CountOps(const GraphShape& shape, const std::vector<Workspace*>& workspace_of_call,
              Exec* exec) noexcept;

// Decides where `exec` gets snapshot and completion nodes: fills snapshots and sinks.
void PlanInstrumentation(const DriverApi& driver, const GraphShape& shape, Mode mode,
                         const std::vector<Workspace*>& workspace_of_call, Exec* exec) noexcept;

}  // namespace lamplight::shim
