// Host memory that a device sees, for the life of the process.
//
// Any thread. Called under RelaxedCapture, with the device's context current.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <optional>

#include "shim/driver_api.h"

namespace lamplight::shim {

struct PinnedMemory {
  void* host;
  CUdeviceptr device;
};

// Zeroed. It is the process's own, registered with the driver: what the driver allocates goes with
// the context (cudaDeviceReset, cuCtxDestroy), which no thread of ours that reads it would survive.
// A driver that takes no such memory gives of its own. Nothing where that fails too.
std::optional<PinnedMemory> AllocatePinned(const DriverApi& driver, size_t bytes) noexcept;

}  // namespace lamplight::shim
