// Copies between host and device that wait for nothing but themselves: on a stream of their own, so
// that they neither wait for the caller's streams nor belong to a capture. One thread uses one
// object; its device is the one that is current.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "kernels/host/status.h"

namespace lamplight::kernels {

class Copies {
 public:
  Copies() = default;
  ~Copies();
  Copies(const Copies&) = delete;
  Copies& operator=(const Copies&) = delete;

  Status Open();
  // Either end may be on a device. Both must live until it is done.
  Status Start(void* to, const void* from, size_t bytes);
  Status Wait();
  // Returns when it is done; so do the others.
  Status Copy(void* to, const void* from, size_t bytes);
  Status Zero(void* to, size_t bytes);
  // `bytes` is a multiple of 4.
  Status Fill(void* to, uint32_t word, size_t bytes);

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace lamplight::kernels
