// Adds the shim's nodes to a graph, and journals to the kernels of ours in it, for as long as the
// host instantiates or updates from it.
//
// The graph is given back node for node and byte for byte as it was, so the host never sees ours,
// and its node handles keep working on the exec. One object lives on one thread around one real
// call; a graph that cannot lose nodes again (it owns memory), or that runs on the device side,
// gets none. The launch of the former records its completion behind it.
#pragma once

#include <cuda.h>

#include <memory>
#include <vector>

#include "shim/config.h"
#include "shim/contexts.h"
#include "shim/driver_api.h"
#include "shim/exec.h"
#include "shim/graph_shape.h"
#include "shim/journals.h"

namespace lamplight::shim {

class Instrumentation {
 public:
  Instrumentation(const DriverApi& driver, CUgraph graph) : driver_(driver), graph_(graph) {}
  ~Instrumentation() { Remove(); }
  Instrumentation(const Instrumentation&) = delete;
  Instrumentation& operator=(const Instrumentation&) = delete;

  // Tells the nodes that `exec` counts where to journal, and marks their calls (ToldFlag).
  // What the driver refuses stays unmarked.
  void FillJournals(const Exec& exec, GraphShape* shape);
  // What the snapshot nodes of an exec read, one by one.
  using Reads = std::vector<std::vector<Workspace*>>;
  // Adds what `exec` plans, at the planned positions of this graph. On failure no node stays added.
  bool Add(const GraphShape& shape, const Exec& exec, const Reads& reads);
  void Remove() noexcept;
  bool added() const { return !added_.empty() || !filled_.empty(); }
  // Something of the exec's stayed in the graph, for whoever instantiates it next.
  bool left_some() const { return left_some_; }

 private:
  // A kernel node as the host made it.
  struct Filled {
    CUgraphNode node;
    CUDA_KERNEL_NODE_PARAMS parameters;
    kernels::CollectiveCall call;
  };

  bool Fill(CUgraphNode handle, const Exec& exec, const GraphShape::Call& call, Reach* reach);
  bool SetCall(const Filled& filled, kernels::CollectiveCall call) const;
  void RemoveNodes() noexcept;
  bool AddSnapshot(const GraphShape& shape, const Exec& exec, const PlannedSnapshot& snapshot,
                   const std::vector<Workspace*>& workspaces);
  bool AddDone(const GraphShape& shape, const Exec& exec);

  const DriverApi& driver_;
  CUgraph graph_;
  std::vector<CUgraphNode> added_;
  std::vector<Filled> filled_;
  bool left_some_ = false;
};

// Sets how many advancing calls one replay of `exec` makes on each workspace.
void CountOps(const std::vector<GraphShape::Call>& calls,
              const std::vector<Workspace*>& workspace_of_call, Exec* exec) noexcept;

// Gives a counter, or in modes other than kJournal a mark, to every node of `exec` that can
// journal.
void PlanJournals(const GraphShape& shape, Mode mode,
                  const std::vector<Workspace*>& workspace_of_call, Exec* exec);

// Decides where `exec` gets snapshot and completion nodes: fills snapshots and sinks. Where all
// calls on a workspace journal to the ring, only the strict mode's head snapshot reads it. Snapshot
// nodes run in the device's own context: workspaces in memory of others get none.
void PlanInstrumentation(const DriverApi& driver, const GraphShape& shape, Mode mode,
                         const std::vector<Workspace*>& workspace_of_call, Exec* exec);

}  // namespace lamplight::shim
