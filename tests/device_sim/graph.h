// Graphs, nodes and edges, by handle.
//
// Thread-safe: everything here is guarded by TopologyMutex(); functions take it unless they are
// named
// ...Locked. Node and graph handles that are no longer live are CUDA_ERROR_INVALID_VALUE.
#pragma once

#include <cuda.h>

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "tests/device_sim/handle_table.h"
#include "tests/device_sim/operation.h"

namespace device_sim {

std::mutex& TopologyMutex();

struct InEdge {
  Node* from = nullptr;
  CUgraphEdgeData edge{};
};

struct Node {
  uint64_t id = 0;
  uint64_t cloned_from = 0;  // id of the original, for NodeFindInClone
  Graph* graph = nullptr;
  Operation operation;
  std::vector<InEdge> in;  // in the order in which they were added
};
using NodeRef = std::shared_ptr<Node>;

// Invariant: edges join nodes of this graph only. A child graph is owned by its node.
struct Graph {
  ~Graph();
  Node* AddLocked(Operation operation, std::vector<InEdge> in);
  std::shared_ptr<Graph> CloneLocked() const;

  std::vector<NodeRef> nodes;  // in the order of creation
  bool child = false;
};
using GraphRef = std::shared_ptr<Graph>;

HandleTable<Graph, CUgraph>& Graphs();
HandleTable<Node, CUgraphNode>& Nodes();
CUgraphNode HandleOf(const Node* node);
CUgraph HandleOf(const Graph* graph);
bool SameEdge(const CUgraphEdgeData& a, const CUgraphEdgeData& b);

Status CreateGraph(CUgraph* out);
Status DestroyGraph(CUgraph handle);
Status CloneGraph(CUgraph* out, CUgraph handle);
Status FindInClone(CUgraphNode* out, CUgraphNode original, CUgraph clone);

using NodeSpan = std::span<const CUgraphNode>;
// `edges` may be null: full dependencies.
Status AddNode(CUgraphNode* out, CUgraph graph, NodeSpan dependencies, const CUgraphEdgeData* edges,
               Operation operation);
Status DestroyNode(CUgraphNode node);
Status AddDependencies(CUgraph graph, NodeSpan from, const CUgraphNode* to,
                       const CUgraphEdgeData* edges);
Status RemoveDependencies(CUgraph graph, NodeSpan from, const CUgraphNode* to,
                          const CUgraphEdgeData* edges);
Status CheckNodesLocked(const Graph& graph, NodeSpan nodes, const CUgraphEdgeData* edges,
                        std::vector<InEdge>* out);

// Queries: null arrays ask for the count; else *count is the room, and then the number given.
Status GraphNodes(CUgraph graph, CUgraphNode* nodes, size_t* count);
Status RootNodes(CUgraph graph, CUgraphNode* nodes, size_t* count);
Status GraphEdges(CUgraph graph, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* edges,
                  size_t* count);
Status NodeDependencies(CUgraphNode node, CUgraphNode* nodes, CUgraphEdgeData* edges,
                        size_t* count);
Status NodeDependents(CUgraphNode node, CUgraphNode* nodes, CUgraphEdgeData* edges, size_t* count);
Status NodeType(CUgraphNode node, CUgraphNodeType* type);

// Calls `visit(Call&)` on the node's operation under the lock; wrong kinds are INVALID_VALUE.
template <class Call, class Visit>
Status WithNode(CUgraphNode handle, Visit visit) {
  const std::lock_guard lock(TopologyMutex());
  const NodeRef node = Nodes().Find(handle);
  if (node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Call* call = std::get_if<Call>(&node->operation);
  return call == nullptr ? CUDA_ERROR_INVALID_VALUE : visit(*call);
}

}  // namespace device_sim
