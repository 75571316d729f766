// Calls of a graph whose kernels read before they wait for the kernel in front, where that one has
// to do with what they read. Stateless; may run in any hook that has read a graph.
#pragma once

#include <vector>

#include "shim/driver_api.h"
#include "shim/graph_shape.h"

namespace lamplight::shim {

// `graph_id` is left 0.
std::vector<trace::EarlyRead> FindEarlyReads(const DriverApi& driver, const GraphShape& shape);

}  // namespace lamplight::shim
