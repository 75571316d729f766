// How a row of data is cut into the packets of a protocol: plain arithmetic for host and device.
// No state; thread-safe.
//
// A unit is the piece of a row that one thread carries. A slot is a thread's place in the row loop;
// some slots carry a flag instead of a unit.
#pragma once

#include <cstdint>

#include "kernels/collective_call.h"
#include "kernels/host_device.h"

namespace lamplight::kernels {

// kEpoch: pairs of lines of 128 bytes, each of which ends with the tag of the call; 15 units of 16
// bytes between them. The first tag takes the place of half of the eighth unit; that half lies at
// the end of the second line.
inline constexpr uint32_t kLineBytes = 128;
inline constexpr uint32_t kLineWords = 30;  // of the row
inline constexpr uint32_t kPairBytes = 2 * kLineBytes;
inline constexpr uint32_t kPairSlots = 16;
inline constexpr uint32_t kPairUnits = 15;

// What one thread carries.
inline constexpr uint32_t kUnitBytes = 16;

struct PacketLayout {
  bool pairs;

  LAMPLIGHT_HD constexpr uint32_t Units(uint32_t row_bytes) const { return row_bytes / kUnitBytes; }
  LAMPLIGHT_HD constexpr uint32_t Pairs(uint32_t row_bytes) const {
    return (Units(row_bytes) + kPairUnits - 1) / kPairUnits;
  }
  // Threads that a row keeps busy.
  LAMPLIGHT_HD constexpr uint32_t Slots(uint32_t row_bytes) const {
    return pairs ? Pairs(row_bytes) * kPairSlots : Units(row_bytes);
  }
  // Bytes that a row takes in a buffer.
  LAMPLIGHT_HD constexpr uint64_t RowBytes(uint64_t row_bytes) const {
    return pairs ? uint64_t{Pairs(static_cast<uint32_t>(row_bytes))} * kPairBytes : row_bytes;
  }
};

LAMPLIGHT_HD constexpr PacketLayout LayoutOf(Protocol protocol) {
  return {protocol == Protocol::kEpoch};
}

static_assert(LayoutOf(Protocol::kEpoch).Slots(8192) == 35 * 16);
static_assert(LayoutOf(Protocol::kMnnvl).Slots(8192) == 512);

}  // namespace lamplight::kernels
