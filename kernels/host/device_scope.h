// The device and the capture mode that a piece of host code runs under. One thread uses one object.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/host/driver_api.h"

namespace lamplight::kernels {

// Makes a device current, and lets calls through that a capture elsewhere in the process would make
// fail: none of them touches that capture's stream. Puts both back, the very context of the caller:
// a device's own would take the place of a green one.
class DeviceScope {
 public:
  explicit DeviceScope(int device) {
    static_cast<void>(cudaThreadExchangeStreamCaptureMode(&mode_));
    context_ = Current();
    if (cudaGetDevice(&before_) != cudaSuccess) before_ = device;
    status_ = cudaSetDevice(device);
    if (status_ != cudaSuccess) static_cast<void>(cudaGetLastError());
  }
  ~DeviceScope() {
    static_cast<void>(cudaSetDevice(before_));
    if (context_ != nullptr && context_ != Current()) {
      static_cast<void>(Driver()->ctx_set_current(context_));
    }
    static_cast<void>(cudaThreadExchangeStreamCaptureMode(&mode_));
  }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

  cudaError_t status() const { return status_; }

 private:
  static const DriverApi* Driver() {
    const DriverApi* api = nullptr;
    const bool found = GetDriver(&api).ok() && api->ctx_get_current != nullptr;
    return found && api->ctx_set_current != nullptr ? api : nullptr;
  }
  // Null: none, or not known.
  static CUcontext Current() {
    const DriverApi* driver = Driver();
    CUcontext context = nullptr;
    if (driver == nullptr || driver->ctx_get_current(&context) != CUDA_SUCCESS) return nullptr;
    return context;
  }

  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
  CUcontext context_ = nullptr;
  int before_ = 0;
  cudaError_t status_;
};

}  // namespace lamplight::kernels
