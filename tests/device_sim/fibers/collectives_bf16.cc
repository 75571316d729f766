// The collective kernels for bf16, as fibers run them.
#include "tests/device_sim/fibers/register_kernels.h"

LAMPLIGHT_REGISTER_KERNELS(bf16, kBf16)
