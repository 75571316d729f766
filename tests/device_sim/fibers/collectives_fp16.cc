// The collective kernels for fp16, as fibers run them.
#include "tests/device_sim/fibers/register_kernels.h"

LAMPLIGHT_REGISTER_KERNELS(fp16, kFp16)
