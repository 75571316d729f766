// What the process may ask about an address. Thread-safe.
#include "tests/device_sim/device.h"
#include "tests/device_sim/memory.h"

namespace device_sim {
namespace {

template <class T>
Status Give(void* out, T value) {
  *static_cast<T*>(out) = value;
  return kOk;
}

Status AttributeOf(void* out, CUpointer_attribute attribute, uintptr_t address,
                   const Allocation& allocation) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      return Give(out, allocation.context->handle());
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      return Give<unsigned>(out,
                            allocation.on_device() ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST);
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      return Give<CUdeviceptr>(out, address);
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      if (allocation.on_device()) return CUDA_ERROR_INVALID_VALUE;
      return Give<void*>(out, reinterpret_cast<void*>(address));
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      return Give<bool>(out, false);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
      return Give<unsigned long long>(out, allocation.id);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return Give<int>(out, allocation.device->ordinal);
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
      return Give<bool>(out, allocation.kind == MemoryKind::kDevice);
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
      return Give<CUdeviceptr>(out, allocation.start);
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      return Give<size_t>(out, allocation.bytes);
    case CU_POINTER_ATTRIBUTE_MAPPED:
      return Give<bool>(out, true);
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

}  // namespace

Status PointerAttribute(void* out, CUpointer_attribute attribute, uintptr_t address) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto allocation = FindAllocation(address);
  if (!allocation) return CUDA_ERROR_INVALID_VALUE;
  return AttributeOf(out, attribute, address, *allocation);
}

}  // namespace device_sim
