#include "shim/pinned_memory.h"

#include <sys/mman.h>

#include <cstring>

namespace lamplight::shim {
namespace {

// Shared, and not there in a forked child: with pages that are copied at the next store, as private
// ones are after a fork, host and device would no longer see the same.
void* Map(size_t bytes) noexcept {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  madvise(memory, bytes, MADV_DONTFORK);
  return memory;
}

void* Register(const DriverApi& driver, size_t bytes) noexcept {
  if (driver.MemHostRegister == nullptr) return nullptr;
  void* memory = Map(bytes);
  if (memory == nullptr) return nullptr;
  constexpr unsigned kFlags = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP;
  if (driver.MemHostRegister(memory, bytes, kFlags) == CUDA_SUCCESS) return memory;
  munmap(memory, bytes);
  return nullptr;
}

void* Allocate(const DriverApi& driver, size_t bytes) noexcept {
  constexpr unsigned kFlags = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP;
  void* memory = nullptr;
  if (driver.MemHostAlloc(&memory, bytes, kFlags) != CUDA_SUCCESS) return nullptr;
  std::memset(memory, 0, bytes);
  return memory;
}

}  // namespace

std::optional<PinnedMemory> AllocatePinned(const DriverApi& driver, size_t bytes) noexcept {
  PinnedMemory pinned{Register(driver, bytes), 0};
  if (pinned.host == nullptr) pinned.host = Allocate(driver, bytes);
  if (pinned.host == nullptr) return std::nullopt;
  if (driver.MemHostGetDevicePointer(&pinned.device, pinned.host, 0) != CUDA_SUCCESS) {
    return std::nullopt;
  }
  return pinned;
}

}  // namespace lamplight::shim
