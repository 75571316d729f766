// A driver that lets a Device open, over the host's memory; tests put their own functions into it.
//
// What it allocates is for the life of the process, as the shim's own.
#pragma once

#include <cstdlib>

#include "shim/driver_api.h"

namespace lamplight::shim {

inline DriverApi DriverOfADevice() {
  DriverApi api{};
  api.ThreadExchangeStreamCaptureMode = [](CUstreamCaptureMode*) { return CUDA_SUCCESS; };
  api.CtxGetCurrent = [](CUcontext*) { return CUDA_SUCCESS; };
  api.CtxGetId = [](CUcontext, unsigned long long* id) {
    *id = 1;
    return CUDA_SUCCESS;
  };
  api.CtxGetDevice = [](CUdevice* device) {
    *device = 0;
    return CUDA_SUCCESS;
  };
  api.ModuleLoadData = [](CUmodule*, const void*) { return CUDA_SUCCESS; };
  api.ModuleGetFunction = [](CUfunction*, CUmodule, const char*) { return CUDA_SUCCESS; };
  api.StreamCreate = [](CUstream*, unsigned) { return CUDA_SUCCESS; };
  api.StreamQuery = [](CUstream) { return CUDA_SUCCESS; };
  api.MemHostAlloc = [](void** memory, size_t bytes, unsigned) {
    *memory = std::calloc(1, bytes);
    return CUDA_SUCCESS;
  };
  api.MemHostGetDevicePointer = [](CUdeviceptr* device, void* host, unsigned) {
    *device = reinterpret_cast<CUdeviceptr>(host);
    return CUDA_SUCCESS;
  };
  api.MemAlloc = [](CUdeviceptr* device, size_t bytes) {
    *device = reinterpret_cast<CUdeviceptr>(std::calloc(1, bytes));
    return CUDA_SUCCESS;
  };
  api.MemsetD8Async = [](CUdeviceptr, unsigned char, size_t, CUstream) { return CUDA_SUCCESS; };
  api.MemcpyDtoHAsync = [](void*, CUdeviceptr, size_t, CUstream) { return CUDA_SUCCESS; };
  api.LaunchKernel = [](CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                        unsigned, CUstream, void**, void**) { return CUDA_SUCCESS; };
  return api;
}

}  // namespace lamplight::shim
