#include "tests/gpu/kernels/compare.h"

namespace lamplight::kernels::gpu {

bool IsSimulated() { return false; }

}  // namespace lamplight::kernels::gpu
