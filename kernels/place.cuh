// Where a thread stands in its call: one cluster of blocks for each token, one slot of the row for
// each thread. Device code; no state beyond the launch.
#pragma once

#include "kernels/collective_call.h"
#include "kernels/machine.cuh"
#include "kernels/packet_layout.h"

namespace lamplight::kernels {

template <Protocol kProtocol, DataType kType>
struct Place {
  static constexpr bool kPairs = LayoutOf(kProtocol).pairs;
  static constexpr uint32_t kNoUnit = 0xffffffffu;

  uint32_t cluster = machine::Cluster();
  // The cluster's number among those that do what it does, and how many these are: all of the grid,
  // but in streamed kernels.
  uint32_t index = cluster;
  uint32_t alike = machine::Clusters();
  uint32_t token = cluster;  // other kernels than general ones go on to others, `alike` further on
  uint32_t threads = machine::BlockThreads() * machine::BlocksOfCluster();
  uint32_t thread = machine::BlockOfCluster() * machine::BlockThreads() + machine::Thread();
  uint32_t row_bytes;  // of a tensor
  uint32_t units;
  uint32_t slots;
  uint64_t packet_row_bytes;  // of a buffer

  explicit LAMPLIGHT_DEVICE Place(const CollectiveCall& call)
      : row_bytes(call.hidden * BytesOf(kType)),
        units(LayoutOf(kProtocol).Units(row_bytes)),
        slots(LayoutOf(kProtocol).Slots(row_bytes)),
        packet_row_bytes(LayoutOf(kProtocol).RowBytes(row_bytes)) {}

  // In streamed kernels the first clusters only send, the others do all else.
  LAMPLIGHT_DEVICE bool OnlySends(const CollectiveCall& call) const {
    return cluster < call.senders;
  }
  LAMPLIGHT_DEVICE void TakeRole(const CollectiveCall& call) {
    alike = OnlySends(call) ? call.senders : alike - call.senders;
    index -= OnlySends(call) ? 0 : call.senders;
    token = index;
  }

  // True for all lanes of a warp alike: a warp sends and looks as one.
  LAMPLIGHT_DEVICE bool WarpHas(uint32_t slot) const {
    return slot - machine::Thread() % machine::kWarp < slots;
  }
  // The unit that a slot carries; kNoUnit where it carries none.
  LAMPLIGHT_DEVICE uint32_t UnitOf(uint32_t slot) const {
    if constexpr (!kPairs) return slot < slots ? slot : kNoUnit;
    const uint32_t in_pair = slot % kPairSlots;
    const uint32_t unit = slot / kPairSlots * kPairUnits + in_pair;
    return in_pair < kPairUnits && unit < units ? unit : kNoUnit;
  }

  // The unit's place in a tensor of `tokens` rows.
  template <class Words, class Bytes>
  LAMPLIGHT_DEVICE Words* InTensor(Bytes* tensor, uint32_t unit) const {
    return reinterpret_cast<Words*>(
        const_cast<char*>(static_cast<const char*>(static_cast<const void*>(tensor))) +
        static_cast<uint64_t>(token) * row_bytes + static_cast<uint64_t>(unit) * kUnitBytes);
  }

  // The threads of all clusters alike in a row, for work that they share.
  LAMPLIGHT_DEVICE uint32_t GridThread() const { return index * threads + thread; }
  LAMPLIGHT_DEVICE uint32_t GridThreads() const { return alike * threads; }
  LAMPLIGHT_DEVICE bool FirstOfCluster() const { return thread == 0; }
  LAMPLIGHT_DEVICE bool FirstOfGrid() const { return cluster == 0 && thread == 0; }
};

}  // namespace lamplight::kernels
