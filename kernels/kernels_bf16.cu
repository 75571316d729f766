// The kernels for bf16.
#include "kernels/kernels.cuh"

LAMPLIGHT_KERNEL_FILE(bf16, kBf16, Bf16Kernels)
