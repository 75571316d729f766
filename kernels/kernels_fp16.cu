// The kernels for fp16.
#include "kernels/kernels.cuh"

LAMPLIGHT_KERNEL_FILE(fp16, kFp16, Fp16Kernels)
