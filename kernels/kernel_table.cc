#include "kernels/kernel_table.h"

#include <algorithm>

#include "kernels/kernel_list.h"

namespace lamplight::kernels {

const void* KernelFunction(const KernelId& id) {
  std::span<const CompiledKernel> list = Fp16Kernels();
  if (id.data_type == DataType::kBf16) list = Bf16Kernels();
  if (id.data_type == DataType::kFp32) list = Fp32Kernels();
  const auto found = std::ranges::find(list, id, &CompiledKernel::id);
  return found == list.end() ? nullptr : found->function;
}

}  // namespace lamplight::kernels
