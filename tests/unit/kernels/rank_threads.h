// Threads that stay for the whole process, one for each rank of any group: the stacks of their
// fibers stay with them, which is most of a launch's cost.
//
// Run is called by one thread at a time, never from a rank's own thread.
#pragma once

#include <cstdint>
#include <functional>

namespace lamplight::kernels {

// `rank_does(rank)` for ranks [0, world), each on its thread; returns when all have ended. It must
// not throw.
void RunOnRankThreads(uint32_t world, const std::function<void(uint32_t)>& rank_does);

}  // namespace lamplight::kernels
