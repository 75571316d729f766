// What swapped kernels report while they run: one host-mapped Diagnostic for each workspace.
//
// Of() may be called from any thread; Drain by the drain thread only. Never destroyed.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "kernels/collective_call.h"
#include "shim/driver_api.h"
#include "shim/recorder/recorder.h"

namespace lamplight::shim {

class SwapDiagnostics final : public DrainSource {
 public:
  // False where the driver gives no host-mapped memory. Call it under RelaxedCapture.
  bool Allocate(const DriverApi& driver) noexcept;

  // The device address of the workspace's Diagnostic; null when all are taken.
  kernels::Diagnostic* Of(const void* workspace) noexcept;

  // Tells new troubles on stderr, one line each.
  void Drain(Recorder& recorder) override;

 private:
  static constexpr uint32_t kWorkspaces = 1024;

  kernels::Diagnostic* host_ = nullptr;
  CUdeviceptr device_ = 0;
  std::mutex mutex_;
  std::unordered_map<const void*, uint32_t> index_of_;
  std::atomic<uint32_t> used_{0};
  uint32_t told_[kWorkspaces] = {};
};

}  // namespace lamplight::shim
