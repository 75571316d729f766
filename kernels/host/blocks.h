// Small pieces of memory that a workspace owns alone. One thread uses one object.
#pragma once

#include <cstddef>
#include <utility>

#include "kernels/host/status.h"

namespace lamplight::kernels {

// Device memory. Invariant: owns the address, or is empty.
class DeviceBlock {
 public:
  DeviceBlock() = default;
  DeviceBlock(DeviceBlock&& other) noexcept
      : device_(other.device_), address_(std::exchange(other.address_, nullptr)) {}
  DeviceBlock& operator=(DeviceBlock&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(address_, other.address_);
    return *this;
  }
  ~DeviceBlock();

  // On the current device.
  Status Allocate(size_t bytes);
  void* get() const { return address_; }

 private:
  int device_ = 0;
  void* address_ = nullptr;
};

// Pinned host memory, zeroed, that all devices can store to. Invariant: as above.
class MappedBlock {
 public:
  MappedBlock() = default;
  MappedBlock(MappedBlock&& other) noexcept
      : host_(std::exchange(other.host_, nullptr)), device_(other.device_) {}
  MappedBlock& operator=(MappedBlock&& other) noexcept {
    std::swap(host_, other.host_);
    std::swap(device_, other.device_);
    return *this;
  }
  ~MappedBlock();

  Status Allocate(size_t bytes);
  void* host() const { return host_; }
  void* device() const { return device_; }  // the address for kernels

 private:
  void* host_ = nullptr;
  void* device_ = nullptr;
};

}  // namespace lamplight::kernels
