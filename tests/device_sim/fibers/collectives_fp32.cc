// The collective kernels for fp32, as fibers run them.
#include "tests/device_sim/fibers/register_kernels.h"

LAMPLIGHT_REGISTER_KERNELS(fp32, kFp32)
