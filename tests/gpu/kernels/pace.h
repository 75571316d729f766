// Bounds how much of a rank's work is in flight: a launch that finds its stream's queue full waits
// in the driver, with a lock that the launches of the ranks it waits for need, where these share a
// device. One thread at a time. To be made and destroyed while no kernel of the group polls.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <vector>

namespace lamplight::kernels::gpu {

class Pace {
 public:
  // At most so many steps in flight, at least one.
  Pace(cudaStream_t stream, uint32_t most);
  ~Pace();
  Pace(Pace&& other) noexcept;
  Pace& operator=(Pace&&) = delete;

  // Behind what was launched as one step; waits where the oldest of too many has not ended. Not
  // after every kernel: an event between two of them takes their programmatic edge away.
  void Step();

 private:
  cudaStream_t stream_;
  std::vector<cudaEvent_t> events_;
  size_t steps_ = 0;
};

}  // namespace lamplight::kernels::gpu
