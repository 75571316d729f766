// One slot of the ring in which flag words are left for the shim: written by the shim's snapshot
// kernel and by the collective kernels themselves, read by the shim's drain.
//
// Plain data for host C++, CUDA and the simulated device. Any number of writers, one reader.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/host_device.h"

namespace lamplight {

inline constexpr uint32_t kSnapshotWords = 12;
inline constexpr uint32_t kSnapshotThreads = 32;
inline constexpr uint32_t kRunCounterBytes = 16;  // how far apart counters of runs lie

// What one snapshot says, as 32-bit values.
struct SnapshotRecord {
  uint32_t exec_id;
  uint32_t workspace_id;
  uint32_t replay_low;  // how often this node has run, 1 = first; 0: not part of a graph
  uint32_t replay_high;
  uint32_t gpu_ns_low;
  uint32_t gpu_ns_high;
  uint32_t node;
  uint32_t place_and_words;  // trace::SnapshotPlace, and the count of flag words << 16
  uint32_t word[kSnapshotWords];
};
inline constexpr uint32_t kSnapshotCells = sizeof(SnapshotRecord) / 4;
inline constexpr uint32_t kFirstWordCell = offsetof(SnapshotRecord, word) / 4;
static_assert(kSnapshotCells == 20 && kSnapshotCells <= kSnapshotThreads);

// Cells that a record with so many flag words needs; what lies behind them means nothing.
LAMPLIGHT_HD constexpr uint32_t CellsOf(uint32_t words) {
  return kFirstWordCell + (words < kSnapshotWords ? words : kSnapshotWords);
}
inline constexpr uint32_t kCountCell = offsetof(SnapshotRecord, place_and_words) / 4;

// One slot of the host-mapped ring. A cell is written whole: the value below, a tag above, so that
// the writer needs no fence; a slot is whole when all the cells that its record needs carry the tag
// of one ticket. Fences over the bus would cost every replay more than a microsecond.
struct alignas(16) SnapshotSlot {
  uint64_t cell[kSnapshotThreads];
};
static_assert(sizeof(SnapshotSlot) == 256);

// The tag of ticket 0 is 1: an untouched slot is of no ticket.
LAMPLIGHT_HD constexpr uint32_t SnapshotTag(uint64_t ticket) {
  return static_cast<uint32_t>(ticket + 1);
}

// What a node of a graph leaves without a ring, in device memory: nobody waits for it. A store to
// the host's memory is through after a microsecond, and a grid does not end before.
struct alignas(64) NodeMark {
  uint32_t word[kSnapshotWords];  // what lies behind the workspace's flag words means nothing
  uint64_t gpu_ns;                // when the words were left
  // Runs that have ended × kWholeCall, and the shares of the clusters that have in the run under
  // way, whose words may already be here (collective_call.h).
  uint64_t progress;
};
static_assert(sizeof(NodeMark) == 64);

}  // namespace lamplight
