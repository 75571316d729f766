// The host's side of the ring that `lamplight_snapshot` fills: pinned memory, one reader.
//
// Next is called by the drain thread only and never calls the driver. A slot counts when all its
// cells carry one ticket's tag; one that the GPU overwrites meanwhile is counted as dropped, not
// misread.
#pragma once

#include <cstdint>

#include "shim/snapshot_args.h"

namespace lamplight::shim {

class SnapshotRing {
 public:
  // `slots` has `capacity` (a power of two) zeroed slots and outlives the ring.
  SnapshotRing(const SnapshotSlot* slots, uint32_t capacity) : slots_(slots), mask_(capacity - 1) {}

  // Copies the oldest unread slot; false when there is none yet.
  bool Next(SnapshotRecord* out) noexcept;
  uint64_t dropped() const { return dropped_; }

 private:
  const SnapshotSlot* slots_;
  uint32_t mask_;
  uint64_t read_ = 0;  // tickets read or given up
  uint64_t dropped_ = 0;
};

}  // namespace lamplight::shim
