// The kernels for fp32.
#include "kernels/kernels.cuh"

LAMPLIGHT_KERNEL_FILE(fp32, kFp32, Fp32Kernels)
