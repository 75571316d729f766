// The allocation table. Thread-safe: one lock, never held across system calls that can block.
#include "tests/device_sim/memory.h"

#include <sys/mman.h>

#include <atomic>
#include <map>
#include <mutex>

#include "tests/device_sim/capture.h"
#include "tests/device_sim/device.h"

namespace device_sim {
namespace {

struct Table {
  std::mutex mutex;
  std::map<uintptr_t, Allocation> by_start;
};

Table& TheTable() {
  static Table& table = *new Table;
  return table;
}

std::optional<Allocation> FindLocked(Table& table, uintptr_t address) {
  auto found = table.by_start.upper_bound(address);
  if (found == table.by_start.begin()) return std::nullopt;
  --found;
  if (!found->second.Contains(address, 1)) return std::nullopt;
  return found->second;
}

constexpr unsigned kHostFlags =
    CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;

}  // namespace

std::optional<Allocation> FindAllocation(uintptr_t address) {
  Table& table = TheTable();
  const std::lock_guard lock(table.mutex);
  return FindLocked(table, address);
}

void AddAllocation(Allocation allocation) {
  static std::atomic<uint64_t> next_id{1};
  allocation.id = next_id.fetch_add(1);
  Table& table = TheTable();
  const std::lock_guard lock(table.mutex);
  table.by_start[allocation.start] = allocation;
}

std::optional<Allocation> RemoveAllocation(uintptr_t start, MemoryKind kind) {
  Table& table = TheTable();
  const std::lock_guard lock(table.mutex);
  const auto found = table.by_start.find(start);
  if (found == table.by_start.end() || found->second.kind != kind) return std::nullopt;
  const Allocation removed = found->second;
  table.by_start.erase(found);
  return removed;
}

bool IsDeviceRange(uintptr_t address, size_t bytes) {
  const auto allocation = FindAllocation(address);
  return allocation && allocation->on_device() && allocation->Contains(address, bytes);
}

bool IsPinnedHost(uintptr_t address) {
  const auto allocation = FindAllocation(address);
  return allocation && !allocation->on_device();
}

Arena& ArenaOf(Device& device) {
  static std::mutex mutex;
  static auto& arenas = *new std::map<int, std::unique_ptr<Arena>>;
  const std::lock_guard lock(mutex);
  auto& arena = arenas[device.ordinal];
  if (arena == nullptr) arena = std::make_unique<Arena>();
  return *arena;
}

Status AllocateDevice(uintptr_t* out, size_t bytes) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  SIM_TRY(CheckUnsafeCall());
  Device& device = *CurrentDevice();
  Arena& arena = ArenaOf(device);
  std::byte* start = arena.base() == nullptr ? nullptr : arena.Allocate(bytes);
  if (start == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  *out = reinterpret_cast<uintptr_t>(start);
  AddAllocation({.start = *out,
                 .bytes = bytes,
                 .kind = MemoryKind::kDevice,
                 .device = &device,
                 .context = &CurrentContext()->memory()});
  return kOk;
}

Status FreeDevice(uintptr_t address) {
  if (address == 0) return kOk;
  SIM_TRY(CheckUnsafeCall());
  const auto allocation = FindAllocation(address);
  if (!allocation || allocation->start != address || allocation->kind != MemoryKind::kDevice) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  // The real call waits for the device, too.
  SIM_TRY(allocation->device->Synchronize());
  if (!RemoveAllocation(address, MemoryKind::kDevice)) return CUDA_ERROR_INVALID_VALUE;
  ArenaOf(*allocation->device).Free(reinterpret_cast<std::byte*>(address), allocation->bytes);
  return kOk;
}

Status AllocateHost(void** out, size_t bytes, unsigned flags) {
  if (out == nullptr || (flags & ~kHostFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  SIM_TRY(CheckUnsafeCall());
  *out = nullptr;
  if (bytes == 0) return kOk;
  void* start = mmap(nullptr, Arena::RoundUp(bytes), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  AddAllocation({.start = reinterpret_cast<uintptr_t>(start),
                 .bytes = bytes,
                 .kind = MemoryKind::kHost,
                 .device = CurrentDevice(),
                 .context = &CurrentContext()->memory(),
                 .flags = flags});
  *out = start;
  return kOk;
}

Status FreeHost(void* address) {
  if (address == nullptr) return kOk;
  SIM_TRY(CheckUnsafeCall());
  const auto start = reinterpret_cast<uintptr_t>(address);
  const auto allocation = FindAllocation(start);
  if (!allocation || allocation->start != start || allocation->kind != MemoryKind::kHost) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  SIM_TRY(allocation->device->Synchronize());
  if (!RemoveAllocation(start, MemoryKind::kHost)) return CUDA_ERROR_INVALID_VALUE;
  munmap(address, Arena::RoundUp(allocation->bytes));
  return kOk;
}

Status RegisterHost(void* address, size_t bytes, unsigned flags) {
  if (address == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  SIM_TRY(CheckUnsafeCall());
  const auto start = reinterpret_cast<uintptr_t>(address);
  if (FindAllocation(start)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  AddAllocation({.start = start,
                 .bytes = bytes,
                 .kind = MemoryKind::kRegistered,
                 .device = CurrentDevice(),
                 .context = &CurrentContext()->memory(),
                 .flags = flags});
  return kOk;
}

Status UnregisterHost(void* address) {
  SIM_TRY(CheckUnsafeCall());
  const auto start = reinterpret_cast<uintptr_t>(address);
  return RemoveAllocation(start, MemoryKind::kRegistered) ? kOk
                                                          : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}

Status HostDevicePointer(uintptr_t* out, void* host, unsigned flags) {
  const auto address = reinterpret_cast<uintptr_t>(host);
  if (out == nullptr || flags != 0 || !IsPinnedHost(address)) return CUDA_ERROR_INVALID_VALUE;
  *out = address;
  return kOk;
}

Status HostFlags(unsigned* out, void* host) {
  const auto allocation = FindAllocation(reinterpret_cast<uintptr_t>(host));
  if (out == nullptr || !allocation || allocation->on_device()) return CUDA_ERROR_INVALID_VALUE;
  *out = allocation->flags | CU_MEMHOSTALLOC_DEVICEMAP;
  return kOk;
}

Status AddressRange(uintptr_t* base, size_t* bytes, uintptr_t address) {
  const auto allocation = FindAllocation(address);
  if (!allocation) return CUDA_ERROR_NOT_FOUND;
  if (base != nullptr) *base = allocation->start;
  if (bytes != nullptr) *bytes = allocation->bytes;
  return kOk;
}

Status MemoryInfo(size_t* free, size_t* total) {
  if (free == nullptr || total == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Arena& arena = ArenaOf(*CurrentDevice());
  *free = arena.free_bytes();
  *total = arena.size();
  return kOk;
}

}  // namespace device_sim
