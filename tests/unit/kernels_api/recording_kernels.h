// Kernels in the place of the real ones: what they were told is kept for the test to look at.
// Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/collective_call.h"

namespace lamplight::kernels::test {

struct Launched {
  Kernel kernel;
  DataType data_type;
  uint32_t world;  // that the kernel was compiled for; 0: any
  uint32_t grid_x, grid_y, block, cluster;
  CollectiveCall call;
};

// What ran since the last call of this.
std::vector<Launched> TakeLaunched();

// A call of this shape stores its number of tokens into every peer's buffer, and awaits as many, or
// those of a later call, from each peer.
inline constexpr uint32_t kMeetingHidden = 4096;

}  // namespace lamplight::kernels::test
