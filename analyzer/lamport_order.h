// The order in which one replay runs its Lamport nodes. Thread-safe: no state.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzer/trace_model.h"

namespace lamplight {

// Positions of the Lamport nodes in topological order; independent ones by position. Nodes on a
// cycle (only damage makes one) come last.
std::vector<uint32_t> LamportOrder(const Graph& graph);

}  // namespace lamplight
