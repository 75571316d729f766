// Where swapped kernels report: one host-mapped Diagnostic for each workspace. shim/troubles.h
// reads them.
//
// Of() may be called from any thread. Never destroyed.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "kernels/collective_call.h"
#include "shim/driver_api.h"
#include "shim/troubles.h"

namespace lamplight::shim {

class SwapDiagnostics {
 public:
  // False where the driver gives no host-mapped memory. Call it under RelaxedCapture.
  bool Allocate(const DriverApi& driver, Troubles& troubles) noexcept;

  // The device address of the workspace's Diagnostic; null when all are taken.
  kernels::Diagnostic* Of(const void* workspace) noexcept;

 private:
  static constexpr uint32_t kWorkspaces = 1024;

  CUdeviceptr device_ = 0;
  std::mutex mutex_;
  std::unordered_map<const void*, uint32_t> index_of_;
};

}  // namespace lamplight::shim
