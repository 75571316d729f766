// Kahn's algorithm, the smallest ready position first. Thread-safe: no state.
#include "analyzer/lamport_order.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace lamplight {
namespace {

// Edges by place in graph.nodes; the builder left only edges whose ends exist.
struct Successors {
  std::vector<std::vector<uint32_t>> of;
  std::vector<uint32_t> waiting_for;
};

uint32_t PlaceOf(const Graph& graph, uint32_t position) {
  const auto found =
      std::lower_bound(graph.nodes.begin(), graph.nodes.end(), position,
                       [](const Node& node, uint32_t wanted) { return node.position < wanted; });
  return static_cast<uint32_t>(found - graph.nodes.begin());
}

Successors SuccessorsOf(const Graph& graph) {
  Successors successors{std::vector<std::vector<uint32_t>>(graph.nodes.size()),
                        std::vector<uint32_t>(graph.nodes.size())};
  for (const Edge& edge : graph.edges) {
    const uint32_t to = PlaceOf(graph, edge.to);
    successors.of[PlaceOf(graph, edge.from)].push_back(to);
    ++successors.waiting_for[to];
  }
  return successors;
}

}  // namespace

std::vector<uint32_t> LamportOrder(const Graph& graph) {
  Successors successors = SuccessorsOf(graph);
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ready;
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    if (successors.waiting_for[i] == 0) ready.push(i);
  }
  std::vector<uint32_t> order;
  std::vector<bool> done(graph.nodes.size());
  const auto visit = [&](uint32_t i) {
    done[i] = true;
    if (graph.nodes[i].call.lamport()) order.push_back(graph.nodes[i].position);
  };
  while (!ready.empty()) {
    const uint32_t node = ready.top();
    ready.pop();
    visit(node);
    for (const uint32_t next : successors.of[node]) {
      if (--successors.waiting_for[next] == 0) ready.push(next);
    }
  }
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    if (!done[i]) visit(i);
  }
  return order;
}

}  // namespace lamplight
