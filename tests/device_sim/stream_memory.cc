// Thread-safe: one lock over the eager allocations.
#include "tests/device_sim/stream_memory.h"

#include <mutex>
#include <unordered_map>

#include "tests/device_sim/context.h"
#include "tests/device_sim/memory.h"
#include "tests/device_sim/submit.h"

namespace device_sim {
namespace {

struct Kept {
  std::mutex mutex;
  std::unordered_map<uintptr_t, std::shared_ptr<StreamMemory>> by_address;
};

Kept& TheKept() {
  static Kept& kept = *new Kept;
  return kept;
}

}  // namespace

std::shared_ptr<StreamMemory> StreamMemory::Make(Stream& stream, size_t bytes) {
  Arena& arena = ArenaOf(stream.device());
  std::byte* start = arena.base() == nullptr ? nullptr : arena.Allocate(bytes);
  if (start == nullptr) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(start);
  AddAllocation({.start = address,
                 .bytes = bytes,
                 .kind = MemoryKind::kStreamOrdered,
                 .device = &stream.device(),
                 .context = &stream.context().memory()});
  return std::shared_ptr<StreamMemory>(new StreamMemory(address));
}

StreamMemory::~StreamMemory() {
  const auto allocation = RemoveAllocation(address_, MemoryKind::kStreamOrdered);
  if (!allocation) return;
  ArenaOf(*allocation->device).Free(reinterpret_cast<std::byte*>(address_), allocation->bytes);
}

void StreamMemory::Keep(std::shared_ptr<StreamMemory> memory) {
  Kept& kept = TheKept();
  const std::lock_guard lock(kept.mutex);
  kept.by_address[memory->address()] = std::move(memory);
}

Status StreamMemory::Release(uintptr_t address) {
  Kept& kept = TheKept();
  const std::lock_guard lock(kept.mutex);
  return kept.by_address.erase(address) == 1 ? kOk : CUDA_ERROR_INVALID_VALUE;
}

Status AllocateInOrder(Stream& stream, uintptr_t* out, size_t bytes) {
  if (out == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  std::shared_ptr<StreamMemory> memory = StreamMemory::Make(stream, bytes);
  if (memory == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  *out = memory->address();
  if (stream.capturing) return Submit(stream, AllocateCall{std::move(memory)});
  StreamMemory::Keep(std::move(memory));
  return kOk;
}

Status FreeInOrder(Stream& stream, uintptr_t address) {
  if (address == 0) return kOk;
  const auto allocation = FindAllocation(address);
  if (!allocation || allocation->start != address ||
      allocation->kind != MemoryKind::kStreamOrdered) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return Submit(stream, FreeCall{address, stream.capturing});
}

}  // namespace device_sim
