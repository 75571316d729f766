// libcudart: allocations and IPC. Thin C entries; thread-safe.
#include <cuda_runtime_api.h>

#include "tests/device_sim/device.h"
#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/memory.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

namespace {

Status Attributes(cudaPointerAttributes* out, uintptr_t address) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *out = {};
  out->device = -1;
  const auto allocation = FindAllocation(address);
  if (!allocation) {
    out->type = cudaMemoryTypeUnregistered;
    out->hostPointer = reinterpret_cast<void*>(address);
    return kOk;
  }
  out->type = allocation->on_device() ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
  out->device = allocation->device->ordinal;
  out->devicePointer = reinterpret_cast<void*>(address);
  if (!allocation->on_device()) out->hostPointer = out->devicePointer;
  return kOk;
}

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** out, size_t bytes) {
  return Runtime([&]() -> Status {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = nullptr;
    if (bytes == 0) return kOk;
    return AllocateDevice(reinterpret_cast<uintptr_t*>(out), bytes);
  });
}

cudaError_t cudaFree(void* address) {
  return Runtime([&] { return FreeDevice(AddressOf(address)); });
}

cudaError_t cudaMallocHost(void** out, size_t bytes) {
  return Runtime([&] { return AllocateHost(out, bytes, 0); });
}

cudaError_t cudaHostAlloc(void** out, size_t bytes, unsigned flags) {
  return Runtime([&] { return AllocateHost(out, bytes, flags); });
}

cudaError_t cudaFreeHost(void* address) {
  return Runtime([&] { return FreeHost(address); });
}

cudaError_t cudaHostRegister(void* address, size_t bytes, unsigned flags) {
  return Runtime([&] { return RegisterHost(address, bytes, flags); });
}

cudaError_t cudaHostUnregister(void* address) {
  return Runtime([&] { return UnregisterHost(address); });
}

cudaError_t cudaHostGetDevicePointer(void** out, void* host, unsigned flags) {
  return Runtime([&] { return HostDevicePointer(reinterpret_cast<uintptr_t*>(out), host, flags); });
}

cudaError_t cudaHostGetFlags(unsigned* flags, void* host) {
  return Runtime([&] { return HostFlags(flags, host); });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return Runtime([&] { return MemoryInfo(free, total); });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return Runtime([&] { return Attributes(attributes, AddressOf(pointer)); });
}

cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t* handle, void* address) {
  return Runtime([&] { return IpcExport(handle, AddressOf(address)); });
}

cudaError_t cudaIpcOpenMemHandle(void** out, cudaIpcMemHandle_t handle, unsigned flags) {
  return Runtime([&] { return IpcOpen(reinterpret_cast<uintptr_t*>(out), &handle, flags); });
}

cudaError_t cudaIpcCloseMemHandle(void* address) {
  return Runtime([&] { return IpcClose(AddressOf(address)); });
}

}  // extern "C"
