// Buffers of virtual memory whose physical memory has a fabric handle, and the multicast object
// over the buffers of all ranks. The driver counts who maps what: ranks can let go in any order.
//
// One thread uses one object.
#pragma once

#include <memory>

#include "kernels/host/buffer.h"
#include "kernels/host/driver_api.h"

namespace lamplight::kernels {

// A piece of physical memory, or a multicast object, and the addresses that it is mapped at.
// Invariant: owns the handle, and what of reservation and mapping there is.
class FabricRegion {
 public:
  FabricRegion(const DriverApi& api, CUmemGenericAllocationHandle handle, uint64_t bytes)
      : api_(api), handle_(handle), bytes_(bytes) {}
  ~FabricRegion();
  FabricRegion(const FabricRegion&) = delete;
  FabricRegion& operator=(const FabricRegion&) = delete;

  // Readable and writable on `device`.
  Status Map(CUdevice device);
  Status Export(BufferHandle* handle) const;

  void* address() const { return reinterpret_cast<void*>(address_); }
  CUmemGenericAllocationHandle handle() const { return handle_; }
  uint64_t bytes() const { return bytes_; }

 private:
  const DriverApi& api_;
  CUmemGenericAllocationHandle handle_;
  uint64_t bytes_;
  CUdeviceptr address_ = 0;
  bool mapped_ = false;
};

// What the device can do, and in which steps memory comes.
class Fabric {
 public:
  // Fails where the device or the driver has no fabric handles, or no multicast if that is asked
  // for.
  static Status Open(int device, bool multicast, std::unique_ptr<Fabric>* fabric);

  // Memory on the device that holds `bytes`, not initialised.
  Status Allocate(uint64_t bytes, std::shared_ptr<Buffer>* buffer) const;
  // A buffer of another rank that was allocated with the same size.
  Status Open(const BufferHandle& handle, uint64_t bytes, Mapping* mapping) const;

  const DriverApi& api() const { return api_; }
  CUdevice device() const { return device_; }
  uint64_t RoundUp(uint64_t bytes) const;

 private:
  Fabric(const DriverApi& api, int ordinal) : api_(api), ordinal_(ordinal) {}
  Status Check(bool multicast);
  Status ReadGranularity(bool multicast);
  Status CheckAttribute(CUdevice_attribute attribute, const char* what) const;

  const DriverApi& api_;
  int ordinal_;
  CUdevice device_ = 0;
  uint64_t granularity_ = 0;
};

// The multicast object: rank 0 makes it, the others open it, all join it with their device, and
// when all have, each binds its buffer and maps the object. Invariant: unbound before the object
// goes.
class Multicast {
 public:
  explicit Multicast(const Fabric& fabric) : fabric_(fabric) {}
  ~Multicast();
  Multicast(const Multicast&) = delete;
  Multicast& operator=(const Multicast&) = delete;

  Status Make(uint32_t world, uint64_t bytes, BufferHandle* handle);
  Status Open(const BufferHandle& handle, uint64_t bytes);
  Status Join() const;
  Status Bind(const Buffer& buffer);
  void* address() const { return region_ == nullptr ? nullptr : region_->address(); }

 private:
  const Fabric& fabric_;
  std::unique_ptr<FabricRegion> region_;
  bool bound_ = false;
};

}  // namespace lamplight::kernels
