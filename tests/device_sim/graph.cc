// Building and editing graphs. Thread-safe: see graph.h.
#include "tests/device_sim/graph.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <unordered_map>

namespace device_sim {
namespace {

uint64_t NextNodeId() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1);
}

bool ValidEdge(const Node& from, const CUgraphEdgeData& edge) {
  if (edge.type == CU_GRAPH_DEPENDENCY_TYPE_DEFAULT) return edge.from_port == 0;
  return edge.type == CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC &&
         std::holds_alternative<KernelCall>(from.operation);
}

// Gives the node a child graph of its own.
void AdoptChild(ChildCall& call) {
  call.graph = call.graph->CloneLocked();
  call.graph->child = true;
  Graphs().Add(call.graph);
}

void ForgetChild(const Node& node) {
  if (const auto* call = std::get_if<ChildCall>(&node.operation)) {
    Graphs().Remove(HandleOf(call->graph.get()));
  }
}

bool HasEdge(const Node& to, const Node* from) {
  return std::ranges::find(to.in, from, &InEdge::from) != to.in.end();
}

// What is fixed in such a graph is fixed for good.
bool OwnsMemory(const Graph& graph) {
  return std::ranges::any_of(
      graph.nodes, [](const NodeRef& node) { return device_sim::OwnsMemory(node->operation); });
}

}  // namespace

std::mutex& TopologyMutex() {
  static std::mutex& mutex = *new std::mutex;
  return mutex;
}

HandleTable<Graph, CUgraph>& Graphs() {
  static auto& table = *new HandleTable<Graph, CUgraph>;
  return table;
}

HandleTable<Node, CUgraphNode>& Nodes() {
  static auto& table = *new HandleTable<Node, CUgraphNode>;
  return table;
}

CUgraphNode HandleOf(const Node* node) { return HandleTable<Node, CUgraphNode>::HandleOf(node); }
CUgraph HandleOf(const Graph* graph) { return HandleTable<Graph, CUgraph>::HandleOf(graph); }

bool SameEdge(const CUgraphEdgeData& a, const CUgraphEdgeData& b) {
  return a.type == b.type && a.from_port == b.from_port && a.to_port == b.to_port;
}

Graph::~Graph() {
  for (const NodeRef& node : nodes) {
    ForgetChild(*node);
    Nodes().Remove(HandleOf(node.get()));
  }
}

Node* Graph::AddLocked(Operation operation, std::vector<InEdge> in) {
  auto node = std::make_shared<Node>();
  node->id = NextNodeId();
  node->graph = this;
  node->operation = std::move(operation);
  node->in = std::move(in);
  Nodes().Add(node);
  nodes.push_back(node);
  return node.get();
}

GraphRef Graph::CloneLocked() const {
  auto clone = std::make_shared<Graph>();
  std::unordered_map<const Node*, Node*> copies;
  for (const NodeRef& node : nodes) {
    Node* copy = clone->AddLocked(node->operation, {});
    copy->cloned_from = node->id;
    if (auto* call = std::get_if<ChildCall>(&copy->operation)) AdoptChild(*call);
    copies[node.get()] = copy;
  }
  for (const NodeRef& node : nodes) {
    for (const InEdge& edge : node->in) {
      copies[node.get()]->in.push_back({copies[edge.from], edge.edge});
    }
  }
  return clone;
}

Status CreateGraph(CUgraph* out) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *out = Graphs().Add(std::make_shared<Graph>());
  return kOk;
}

Status DestroyGraph(CUgraph handle) {
  const std::lock_guard lock(TopologyMutex());
  const GraphRef graph = Graphs().Find(handle);
  if (graph == nullptr || graph->child) return CUDA_ERROR_INVALID_VALUE;
  Graphs().Remove(handle);
  return kOk;
}

Status CloneGraph(CUgraph* out, CUgraph handle) {
  const std::lock_guard lock(TopologyMutex());
  const GraphRef graph = Graphs().Find(handle);
  if (out == nullptr || graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (OwnsMemory(*graph)) return CUDA_ERROR_NOT_SUPPORTED;
  *out = Graphs().Add(graph->CloneLocked());
  return kOk;
}

Status FindInClone(CUgraphNode* out, CUgraphNode original, CUgraph clone) {
  const std::lock_guard lock(TopologyMutex());
  const NodeRef node = Nodes().Find(original);
  const GraphRef graph = Graphs().Find(clone);
  if (out == nullptr || node == nullptr || graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto found = std::ranges::find_if(
      graph->nodes, [&](const NodeRef& candidate) { return candidate->cloned_from == node->id; });
  if (found == graph->nodes.end()) return CUDA_ERROR_INVALID_VALUE;
  *out = HandleOf(found->get());
  return kOk;
}

Status CheckNodesLocked(const Graph& graph, NodeSpan nodes, const CUgraphEdgeData* edges,
                        std::vector<InEdge>* out) {
  for (size_t i = 0; i < nodes.size(); ++i) {
    const NodeRef node = Nodes().Find(nodes[i]);
    if (node == nullptr || node->graph != &graph) return CUDA_ERROR_INVALID_VALUE;
    const CUgraphEdgeData edge = edges == nullptr ? CUgraphEdgeData{} : edges[i];
    if (!ValidEdge(*node, edge)) return CUDA_ERROR_INVALID_VALUE;
    const bool twice = std::ranges::find(*out, node.get(), &InEdge::from) != out->end();
    if (twice) return CUDA_ERROR_INVALID_VALUE;
    out->push_back({node.get(), edge});
  }
  return kOk;
}

Status AddNode(CUgraphNode* out, CUgraph handle, NodeSpan dependencies,
               const CUgraphEdgeData* edges, Operation operation) {
  const std::lock_guard lock(TopologyMutex());
  const GraphRef graph = Graphs().Find(handle);
  if (out == nullptr || graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::vector<InEdge> in;
  SIM_TRY(CheckNodesLocked(*graph, dependencies, edges, &in));
  if (auto* child = std::get_if<ChildCall>(&operation)) {
    if (child->graph == nullptr || child->graph == graph) return CUDA_ERROR_INVALID_VALUE;
    if (OwnsMemory(*child->graph)) return CUDA_ERROR_NOT_SUPPORTED;
    AdoptChild(*child);
  }
  *out = HandleOf(graph->AddLocked(std::move(operation), std::move(in)));
  return kOk;
}

Status DestroyNode(CUgraphNode handle) {
  const std::lock_guard lock(TopologyMutex());
  const NodeRef node = Nodes().Find(handle);
  if (node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Graph& graph = *node->graph;
  if (graph.child || OwnsMemory(graph)) return CUDA_ERROR_NOT_SUPPORTED;
  for (const NodeRef& other : graph.nodes) {
    std::erase_if(other->in, [&](const InEdge& edge) { return edge.from == node.get(); });
  }
  ForgetChild(*node);
  std::erase(graph.nodes, node);
  Nodes().Remove(handle);
  return kOk;
}

Status AddDependencies(CUgraph handle, NodeSpan from, const CUgraphNode* to,
                       const CUgraphEdgeData* edges) {
  const std::lock_guard lock(TopologyMutex());
  const GraphRef graph = Graphs().Find(handle);
  if (graph == nullptr || (to == nullptr && !from.empty())) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < from.size(); ++i) {
    std::vector<InEdge> in;
    SIM_TRY(
        CheckNodesLocked(*graph, from.subspan(i, 1), edges == nullptr ? nullptr : edges + i, &in));
    const NodeRef target = Nodes().Find(to[i]);
    if (target == nullptr || target->graph != graph.get() || target.get() == in[0].from ||
        HasEdge(*target, in[0].from)) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    target->in.push_back(in[0]);
  }
  return kOk;
}

Status RemoveDependencies(CUgraph handle, NodeSpan from, const CUgraphNode* to,
                          const CUgraphEdgeData* edges) {
  const std::lock_guard lock(TopologyMutex());
  const GraphRef graph = Graphs().Find(handle);
  if (graph == nullptr || (to == nullptr && !from.empty())) return CUDA_ERROR_INVALID_VALUE;
  if (OwnsMemory(*graph)) return CUDA_ERROR_NOT_SUPPORTED;
  for (size_t i = 0; i < from.size(); ++i) {
    const NodeRef target = Nodes().Find(to[i]);
    if (target == nullptr || target->graph != graph.get()) return CUDA_ERROR_INVALID_VALUE;
    const auto removed = std::erase_if(target->in, [&](const InEdge& edge) {
      return HandleOf(edge.from) == from[i] && (edges == nullptr || SameEdge(edge.edge, edges[i]));
    });
    if (removed == 0) return CUDA_ERROR_INVALID_VALUE;
  }
  return kOk;
}

}  // namespace device_sim
