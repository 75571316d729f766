#include "fake_fabric.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "tests/unit/kernels/multicast_relay.h"

namespace lamplight::kernels::test {
namespace {

constexpr size_t kGranularity = 2u << 20;

struct Physical {
  int file;
  int references;
  unsigned devices = 0;  // of a multicast object that it takes; 0: memory
  unsigned joined = 0;
  size_t bytes = 0;
  std::vector<CUmemGenericAllocationHandle> bound = {};
};

struct State {
  std::mutex mutex;
  Missing missing = Missing::kNothing;
  bool fail_map = false;
  FakeFabricCounts counts{};
  std::map<CUmemGenericAllocationHandle, Physical> physical;
  std::map<CUdeviceptr, CUmemGenericAllocationHandle> mappings;
  CUmemGenericAllocationHandle next = 100;
  CUmemGenericAllocationHandle multicast = 0;  // the one that was made last
};

State& TheState() {
  static State& state = *new State;
  return state;
}

CUresult DeviceGet(CUdevice* device, int ordinal) {
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult DeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  const Missing missing = TheState().missing;
  *value = 1;
  if (attribute == CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED) {
    *value = missing != Missing::kFabricHandles;
  }
  if (attribute == CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED) *value = missing != Missing::kMulticast;
  return CUDA_SUCCESS;
}

CUresult GetErrorName(CUresult, const char** name) {
  *name = "CUDA_ERROR_FAKE";
  return CUDA_SUCCESS;
}

CUresult Create(CUmemGenericAllocationHandle* handle, size_t bytes, unsigned devices) {
  if (bytes == 0 || bytes % kGranularity != 0) return CUDA_ERROR_INVALID_VALUE;
  const int file = memfd_create("fake_fabric", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, static_cast<off_t>(bytes)) != 0) return CUDA_ERROR_OUT_OF_MEMORY;
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  *handle = state.next++;
  state.physical[*handle] = {file, 1, devices, 0, bytes};
  ++state.counts.physical;
  return CUDA_SUCCESS;
}

CUresult MemCreate(CUmemGenericAllocationHandle* handle, size_t bytes,
                   const CUmemAllocationProp* memory, unsigned long long) {
  if (memory->requestedHandleTypes != CU_MEM_HANDLE_TYPE_FABRIC) return CUDA_ERROR_INVALID_VALUE;
  return Create(handle, bytes, 0);
}

CUresult MemRelease(CUmemGenericAllocationHandle handle) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  const auto found = state.physical.find(handle);
  if (found == state.physical.end()) return CUDA_ERROR_INVALID_VALUE;
  if (--found->second.references > 0) return CUDA_SUCCESS;
  close(found->second.file);
  state.physical.erase(found);
  --state.counts.physical;
  return CUDA_SUCCESS;
}

CUresult MemAddressReserve(CUdeviceptr* address, size_t bytes, size_t, CUdeviceptr,
                           unsigned long long) {
  void* reserved = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (reserved == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  *address = reinterpret_cast<CUdeviceptr>(reserved);
  const std::lock_guard lock(TheState().mutex);
  ++TheState().counts.reserved;
  return CUDA_SUCCESS;
}

CUresult MemAddressFree(CUdeviceptr address, size_t bytes) {
  munmap(reinterpret_cast<void*>(address), bytes);
  const std::lock_guard lock(TheState().mutex);
  --TheState().counts.reserved;
  return CUDA_SUCCESS;
}

CUresult MemMap(CUdeviceptr address, size_t bytes, size_t, CUmemGenericAllocationHandle handle,
                unsigned long long) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  if (std::exchange(state.fail_map, false)) return CUDA_ERROR_UNKNOWN;
  const auto found = state.physical.find(handle);
  if (found == state.physical.end()) return CUDA_ERROR_INVALID_VALUE;
  void* mapped = mmap(reinterpret_cast<void*>(address), bytes, PROT_NONE, MAP_SHARED | MAP_FIXED,
                      found->second.file, 0);
  if (mapped == MAP_FAILED) return CUDA_ERROR_UNKNOWN;
  state.mappings[address] = handle;
  ++state.counts.mapped;
  return CUDA_SUCCESS;
}

CUresult MemUnmap(CUdeviceptr address, size_t) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  if (state.mappings.erase(address) == 0) return CUDA_ERROR_INVALID_VALUE;
  --state.counts.mapped;
  return CUDA_SUCCESS;
}

CUresult MemSetAccess(CUdeviceptr address, size_t bytes, const CUmemAccessDesc* access, size_t) {
  if (access->flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE) return CUDA_ERROR_INVALID_VALUE;
  const int failed = mprotect(reinterpret_cast<void*>(address), bytes, PROT_READ | PROT_WRITE);
  return failed == 0 ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN;
}

CUresult GetGranularity(size_t* bytes, const CUmemAllocationProp*,
                        CUmemAllocationGranularity_flags) {
  *bytes = kGranularity;
  return CUDA_SUCCESS;
}

CUresult Export(void* out, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type,
                unsigned long long) {
  if (type != CU_MEM_HANDLE_TYPE_FABRIC) return CUDA_ERROR_INVALID_VALUE;
  std::memset(out, 0x5a, sizeof(CUmemFabricHandle));
  std::memcpy(out, &handle, sizeof handle);
  return CUDA_SUCCESS;
}

CUresult Import(CUmemGenericAllocationHandle* handle, void* in, CUmemAllocationHandleType) {
  State& state = TheState();
  std::unique_lock lock(state.mutex);
  std::memcpy(handle, in, sizeof *handle);
  const auto found = state.physical.find(*handle);
  if (found == state.physical.end()) return CUDA_ERROR_INVALID_HANDLE;
  if (state.missing != Missing::kStores) {
    ++found->second.references;
    return CUDA_SUCCESS;
  }
  lock.unlock();
  return Create(handle, 32 * kGranularity, 0);
}

// For the test itself; never unmapped.
uint32_t* Map(const Physical& physical) {
  void* mapped =
      mmap(nullptr, physical.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, physical.file, 0);
  return static_cast<uint32_t*>(mapped);
}

CUresult MulticastCreate(CUmemGenericAllocationHandle* handle,
                         const CUmulticastObjectProp* object) {
  const CUresult result = Create(handle, object->size, object->numDevices);
  if (result != CUDA_SUCCESS) return result;
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  const Physical& made = state.physical.at(*handle);
  std::fill_n(Map(made), made.bytes / 4, MulticastRelay::kBlank);
  state.multicast = *handle;
  return CUDA_SUCCESS;
}

CUresult MulticastAddDevice(CUmemGenericAllocationHandle handle, CUdevice) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  const auto found = state.physical.find(handle);
  if (found == state.physical.end()) return CUDA_ERROR_INVALID_VALUE;
  ++found->second.joined;
  ++state.counts.joined;
  return CUDA_SUCCESS;
}

CUresult MulticastBindMem(CUmemGenericAllocationHandle handle, size_t object_offset,
                          CUmemGenericAllocationHandle memory, size_t offset, size_t,
                          unsigned long long) {
  if (object_offset != 0 || offset != 0) return CUDA_ERROR_INVALID_VALUE;
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  const auto found = state.physical.find(handle);
  if (found == state.physical.end()) return CUDA_ERROR_INVALID_VALUE;
  if (found->second.joined < found->second.devices) ++state.counts.early_bindings;
  ++state.counts.bound;
  found->second.bound.push_back(memory);
  return CUDA_SUCCESS;
}

CUresult MulticastUnbind(CUmemGenericAllocationHandle, CUdevice, size_t, size_t) {
  const std::lock_guard lock(TheState().mutex);
  --TheState().counts.bound;
  return CUDA_SUCCESS;
}

CUresult MulticastGetGranularity(size_t* bytes, const CUmulticastObjectProp*,
                                 CUmulticastGranularity_flags) {
  *bytes = kGranularity;
  return CUDA_SUCCESS;
}

constexpr DriverApi kApi = {
    .device_get = DeviceGet,
    .device_get_attribute = DeviceGetAttribute,
    .get_error_name = GetErrorName,
    .mem_create = MemCreate,
    .mem_release = MemRelease,
    .mem_address_reserve = MemAddressReserve,
    .mem_address_free = MemAddressFree,
    .mem_map = MemMap,
    .mem_unmap = MemUnmap,
    .mem_set_access = MemSetAccess,
    .mem_get_allocation_granularity = GetGranularity,
    .mem_export_to_shareable_handle = Export,
    .mem_import_from_shareable_handle = Import,
    .multicast_create = MulticastCreate,
    .multicast_add_device = MulticastAddDevice,
    .multicast_bind_mem = MulticastBindMem,
    .multicast_unbind = MulticastUnbind,
    .multicast_get_granularity = MulticastGetGranularity,
};

}  // namespace

FakeFabric::FakeFabric(Missing missing) {
  TheState().counts = {};
  TheState().missing = missing;
  UseDriver(&kApi);
}

FakeFabric::~FakeFabric() { UseDriver(nullptr); }

FakeFabricCounts FakeFabric::Counts() {
  const std::lock_guard lock(TheState().mutex);
  return TheState().counts;
}

void FakeFabric::FailNextMap() {
  const std::lock_guard lock(TheState().mutex);
  TheState().fail_map = true;
}

FakeFabric::Bound FakeFabric::TheMulticast() {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  const Physical& object = state.physical.at(state.multicast);
  Bound bound{Map(object), {}};
  for (const auto handle : object.bound) bound.buffers.push_back(Map(state.physical.at(handle)));
  return bound;
}

bool FakeFabric::IsMulticast(const void* address) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  const auto mapping = state.mappings.find(reinterpret_cast<CUdeviceptr>(address));
  return mapping != state.mappings.end() && state.physical.at(mapping->second).devices > 0;
}

}  // namespace lamplight::kernels::test
