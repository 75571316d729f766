// What a graph exec runs: the graph's nodes, flattened, as it was at instantiation.
//
// Plain values. A program in use is immutable; updates make a new one.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "tests/device_sim/graph.h"

namespace device_sim {

struct StepEdge {
  uint32_t from = 0;
  CUgraphEdgeData edge{};
};

// One node. Child graphs are spliced in: the child node itself becomes an empty step behind them.
struct Step {
  Operation operation;
  CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;  // of the node, before splicing
  std::vector<StepEdge> in;
  std::vector<uint32_t> dependents;
  bool enabled = true;
};

struct Program {
  std::vector<Step> steps;
  std::unordered_map<uint64_t, uint32_t> step_of_node;  // by Node::id
  std::vector<CUgraphNode> node_of_step;                // as of building, for error reports
};

// Needs TopologyMutex(). INVALID_VALUE where the graph has a cycle.
Status BuildProgramLocked(const Graph& graph, Program* program);

struct UpdateOutcome {
  CUgraphExecUpdateResult result = CU_GRAPH_EXEC_UPDATE_SUCCESS;
  CUgraphNode node = nullptr;
  CUgraphNode from = nullptr;
};
// Whether `next` has the shape of `current`, so that an exec may go over to it.
UpdateOutcome ComparePrograms(const Program& current, const Program& next);

}  // namespace device_sim
