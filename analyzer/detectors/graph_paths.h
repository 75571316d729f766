// Reachability inside one graph. Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzer/trace_model.h"

namespace lamplight {

class GraphPaths {
 public:
  explicit GraphPaths(const Graph& graph);

  // True when `to` starts only after `from` (a programmatic edge counts: the kernels themselves
  // wait).
  bool Reaches(uint32_t from, uint32_t to) const;

 private:
  std::vector<std::vector<uint32_t>> next_;  // by node position
};

}  // namespace lamplight
