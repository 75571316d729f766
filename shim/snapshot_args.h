// The contract between the shim's host side and its one kernel, `lamplight_snapshot`: what one
// snapshot node is told. Plain data for host C++, CUDA and the simulated device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/snapshot_slot.h"

namespace lamplight::shim {

inline constexpr char kSnapshotKernel[] = "lamplight_snapshot";
inline constexpr uint32_t kSnapshotSources = 4;

// One workspace's flag words. Indirect: `address` holds a pointer to them (non-MNNVL workspaces).
struct SnapshotSource {
  uint64_t address;
  uint32_t workspace_id;
  uint16_t words;  // at most kSnapshotWords
  uint16_t indirect;
};

// Per snapshot node, in device memory.
struct SnapshotCounter {
  uint64_t runs;
  uint64_t disabled;  // non-zero: the node no longer knows what it would read
};
static_assert(sizeof(SnapshotCounter) == kRunCounterBytes);

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
