// A meeting point of fibers of one thread. No locks: only one of them runs at a time.
#pragma once

#include <cstdint>

namespace device_sim::fibers {

// Opens, by a new round, when all that are expected have come.
struct Barrier {
  uint32_t expected = 0;
  uint32_t arrived = 0;
  uint64_t round = 0;

  // True for the last one to come, which opens the barrier.
  bool Arrive() {
    if (++arrived < expected) return false;
    arrived = 0;
    ++round;
    return true;
  }
};

}  // namespace device_sim::fibers
