// A kernel launch as the driver's functions are given it.
//
// Plain values; KernelOf may be called by any thread and is wait-free for a known kernel.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include "shim/functions.h"
#include "shim/hooks/launch.h"

namespace lamplight::shim::cupti {

struct DriverLaunch {
  CUfunction function = nullptr;  // or a CUkernel
  dim3 grid;
  dim3 block;
  CUstream stream = nullptr;
  void** arguments = nullptr;
  void** extra = nullptr;
  const CUlaunchAttribute* attributes = nullptr;
  size_t attribute_count = 0;
  bool cooperative = false;

  lamport::LaunchShape Shape() const noexcept;
};

// The kernel; a first launch names it, with the shim's own set-up done before. Says once of each
// kernel that LAMPLIGHT_SWAP would replace that it is not: a callback cannot put another in its
// place.
const Function* KernelOf(const DriverLaunch& launch) noexcept;

}  // namespace lamplight::shim::cupti
