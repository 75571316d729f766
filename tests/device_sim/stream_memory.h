// Stream-ordered memory: cuMemAllocAsync and cuMemFreeAsync, eager and captured. There is one pool,
// and it hands out memory at once: what is allocated in stream order is merely there early.
//
// Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "tests/device_sim/status.h"

namespace device_sim {

class Stream;

// One allocation. It ends with the object.
class StreamMemory {
 public:
  // Null: the device's memory is used up.
  static std::shared_ptr<StreamMemory> Make(Stream& stream, size_t bytes);
  ~StreamMemory();
  StreamMemory(const StreamMemory&) = delete;
  StreamMemory& operator=(const StreamMemory&) = delete;

  uintptr_t address() const { return address_; }
  // Keeps it until Release, for what is allocated outside of graphs.
  static void Keep(std::shared_ptr<StreamMemory> memory);
  static Status Release(uintptr_t address);

 private:
  explicit StreamMemory(uintptr_t address) : address_(address) {}

  const uintptr_t address_;
};

// The entries' bodies.
Status AllocateInOrder(Stream& stream, uintptr_t* out, size_t bytes);
Status FreeInOrder(Stream& stream, uintptr_t address);

}  // namespace device_sim
