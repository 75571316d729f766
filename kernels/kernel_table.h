// The compiled kernels as host functions, for cudaLaunchKernelExC. Thread-safe.
#pragma once

#include "kernels/launch_plan.h"

namespace lamplight::kernels {

// Null where there is no such kernel (kTwoShotSends and kTwoShotNorm exist for kMnnvl only,
// kTwoShot not for kUnicast and kUnicastInWords). The only parameter of every kernel is a
// CollectiveCall by value.
const void* KernelFunction(const KernelId& id);

}  // namespace lamplight::kernels
