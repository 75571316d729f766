// Reading graphs. Thread-safe: see graph.h.
#include <algorithm>

#include "tests/device_sim/graph.h"

namespace device_sim {
namespace {

// Fills what the caller has room for and nulls the rest, as the driver does.
Status Give(const std::vector<CUgraphNode>& found, CUgraphNode* nodes, size_t* count) {
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (nodes == nullptr) {
    *count = found.size();
    return kOk;
  }
  const size_t given = std::min(*count, found.size());
  std::copy_n(found.begin(), given, nodes);
  std::fill(nodes + given, nodes + *count, nullptr);
  *count = given;
  return kOk;
}

struct Edge {
  CUgraphNode from;
  CUgraphNode to;
  CUgraphEdgeData edge;
};

// Edges that carry more than an order cannot be asked for without room for it.
bool Lossy(const std::vector<Edge>& found, const CUgraphEdgeData* edges) {
  return edges == nullptr && std::ranges::any_of(found, [](const Edge& edge) {
           return !SameEdge(edge.edge, CUgraphEdgeData{});
         });
}

Status GiveEdges(const std::vector<Edge>& found, CUgraphNode* from, CUgraphNode* to,
                 CUgraphEdgeData* edges, size_t* count) {
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (from == nullptr && to == nullptr) {
    if (edges != nullptr) return CUDA_ERROR_INVALID_VALUE;
    *count = found.size();
    return kOk;
  }
  if (Lossy(found, edges)) return CUDA_ERROR_LOSSY_QUERY;
  const size_t given = std::min(*count, found.size());
  for (size_t i = 0; i < *count; ++i) {
    const Edge edge = i < given ? found[i] : Edge{};
    if (from != nullptr) from[i] = edge.from;
    if (to != nullptr) to[i] = edge.to;
    if (edges != nullptr) edges[i] = edge.edge;
  }
  *count = given;
  return kOk;
}

std::vector<Edge> InEdges(const Node& node) {
  std::vector<Edge> edges;
  for (const InEdge& in : node.in) {
    edges.push_back({HandleOf(in.from), HandleOf(&node), in.edge});
  }
  return edges;
}

}  // namespace

Status GraphNodes(CUgraph handle, CUgraphNode* nodes, size_t* count) {
  const std::lock_guard lock(TopologyMutex());
  const GraphRef graph = Graphs().Find(handle);
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::vector<CUgraphNode> found;
  for (const NodeRef& node : graph->nodes) found.push_back(HandleOf(node.get()));
  return Give(found, nodes, count);
}

Status RootNodes(CUgraph handle, CUgraphNode* nodes, size_t* count) {
  const std::lock_guard lock(TopologyMutex());
  const GraphRef graph = Graphs().Find(handle);
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::vector<CUgraphNode> found;
  for (const NodeRef& node : graph->nodes) {
    if (node->in.empty()) found.push_back(HandleOf(node.get()));
  }
  return Give(found, nodes, count);
}

Status GraphEdges(CUgraph handle, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* edges,
                  size_t* count) {
  const std::lock_guard lock(TopologyMutex());
  const GraphRef graph = Graphs().Find(handle);
  if (graph == nullptr || (from == nullptr) != (to == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  std::vector<Edge> found;
  for (const NodeRef& node : graph->nodes) {
    for (const Edge& edge : InEdges(*node)) found.push_back(edge);
  }
  return GiveEdges(found, from, to, edges, count);
}

Status NodeDependencies(CUgraphNode handle, CUgraphNode* nodes, CUgraphEdgeData* edges,
                        size_t* count) {
  const std::lock_guard lock(TopologyMutex());
  const NodeRef node = Nodes().Find(handle);
  if (node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return GiveEdges(InEdges(*node), nodes, nullptr, edges, count);
}

Status NodeDependents(CUgraphNode handle, CUgraphNode* nodes, CUgraphEdgeData* edges,
                      size_t* count) {
  const std::lock_guard lock(TopologyMutex());
  const NodeRef node = Nodes().Find(handle);
  if (node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::vector<Edge> found;
  for (const NodeRef& other : node->graph->nodes) {
    for (const Edge& edge : InEdges(*other)) {
      if (edge.from == handle) found.push_back(edge);
    }
  }
  return GiveEdges(found, nullptr, nodes, edges, count);
}

Status NodeType(CUgraphNode handle, CUgraphNodeType* type) {
  const std::lock_guard lock(TopologyMutex());
  const NodeRef node = Nodes().Find(handle);
  if (type == nullptr || node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *type = TypeOf(node->operation);
  return kOk;
}

}  // namespace device_sim
