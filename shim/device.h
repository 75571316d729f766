// What the shim keeps on one CUDA context: its kernel, its stream, its snapshot ring, its staging.
//
// Created before the first collective, because a module loaded behind a spinning kernel never
// loads. Never destroyed: the driver is torn down first at exit. Members are immutable after Open
// except where noted.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/collective_call.h"
#include "shim/driver_api.h"
#include "shim/snapshot_args.h"
#include "shim/snapshot_ring.h"
#include "shim/supply.h"

namespace lamplight::shim {

// The counters and marks of a device that an exec's nodes write to.
struct HeldNumbers {
  std::vector<uint32_t> counters;
  std::vector<uint32_t> marks;
  bool empty() const noexcept { return counters.empty() && marks.empty(); }
};

class Device {
 public:
  // Loads everything into the current context and waits, bounded, until the kernel has run once.
  // Null with `error` set where that fails; the caller then records without snapshots.
  static std::unique_ptr<Device> Open(const DriverApi& driver, std::string* error);

  CUcontext context() const { return context_; }
  uint32_t ordinal() const { return ordinal_; }
  CUfunction snapshot_function() const { return snapshot_; }
  CUstream stream() const { return stream_; }  // for the probe thread only
  SnapshotRing& ring() { return *ring_; }      // for the drain thread only

  // For the probe thread: makes the context current. False where the driver refuses, or where it
  // is gone, as after cudaDeviceReset: the handle may mean another by now, with nothing of ours.
  bool MakeCurrent(const DriverApi& driver) noexcept;
  // That was seen.
  bool gone() const noexcept { return gone_.load(std::memory_order_relaxed); }

  // Pinned memory for the probe thread's copies.
  void* staging() const { return staging_; }
  static constexpr size_t kStagingBytes = 4u << 20;

  // A fresh, zeroed counter in device memory for a snapshot node or for one that journals by
  // itself, as Journal names it; 0 when they are used up.
  uint32_t NewCounter() noexcept { return free_counters_.Take(); }
  uint64_t CounterAddress(uint32_t counter) const noexcept {
    return counters_ + counter * sizeof(SnapshotCounter);
  }
  // A fresh, zeroed mark for a node, in device memory; 0 when they are used up.
  uint32_t NewMark() noexcept { return free_marks_.Take(); }
  // What the GPU never wrote to.
  void TakeBackUnused(const HeldNumbers& held) noexcept;
  // What the GPU does not write to any more; makes it zero. For the probe thread: waits, bounded.
  // What the GPU does not come to is lost.
  void TakeBack(const DriverApi& driver, HeldNumbers held);
  uint64_t MarkAddress(uint32_t mark) const noexcept { return marks_ + mark * sizeof(NodeMark); }
  // Tells the node of `counter` whether to read anything. Waits, bounded, until the GPU knows.
  void SetCounterEnabled(const DriverApi& driver, uint64_t counter, bool enabled) noexcept;
  // The parts of a node's arguments that are the device's.
  SnapshotArgs BaseArgs() const noexcept;
  kernels::Journal RingJournal(uint32_t run_counter) const noexcept;
  kernels::Journal MarkJournal(uint32_t mark) const noexcept;

 private:
  static constexpr uint32_t kCounters = 1u << 17;
  static_assert(kCounters <= kernels::Journal::kMaxCounter);
  static constexpr uint32_t kMarks = 1u << 16;

  Device() = default;
  bool Allocate(const DriverApi& driver, std::string* error);
  bool WarmUp(const DriverApi& driver, std::string* error);
  // Waits until the stream is done, or so long: then CUDA_ERROR_NOT_READY.
  CUresult Settle(const DriverApi& driver, int limit_ms) const noexcept;
  bool Zero(const DriverApi& driver, CUdeviceptr array, size_t element_bytes,
            std::vector<uint32_t>* numbers) const;

  CUcontext context_ = nullptr;
  unsigned long long context_id_ = 0;
  std::atomic<bool> gone_{false};
  uint32_t ordinal_ = 0;
  CUfunction snapshot_ = nullptr;
  CUstream stream_ = nullptr;
  CUdeviceptr slots_address_ = 0;
  // SnapshotCounter[]; the first one is the count of slots handed out.
  CUdeviceptr counters_ = 0;
  Supply free_counters_{kCounters, "counters"};
  CUdeviceptr marks_ = 0;  // NodeMark[]; the first one is nobody's
  Supply free_marks_{kMarks, "marks"};
  void* staging_ = nullptr;
  std::unique_ptr<SnapshotRing> ring_;
};

}  // namespace lamplight::shim
