// Buffers of cudaMalloc that reach other processes through CUDA IPC, and other threads as they are.
//
// Freeing memory that another process maps is undefined in CUDA. So whoever maps a buffer says so
// in a word of the buffer, a lease, and takes it back before closing the mapping; memory under
// lease is set aside and freed when a later call of this library finds the leases gone.
// Thread-safe.
#pragma once

#include <atomic>
#include <memory>

#include "kernels/host/buffer.h"

namespace lamplight::kernels {

class IpcBuffer final : public Buffer {
 public:
  // On the current device, zeroed.
  static Status Allocate(const BufferLayout& layout, uint32_t world,
                         std::shared_ptr<IpcBuffer>* buffer);
  ~IpcBuffer() override;

  Status Export(BufferHandle* handle) const override;
  // Names the buffer within the process.
  uint64_t token() const { return token_; }
  // Never frees the memory: a process that cannot be asked may map it at any time.
  void Abandon() { abandoned_ = true; }

 private:
  IpcBuffer() = default;

  BufferLayout layout_;
  uint32_t world_ = 0;
  uint64_t token_ = 0;
  std::atomic<bool> abandoned_{false};
};

// The live buffer of this process with that token, made reachable from the current device.
Status FindBuffer(uint64_t token, Mapping* mapping);

// A buffer of another process, mapped for the current device; `rank` takes the lease.
Status OpenIpc(const BufferHandle& handle, const BufferLayout& layout, uint32_t rank,
               Mapping* mapping);

// Frees what was set aside and is under no lease any more. Returns how many buffers remain.
size_t FreeUnleased();

}  // namespace lamplight::kernels
