// What a workspace must know of its device. Thread-safe: no state.
#pragma once

#include <iterator>

#include "kernels/host/status.h"
#include "kernels/launch_plan.h"

namespace lamplight::kernels {

// The ordinal that is meant, and whether there is such a device.
Status ResolveDevice(int asked, int* device);
Status ReadLimits(int device, DeviceLimits* limits);

inline constexpr uint32_t kDataTypes = 3;

// The functions that calls of one workspace can launch, by data type; kernel: kOneShot, kTwoShot.
struct KernelSet {
  const void* function[kDataTypes][2][std::size(kForms)] = {};  // by data type, kernel, form

  const void* Find(const KernelId& id) const {
    return function[static_cast<uint32_t>(id.data_type)][static_cast<uint32_t>(id.kernel)]
                   [static_cast<uint32_t>(id.form)];
  }
};

// Loads them for the current device: a kernel that were loaded at its first call would wait for
// kernels that already poll, for ever.
Status LoadKernels(Protocol protocol, uint32_t world, int device, KernelSet* kernels);

}  // namespace lamplight::kernels
