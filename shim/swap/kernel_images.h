// The fat binaries of kernels/kernels_*.cu, embedded in the shim. Immutable.
#pragma once

#include "kernels/collective_call.h"

namespace lamplight::shim {

// Null where the shim was built without them.
const void* KernelImage(kernels::DataType type);

}  // namespace lamplight::shim
