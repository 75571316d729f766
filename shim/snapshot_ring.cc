// Seqlock reading of slots that a GPU writes over the bus.
#include "shim/snapshot_ring.h"

#include <atomic>
#include <cstring>

namespace lamplight::shim {
namespace {

uint64_t Sequence(const SnapshotSlot& slot) {
  return __atomic_load_n(&slot.sequence, __ATOMIC_ACQUIRE);
}

// False where the writer came past during the copy.
bool CopyStable(const SnapshotSlot& slot, uint64_t sequence, SnapshotSlot* out) {
  std::memcpy(out, &slot, sizeof(slot));
  std::atomic_thread_fence(std::memory_order_acquire);
  return Sequence(slot) == sequence;
}

}  // namespace

bool SnapshotRing::Next(SnapshotSlot* out) noexcept {
  for (;;) {
    const SnapshotSlot& slot = slots_[read_ & mask_];
    const uint64_t sequence = Sequence(slot);
    if (sequence <= read_) return false;  // empty, being written, or of the lap before
    if (sequence == read_ + 1 && CopyStable(slot, sequence, out)) {
      ++read_;
      return true;
    }
    // The writer has lapped us: go on with the oldest ticket that can still be whole.
    const uint64_t newest = Sequence(slot);
    if (newest <= read_ + 1) return false;
    const uint64_t oldest = newest - 1 - mask_ / 2;
    dropped_ += oldest > read_ ? oldest - read_ : 1;
    read_ = oldest > read_ ? oldest : read_ + 1;
  }
}

}  // namespace lamplight::shim
