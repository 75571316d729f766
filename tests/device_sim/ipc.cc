// Device memory of other processes, mapped through their file descriptors. Thread-safe.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>

#include "tests/device_sim/capture.h"
#include "tests/device_sim/device.h"
#include "tests/device_sim/memory.h"

namespace device_sim {
namespace {

// The content of a cudaIpcMemHandle_t.
struct Handle {
  uint64_t magic;
  uint64_t identity;  // of the arena
  int32_t pid;
  int32_t file;
  int32_t device;
  int32_t reserved;
  uint64_t offset;
  uint64_t bytes;
};
static_assert(sizeof(Handle) <= sizeof(CUipcMemHandle));

// Opening one allocation twice gives one mapping, as on the real driver.
struct Mapping {
  uintptr_t start = 0;
  size_t bytes = 0;
  int users = 0;
};
using MappingKey = std::pair<uint64_t, uint64_t>;  // arena identity, offset

struct Mappings {
  std::mutex mutex;
  std::map<MappingKey, Mapping> by_key;
};

Mappings& TheMappings() {
  static Mappings& mappings = *new Mappings;
  return mappings;
}

bool IsTheArena(int file, uint64_t identity) {
  ArenaHeader header{};
  return pread(file, &header, sizeof header, 0) == sizeof header && header.magic == kArenaMagic &&
         header.identity == identity;
}

// Null where the exporter is gone or is another process by now.
void* MapPeer(const Handle& handle) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/fd/%d", handle.pid, handle.file);
  const int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* mapped = MAP_FAILED;
  if (IsTheArena(file, handle.identity)) {
    mapped = mmap(nullptr, Arena::RoundUp(handle.bytes), PROT_READ | PROT_WRITE, MAP_SHARED, file,
                  static_cast<off_t>(handle.offset));
  }
  close(file);
  return mapped == MAP_FAILED ? nullptr : mapped;
}

}  // namespace

Status IpcExport(void* out, uintptr_t address) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  SIM_TRY(CheckUnsafeCall());
  const auto allocation = FindAllocation(address);
  if (!allocation || allocation->kind != MemoryKind::kDevice) return CUDA_ERROR_INVALID_VALUE;
  const Arena& arena = ArenaOf(*allocation->device);
  const auto base = reinterpret_cast<uintptr_t>(arena.base());
  const Handle handle{kArenaMagic,
                      arena.identity(),
                      getpid(),
                      arena.file(),
                      allocation->device->ordinal,
                      0,
                      allocation->start - base,
                      allocation->bytes};
  std::memset(out, 0, sizeof(CUipcMemHandle));
  std::memcpy(out, &handle, sizeof handle);
  return kOk;
}

Status IpcOpen(uintptr_t* out, const void* opaque, unsigned flags) {
  if (out == nullptr || flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  SIM_TRY(CheckUnsafeCall());
  Handle handle;
  std::memcpy(&handle, opaque, sizeof handle);
  if (handle.magic != kArenaMagic) return CUDA_ERROR_INVALID_VALUE;
  // The exporter itself cannot open its handle.
  if (handle.pid == getpid()) return CUDA_ERROR_INVALID_CONTEXT;
  Mappings& mappings = TheMappings();
  const std::lock_guard lock(mappings.mutex);
  Mapping& mapping = mappings.by_key[{handle.identity, handle.offset}];
  if (mapping.users == 0) {
    void* mapped = MapPeer(handle);
    if (mapped == nullptr) {
      mappings.by_key.erase({handle.identity, handle.offset});
      return CUDA_ERROR_INVALID_HANDLE;
    }
    mapping = {reinterpret_cast<uintptr_t>(mapped), handle.bytes, 0};
    AddAllocation({.start = mapping.start,
                   .bytes = mapping.bytes,
                   .kind = MemoryKind::kImported,
                   .device = CurrentDevice(),
                   .context = &CurrentContext()->memory()});
  }
  ++mapping.users;
  *out = mapping.start;
  return kOk;
}

Status IpcClose(uintptr_t address) {
  SIM_TRY(CheckUnsafeCall());
  Mappings& mappings = TheMappings();
  const std::lock_guard lock(mappings.mutex);
  for (auto& [key, mapping] : mappings.by_key) {
    if (mapping.start != address) continue;
    if (--mapping.users > 0) return kOk;
    // Running kernels may still write there: the process must survive what would fail on a GPU.
    if (Device* device = CurrentDevice()) device->Synchronize();
    RemoveAllocation(address, MemoryKind::kImported);
    munmap(reinterpret_cast<void*>(address), Arena::RoundUp(mapping.bytes));
    mappings.by_key.erase(key);
    return kOk;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

}  // namespace device_sim
