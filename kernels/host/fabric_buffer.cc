#include "kernels/host/fabric_buffer.h"

#include <algorithm>
#include <cstring>

namespace lamplight::kernels {
namespace {

constexpr CUmemAllocationHandleType kHandleType = CU_MEM_HANDLE_TYPE_FABRIC;
static_assert(sizeof(CUmemFabricHandle) == kHandleBytes);

CUmemAllocationProp MemoryOn(int ordinal) {
  CUmemAllocationProp memory{};
  memory.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  memory.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  memory.location.id = ordinal;
  memory.requestedHandleTypes = kHandleType;
  return memory;
}

// Drops what it imported where that fails to map.
Status Import(const Fabric& fabric, const BufferHandle& handle, uint64_t bytes,
              std::unique_ptr<FabricRegion>* region) {
  CUmemFabricHandle fabric_handle;
  std::memcpy(&fabric_handle, handle.bytes, sizeof fabric_handle);
  CUmemGenericAllocationHandle imported = 0;
  LAMPLIGHT_TRY_DRIVER(fabric.api(), mem_import_from_shareable_handle, &imported, &fabric_handle,
                       kHandleType);
  *region = std::make_unique<FabricRegion>(fabric.api(), imported, bytes);
  return {};
}

class FabricBuffer final : public Buffer {
 public:
  FabricBuffer(std::unique_ptr<FabricRegion> region, int ordinal) : region_(std::move(region)) {
    address_ = region_->address();
    device_ = ordinal;
  }
  Status Export(BufferHandle* handle) const override { return region_->Export(handle); }
  const FabricRegion& region() const { return *region_; }

 private:
  std::unique_ptr<FabricRegion> region_;
};

}  // namespace

FabricRegion::~FabricRegion() {
  if (mapped_) static_cast<void>(api_.mem_unmap(address_, bytes_));
  if (address_ != 0) static_cast<void>(api_.mem_address_free(address_, bytes_));
  static_cast<void>(api_.mem_release(handle_));
}

Status FabricRegion::Map(CUdevice device) {
  LAMPLIGHT_TRY_DRIVER(api_, mem_address_reserve, &address_, bytes_, 0, 0, 0);
  LAMPLIGHT_TRY_DRIVER(api_, mem_map, address_, bytes_, 0, handle_, 0);
  mapped_ = true;
  CUmemAccessDesc access{};
  access.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  access.location.id = device;
  access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  LAMPLIGHT_TRY_DRIVER(api_, mem_set_access, address_, bytes_, &access, 1);
  return {};
}

Status FabricRegion::Export(BufferHandle* handle) const {
  CUmemFabricHandle exported{};
  LAMPLIGHT_TRY_DRIVER(api_, mem_export_to_shareable_handle, &exported, handle_, kHandleType, 0);
  std::memcpy(handle->bytes, &exported, sizeof exported);
  return {};
}

Status Fabric::Open(int device, bool multicast, std::unique_ptr<Fabric>* fabric) {
  const DriverApi* api = nullptr;
  LAMPLIGHT_TRY(GetDriver(&api));
  std::unique_ptr<Fabric> made(new Fabric(*api, device));
  LAMPLIGHT_TRY(made->Check(multicast));
  LAMPLIGHT_TRY(made->ReadGranularity(multicast));
  *fabric = std::move(made);
  return {};
}

Status Fabric::CheckAttribute(CUdevice_attribute attribute, const char* what) const {
  int value = 0;
  const CUresult result = api_.device_get_attribute(&value, attribute, device_);
  if (result == CUDA_SUCCESS && value != 0) return {};
  return Error(
      LAMPLIGHT_ERROR_UNSUPPORTED,
      "options->memory is FABRIC and device %d has no %s: use LAMPLIGHT_MEMORY_IPC within a "
      "host; between hosts, NVLink needs IMEX",
      ordinal_, what);
}

Status Fabric::Check(bool multicast) {
  LAMPLIGHT_TRY_DRIVER(api_, device_get, &device_, ordinal_);
  LAMPLIGHT_TRY(CheckAttribute(CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
                               "virtual memory management"));
  LAMPLIGHT_TRY(CheckAttribute(CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED, "fabric handles"));
  if (api_.mem_create == nullptr || api_.mem_map == nullptr) {
    return Error(LAMPLIGHT_ERROR_UNSUPPORTED, "the CUDA driver has no cuMemCreate and cuMemMap");
  }
  if (!multicast) return {};
  LAMPLIGHT_TRY(CheckAttribute(CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED, "NVLink multicast"));
  if (api_.multicast_create != nullptr && api_.multicast_bind_mem != nullptr) return {};
  return Error(LAMPLIGHT_ERROR_UNSUPPORTED, "the CUDA driver has no cuMulticastCreate");
}

Status Fabric::ReadGranularity(bool multicast) {
  const CUmemAllocationProp memory = MemoryOn(device_);
  size_t granularity = 0;
  LAMPLIGHT_TRY_DRIVER(api_, mem_get_allocation_granularity, &granularity, &memory,
                       CU_MEM_ALLOC_GRANULARITY_RECOMMENDED);
  granularity_ = granularity;
  if (!multicast) return {};
  CUmulticastObjectProp object{};
  object.numDevices = 2;
  object.size = granularity;
  object.handleTypes = kHandleType;
  LAMPLIGHT_TRY_DRIVER(api_, multicast_get_granularity, &granularity, &object,
                       CU_MULTICAST_GRANULARITY_MINIMUM);
  granularity_ = std::max<uint64_t>(granularity_, granularity);
  return {};
}

uint64_t Fabric::RoundUp(uint64_t bytes) const {
  return (bytes + granularity_ - 1) / granularity_ * granularity_;
}

Status Fabric::Allocate(uint64_t bytes, std::shared_ptr<Buffer>* buffer) const {
  const CUmemAllocationProp memory = MemoryOn(device_);
  CUmemGenericAllocationHandle handle = 0;
  LAMPLIGHT_TRY_DRIVER(api_, mem_create, &handle, RoundUp(bytes), &memory, 0);
  auto region = std::make_unique<FabricRegion>(api_, handle, RoundUp(bytes));
  LAMPLIGHT_TRY(region->Map(device_));
  *buffer = std::make_shared<FabricBuffer>(std::move(region), ordinal_);
  return {};
}

Status Fabric::Open(const BufferHandle& handle, uint64_t bytes, Mapping* mapping) const {
  std::unique_ptr<FabricRegion> imported;
  LAMPLIGHT_TRY(Import(*this, handle, RoundUp(bytes), &imported));
  LAMPLIGHT_TRY(imported->Map(device_));
  const std::shared_ptr<FabricRegion> region = std::move(imported);
  *mapping = Mapping(region, region->address());
  return {};
}

Multicast::~Multicast() {
  if (!bound_) return;
  static_cast<void>(
      fabric_.api().multicast_unbind(region_->handle(), fabric_.device(), 0, region_->bytes()));
}

Status Multicast::Make(uint32_t world, uint64_t bytes, BufferHandle* handle) {
  CUmulticastObjectProp object{};
  object.numDevices = world;
  object.size = fabric_.RoundUp(bytes);
  object.handleTypes = kHandleType;
  CUmemGenericAllocationHandle made = 0;
  LAMPLIGHT_TRY_DRIVER(fabric_.api(), multicast_create, &made, &object);
  region_ = std::make_unique<FabricRegion>(fabric_.api(), made, object.size);
  return region_->Export(handle);
}

Status Multicast::Open(const BufferHandle& handle, uint64_t bytes) {
  return Import(fabric_, handle, fabric_.RoundUp(bytes), &region_);
}

Status Multicast::Join() const {
  LAMPLIGHT_TRY_DRIVER(fabric_.api(), multicast_add_device, region_->handle(), fabric_.device());
  return {};
}

Status Multicast::Bind(const Buffer& buffer) {
  const auto& memory = static_cast<const FabricBuffer&>(buffer).region();
  LAMPLIGHT_TRY_DRIVER(fabric_.api(), multicast_bind_mem, region_->handle(), 0, memory.handle(), 0,
                       region_->bytes(), 0);
  bound_ = true;
  return region_->Map(fabric_.device());
}

}  // namespace lamplight::kernels
