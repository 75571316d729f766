// Whether ranks have completed calls behind one that they made differently: then their numbers do
// not line up.
//
// Pure functions over a finished model; safe from any thread.
#pragma once

#include <cstdint>

#include "analyzer/trace_model.h"

namespace lamplight {

// The rank has completed more than two calls behind operation `op`.
bool HasGoneOn(const Model& model, Index workspace, uint64_t op);

// From their first to their last, the ranks' calls are the same but for a few numbers that some are
// ahead, the call of number `op` among them, at which they differ. Only where there are many calls,
// and not all alike.
bool AreShifted(const Model& model, const Communicator& communicator, uint64_t op);

}  // namespace lamplight
