// The device and the capture mode that a piece of host code runs under. One thread uses one object.
#pragma once

#include <cuda_runtime_api.h>

namespace lamplight::kernels {

// Makes a device current, and lets calls through that a capture elsewhere in the process would make
// fail: none of them touches that capture's stream. Puts both back.
class DeviceScope {
 public:
  explicit DeviceScope(int device) {
    static_cast<void>(cudaThreadExchangeStreamCaptureMode(&mode_));
    if (cudaGetDevice(&before_) != cudaSuccess) before_ = device;
    status_ = cudaSetDevice(device);
    if (status_ != cudaSuccess) static_cast<void>(cudaGetLastError());
  }
  ~DeviceScope() {
    static_cast<void>(cudaSetDevice(before_));
    static_cast<void>(cudaThreadExchangeStreamCaptureMode(&mode_));
  }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

  cudaError_t status() const { return status_; }

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
  int before_ = 0;
  cudaError_t status_;
};

}  // namespace lamplight::kernels
