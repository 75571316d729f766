// Reading of slots that a GPU writes over the bus, by the tags in their cells.
#include "shim/snapshot_ring.h"

#include <algorithm>
#include <cstring>

namespace lamplight::shim {
namespace {

enum class SlotState { kWaiting, kWhole, kLapped };

uint64_t Load(const uint64_t& cell) { return __atomic_load_n(&cell, __ATOMIC_ACQUIRE); }

// Compares the cells' tags with `ticket`'s. `ahead`: by how many tickets the newest cell is past
// it.
SlotState Read(const SnapshotSlot& slot, uint64_t ticket, SnapshotRecord* out, int32_t* ahead) {
  uint32_t values[kSnapshotCells];
  uint32_t whole = 0;  // cells from the first on
  *ahead = 0;
  for (uint32_t i = 0; i < kSnapshotCells; ++i) {
    const uint64_t cell = Load(slot.cell[i]);
    const auto distance =
        static_cast<int32_t>(static_cast<uint32_t>(cell >> 32) - SnapshotTag(ticket));
    if (distance == 0 && whole == i) ++whole;
    *ahead = std::max(*ahead, distance);
    values[i] = static_cast<uint32_t>(cell);
  }
  if (*ahead > 0) return SlotState::kLapped;
  if (whole <= kCountCell || whole < CellsOf(values[kCountCell] >> 16)) return SlotState::kWaiting;
  std::fill(values + CellsOf(values[kCountCell] >> 16), values + kSnapshotCells, 0);
  std::memcpy(out, values, sizeof(values));
  return SlotState::kWhole;
}

}  // namespace

bool SnapshotRing::Next(SnapshotRecord* out) noexcept {
  for (;;) {
    int32_t ahead = 0;
    switch (Read(slots_[read_ & mask_], read_, out, &ahead)) {
      case SlotState::kWaiting:
        return false;
      case SlotState::kWhole:
        ++read_;
        return true;
      case SlotState::kLapped:
        break;
    }
    // Go on half a ring behind the newest ticket seen: what is older may be overwritten any moment.
    const uint64_t skipped = static_cast<uint64_t>(ahead) - mask_ / 2;
    dropped_ += skipped;
    read_ += skipped;
  }
}

}  // namespace lamplight::shim
