// The contract between the shim's host side and its one kernel, `lamplight_snapshot`: what one
// snapshot node is told, and the slots it fills. Plain data for host C++, CUDA and the simulated
// device.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#define LAMPLIGHT_HOST_DEVICE __host__ __device__
#else
#define LAMPLIGHT_HOST_DEVICE
#endif

namespace lamplight::shim {

inline constexpr char kSnapshotKernel[] = "lamplight_snapshot";
inline constexpr uint32_t kSnapshotThreads = 32;
inline constexpr uint32_t kSnapshotWords = 12;
inline constexpr uint32_t kSnapshotSources = 4;

// One workspace's flag words. Indirect: `address` holds a pointer to them (non-MNNVL workspaces).
struct SnapshotSource {
  uint64_t address;
  uint32_t workspace_id;
  uint16_t words;  // at most kSnapshotWords
  uint16_t indirect;
};

// What one snapshot says, as 32-bit values.
struct SnapshotRecord {
  uint32_t exec_id;
  uint32_t workspace_id;
  uint32_t replay_low;  // how often this snapshot node has run, 1 = first
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

// One slot of the host-mapped ring. A cell is written by one 64-bit store: the value below, a tag
// above, so that the writer needs no fence; a slot is whole when all its cells carry the tag of one
// ticket. Fences over the bus would cost every replay more than a microsecond.
struct SnapshotSlot {
  uint64_t cell[kSnapshotThreads];
};
static_assert(sizeof(SnapshotSlot) == 256);

// The tag of ticket 0 is 1: an untouched slot is of no ticket.
LAMPLIGHT_HOST_DEVICE constexpr uint32_t SnapshotTag(uint64_t ticket) {
  return static_cast<uint32_t>(ticket + 1);
}

// Per snapshot node, in device memory.
struct SnapshotCounter {
  uint64_t runs;
  uint64_t disabled;  // non-zero: the node no longer knows what it would read
};

// The kernel's only parameter, by value. All addresses are device addresses.
struct SnapshotArgs {
  uint64_t ring;     // SnapshotSlot[mask + 1], host-mapped
  uint64_t tickets;  // uint64 counter of slots handed out
  uint64_t counter;  // SnapshotCounter of this node
  uint32_t mask;
  uint32_t exec_id;
  uint32_t node;
  uint16_t place;
  uint16_t sources;  // 0: only loads the kernel, writes nothing
  SnapshotSource source[kSnapshotSources];
};
static_assert(sizeof(SnapshotArgs) == 40 + 16 * kSnapshotSources);
static_assert(offsetof(SnapshotArgs, source) == 40);

}  // namespace lamplight::shim
