// Bounds how much of a rank's work is in flight: a launch that finds its stream's queue full waits
// in the driver, with a lock that the launches of the ranks it waits for need, where these share a
// device. To be made and destroyed while no kernel of the group polls.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace lamplight::kernels::gpu {

// For the rank's thread, but Describe, which any thread may call.
class Pace {
 public:
  // At most so many steps in flight, at least one.
  Pace(cudaStream_t stream, uint32_t most);
  ~Pace();
  Pace(const Pace&) = delete;
  Pace& operator=(const Pace&) = delete;

  // Behind what was launched as one step; waits where the oldest of too many has not ended. Not
  // after every kernel: an event between two of them takes their programmatic edge away.
  void Step();
  // What the rank's thread does, for a report of a hang.
  std::string Describe() const;

 private:
  cudaStream_t stream_;
  std::vector<cudaEvent_t> events_;
  std::atomic<uint64_t> steps_ = 0;
  std::atomic<bool> waits_ = false;
};

}  // namespace lamplight::kernels::gpu
