// The kernel functions themselves: names for the simulated device to find.
#include "kernels/kernel_table.h"

namespace lamplight::kernels::test {

template <Kernel kKernel, DataType kType, uint32_t kWorld>
__global__ void RecordingKernel(CollectiveCall) {}

template <Kernel kKernel, DataType kType>
const void* OfWorld(uint32_t world) {
  switch (world) {
    case 0:
      return reinterpret_cast<const void*>(&RecordingKernel<kKernel, kType, 0>);
    case 2:
      return reinterpret_cast<const void*>(&RecordingKernel<kKernel, kType, 2>);
    case 4:
      return reinterpret_cast<const void*>(&RecordingKernel<kKernel, kType, 4>);
    case 8:
      return reinterpret_cast<const void*>(&RecordingKernel<kKernel, kType, 8>);
    default:
      return nullptr;
  }
}

template <Kernel kKernel>
const void* OfType(DataType type, uint32_t world) {
  switch (type) {
    case DataType::kFp16:
      return OfWorld<kKernel, DataType::kFp16>(world);
    case DataType::kBf16:
      return OfWorld<kKernel, DataType::kBf16>(world);
    default:
      return OfWorld<kKernel, DataType::kFp32>(world);
  }
}

}  // namespace lamplight::kernels::test

namespace lamplight::kernels {

const void* KernelFunction(const KernelId& id) {
  if (id.kernel == Kernel::kOneShot) return test::OfType<Kernel::kOneShot>(id.data_type, id.world);
  if (id.kernel == Kernel::kTwoShot) return test::OfType<Kernel::kTwoShot>(id.data_type, id.world);
  return nullptr;
}

}  // namespace lamplight::kernels
