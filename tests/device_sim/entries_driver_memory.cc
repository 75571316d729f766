// libcuda: memory. Thin C entries; thread-safe.
#include <cuda.h>

#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/memory.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

extern "C" {

CUresult cuMemAlloc(CUdeviceptr* out, size_t bytes) {
  return DriverInContext([&]() -> Status {
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    uintptr_t address = 0;
    SIM_TRY(AllocateDevice(&address, bytes));
    return Store(out, address);
  });
}

CUresult cuMemFree(CUdeviceptr address) {
  return DriverInContext([&] { return FreeDevice(address); });
}

CUresult cuMemAllocHost(void** out, size_t bytes) {
  return DriverInContext([&] { return AllocateHost(out, bytes, 0); });
}

CUresult cuMemHostAlloc(void** out, size_t bytes, unsigned flags) {
  return DriverInContext([&] { return AllocateHost(out, bytes, flags); });
}

CUresult cuMemFreeHost(void* address) {
  return DriverInContext([&] { return FreeHost(address); });
}

CUresult cuMemHostRegister(void* address, size_t bytes, unsigned flags) {
  return DriverInContext([&] { return RegisterHost(address, bytes, flags); });
}

CUresult cuMemHostUnregister(void* address) {
  return DriverInContext([&] { return UnregisterHost(address); });
}

CUresult cuMemHostGetDevicePointer(CUdeviceptr* out, void* host, unsigned flags) {
  return DriverInContext([&]() -> Status {
    uintptr_t address = 0;
    SIM_TRY(HostDevicePointer(&address, host, flags));
    return Store(out, address);
  });
}

CUresult cuMemHostGetFlags(unsigned* flags, void* host) {
  return DriverInContext([&] { return HostFlags(flags, host); });
}

CUresult cuMemGetInfo(size_t* free, size_t* total) {
  return DriverInContext([&] { return MemoryInfo(free, total); });
}

CUresult cuMemGetAddressRange(CUdeviceptr* base, size_t* bytes, CUdeviceptr address) {
  return DriverInContext([&]() -> Status {
    uintptr_t start = 0;
    SIM_TRY(AddressRange(&start, bytes, address));
    if (base != nullptr) *base = start;
    return kOk;
  });
}

CUresult cuPointerGetAttribute(void* out, CUpointer_attribute attribute, CUdeviceptr address) {
  return DriverInContext([&] { return PointerAttribute(out, attribute, address); });
}

CUresult cuIpcGetMemHandle(CUipcMemHandle* handle, CUdeviceptr address) {
  return DriverInContext([&] { return IpcExport(handle, address); });
}

CUresult cuIpcOpenMemHandle(CUdeviceptr* out, CUipcMemHandle handle, unsigned flags) {
  return DriverInContext([&]() -> Status {
    uintptr_t address = 0;
    SIM_TRY(IpcOpen(&address, &handle, flags));
    return Store(out, address);
  });
}

CUresult cuIpcCloseMemHandle(CUdeviceptr address) {
  return DriverInContext([&] { return IpcClose(address); });
}

}  // extern "C"
