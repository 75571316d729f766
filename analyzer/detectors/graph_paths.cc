// Breadth-first search; positions outside the graph have no edges.
#include "analyzer/detectors/graph_paths.h"

namespace lamplight {

GraphPaths::GraphPaths(const Graph& graph) : next_(graph.nodes.size()) {
  for (const Edge& edge : graph.edges) {
    if (edge.from < next_.size() && edge.to < next_.size()) next_[edge.from].push_back(edge.to);
  }
}

bool GraphPaths::Reaches(uint32_t from, uint32_t to) const {
  if (from >= next_.size()) return false;
  std::vector<bool> seen(next_.size(), false);
  std::vector<uint32_t> open{from};
  while (!open.empty()) {
    const uint32_t node = open.back();
    open.pop_back();
    for (const uint32_t next : next_[node]) {
      if (next == to) return true;
      if (!seen[next]) open.push_back(next);
      seen[next] = true;
    }
  }
  return false;
}

}  // namespace lamplight
