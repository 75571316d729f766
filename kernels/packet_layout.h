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

// kEpoch: lines of 128 bytes, 15 units of 8 bytes and the epoch in the last 8.
inline constexpr uint32_t kLineBytes = 128;
inline constexpr uint32_t kLineSlots = 16;
inline constexpr uint32_t kLineUnits = 15;

struct PacketLayout {
  uint32_t unit_bytes;
  bool lines;

  LAMPLIGHT_HD constexpr uint32_t Units(uint32_t row_bytes) const { return row_bytes / unit_bytes; }
  LAMPLIGHT_HD constexpr uint32_t Lines(uint32_t row_bytes) const {
    return (Units(row_bytes) + kLineUnits - 1) / kLineUnits;
  }
  // Threads that a row keeps busy.
  LAMPLIGHT_HD constexpr uint32_t Slots(uint32_t row_bytes) const {
    return lines ? Lines(row_bytes) * kLineSlots : Units(row_bytes);
  }
  // Bytes that a row takes in a buffer.
  LAMPLIGHT_HD constexpr uint64_t RowBytes(uint64_t row_bytes) const {
    return lines ? uint64_t{Lines(static_cast<uint32_t>(row_bytes))} * kLineBytes : row_bytes;
  }
};

LAMPLIGHT_HD constexpr PacketLayout LayoutOf(Protocol protocol) {
  return protocol == Protocol::kEpoch ? PacketLayout{8, true} : PacketLayout{16, false};
}

static_assert(LayoutOf(Protocol::kEpoch).Slots(8192) == 69 * 16);
static_assert(LayoutOf(Protocol::kMnnvl).Slots(8192) == 512);

}  // namespace lamplight::kernels
