// A kernel launch as the driver's functions are given it.
//
// Plain values; any thread. KernelOf is wait-free for a known kernel.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <span>

#include "shim/cupti/abi.h"
#include "shim/functions.h"
#include "shim/hooks/launch.h"

namespace lamplight::shim::driver {

namespace abi = lamplight::cupti;

struct Launch {
  CUfunction function = nullptr;  // or a CUkernel
  dim3 grid;
  dim3 block;
  CUstream stream = nullptr;
  void** arguments = nullptr;
  void** extra = nullptr;
  std::span<const CUlaunchAttribute> attributes;
  bool cooperative = false;

  explicit Launch(const abi::LaunchParams& call);
  explicit Launch(const abi::LaunchExParams& call);  // whose config is not null
  explicit Launch(const abi::LaunchCooperativeParams& call);

  lamport::LaunchShape Shape() const noexcept;
};

// The kernel; a first launch names it, with the shim's own set-up done before.
const Function* KernelOf(CUfunction launched) noexcept;

}  // namespace lamplight::shim::driver
