// The buffer that a rank shares with its peers: what lies where, who owns it, how peers reach it.
//
// A Buffer is immutable once allocated; its functions are thread-safe.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/host/capacity.h"
#include "kernels/host/status.h"

namespace lamplight::kernels {

inline constexpr uint32_t kHandleBytes = 64;

// Offsets and sizes in bytes.
struct BufferLayout {
  uint64_t generations = 0;    // how many there are, from offset 0 on
  uint64_t header_offset = 0;  // one Header for each rank
  uint64_t lease_offset = 0;   // a word for each rank: it has mapped the buffer from elsewhere
  uint64_t probe_offset = 0;   // a 64-bit word for each rank: stores of that rank arrive
  uint64_t bytes = 0;          // of all
};
BufferLayout PlanBuffer(const Capacity& capacity);

struct BufferHandle {
  uint8_t bytes[kHandleBytes];
};

// Where the ranks' buffers are, as one rank sees them. Holding it keeps a mapping alive.
using Mapping = std::shared_ptr<void>;

// One rank's own memory. Invariant: `address` is valid until destruction.
class Buffer {
 public:
  virtual ~Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  virtual Status Export(BufferHandle* handle) const = 0;
  void* address() const { return address_; }
  int device() const { return device_; }

 protected:
  Buffer() = default;

  void* address_ = nullptr;
  int device_ = 0;
};

}  // namespace lamplight::kernels
