#include "kernels/host/blocks.h"

#include <cstring>

#include "kernels/host/device_scope.h"

namespace lamplight::kernels {

DeviceBlock::~DeviceBlock() {
  if (address_ == nullptr) return;
  const DeviceScope scope(device_);
  static_cast<void>(FromCuda(cudaFree(address_), "cudaFree"));
}

Status DeviceBlock::Allocate(size_t bytes) {
  LAMPLIGHT_TRY_CUDA(cudaGetDevice(&device_));
  const cudaError_t code = cudaMalloc(&address_, bytes);
  if (code == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    return Error(LAMPLIGHT_ERROR_OUT_OF_MEMORY, "device %d has no %zu bytes left", device_, bytes);
  }
  return FromCuda(code, "cudaMalloc");
}

MappedBlock::~MappedBlock() {
  if (host_ != nullptr) static_cast<void>(FromCuda(cudaFreeHost(host_), "cudaFreeHost"));
}

Status MappedBlock::Allocate(size_t bytes) {
  LAMPLIGHT_TRY_CUDA(cudaHostAlloc(&host_, bytes, cudaHostAllocMapped | cudaHostAllocPortable));
  std::memset(host_, 0, bytes);
  LAMPLIGHT_TRY_CUDA(cudaHostGetDevicePointer(&device_, host_, 0));
  return {};
}

}  // namespace lamplight::kernels
