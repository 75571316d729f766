// Our collective kernels on one CUDA context, as the driver's functions.
//
// Loaded whole before the first collective: a module that is loaded behind a spinning kernel never
// finishes loading. Immutable after Load.
#pragma once

#include <cuda.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/launch_plan.h"
#include "shim/driver_api.h"
#include "shim/swap/swap_driver.h"

namespace lamplight::shim {

struct SwapKernel {
  kernels::KernelId id;
  CUfunction handle;
};

class SwapKernels {
 public:
  // Null with `error` set where the context cannot load them. Call it under RelaxedCapture.
  static std::unique_ptr<SwapKernels> Load(const DriverApi& driver, const SwapDriver& swap_driver,
                                           std::string* error);

  const SwapKernel* Find(const kernels::KernelId& id) const noexcept;
  const kernels::DeviceLimits& limits() const { return limits_; }

 private:
  SwapKernels() = default;

  kernels::DeviceLimits limits_;
  std::vector<SwapKernel> kernels_;
};

}  // namespace lamplight::shim
