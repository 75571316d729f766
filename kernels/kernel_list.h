// The compiled kernels of each data type: what kernel_table.cc searches. Immutable.
#pragma once

#include <span>

#include "kernels/launch_plan.h"

namespace lamplight::kernels {

struct CompiledKernel {
  KernelId id;
  const void* function;
};

std::span<const CompiledKernel> Fp16Kernels();
std::span<const CompiledKernel> Bf16Kernels();
std::span<const CompiledKernel> Fp32Kernels();

}  // namespace lamplight::kernels
