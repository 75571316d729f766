// Allocations of the process as CUDA sees them: device memory, pinned host memory, IPC mappings.
//
// Thread-safe. Host and device addresses are the same (unified addressing).
#pragma once

#include <cuda.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "tests/device_sim/arena.h"
#include "tests/device_sim/status.h"

namespace device_sim {

class Context;
struct Device;

enum class MemoryKind { kDevice, kHost, kRegistered, kImported, kStreamOrdered };

struct Allocation {
  uintptr_t start = 0;
  size_t bytes = 0;
  MemoryKind kind = MemoryKind::kDevice;
  Device* device = nullptr;
  Context* context = nullptr;  // whose kernels see it, where it is device memory of this process
  unsigned flags = 0;          // of pinned host memory
  uint64_t id = 0;

  bool on_device() const { return kind != MemoryKind::kHost && kind != MemoryKind::kRegistered; }
  bool Contains(uintptr_t address, size_t length) const {
    return address >= start && length <= bytes && address - start <= bytes - length;
  }
};

// The allocation that holds the address.
std::optional<Allocation> FindAllocation(uintptr_t address);
void AddAllocation(Allocation allocation);
std::optional<Allocation> RemoveAllocation(uintptr_t start, MemoryKind kind);
// True when all of [address, address + bytes) lies in one live allocation on a device.
bool IsDeviceRange(uintptr_t address, size_t bytes);
bool IsPinnedHost(uintptr_t address);
Arena& ArenaOf(Device& device);

// The entries' bodies. All are unsafe during captures and check it.
Status AllocateDevice(uintptr_t* out, size_t bytes);
Status FreeDevice(uintptr_t address);
Status AllocateHost(void** out, size_t bytes, unsigned flags);
Status FreeHost(void* address);
Status RegisterHost(void* address, size_t bytes, unsigned flags);
Status UnregisterHost(void* address);
Status HostDevicePointer(uintptr_t* out, void* host, unsigned flags);
Status HostFlags(unsigned* out, void* host);
Status AddressRange(uintptr_t* base, size_t* bytes, uintptr_t address);
Status MemoryInfo(size_t* free, size_t* total);
Status PointerAttribute(void* out, CUpointer_attribute attribute, uintptr_t address);

// Memory of other processes, by 64-byte handles.
Status IpcExport(void* handle, uintptr_t address);
Status IpcOpen(uintptr_t* out, const void* handle, unsigned flags);
Status IpcClose(uintptr_t address);

}  // namespace device_sim
