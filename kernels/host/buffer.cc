// Pure; thread-safe.
#include "kernels/host/buffer.h"

namespace lamplight::kernels {
namespace {

constexpr uint64_t kLine = 128;

constexpr uint64_t RoundUp(uint64_t value, uint64_t step) {
  return (value + step - 1) / step * step;
}

}  // namespace

BufferLayout PlanBuffer(const Capacity& capacity) {
  // An IPC handle names whole blocks of the driver's allocator; memory of this granularity has its
  // own, so that a peer's mapping begins at the buffer.
  constexpr uint64_t kBlock = 2u << 20;
  BufferLayout layout;
  layout.generations = capacity.protocol == Protocol::kEpoch ? 2 : 3;
  layout.header_offset = layout.generations * capacity.generation_bytes;
  layout.lease_offset =
      layout.header_offset + RoundUp(uint64_t{capacity.world} * sizeof(Header), kLine);
  layout.probe_offset =
      layout.lease_offset + RoundUp(uint64_t{capacity.world} * sizeof(uint32_t), kLine);
  const uint64_t end = layout.probe_offset + uint64_t{capacity.world} * sizeof(uint64_t);
  layout.bytes = RoundUp(end, kBlock);
  return layout;
}

}  // namespace lamplight::kernels
