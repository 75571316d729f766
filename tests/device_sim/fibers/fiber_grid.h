// Runs a kernel of kernels/*.cuh as it is on the simulated device: every thread of the grid is a
// fiber of the stream's thread, and kernels/machine.cuh is what fibers can do.
//
// A grid belongs to one thread of the process. Blocks start in order, whole clusters at a time, as
// long as there is room; a block that polls gives way to the others, as on a GPU. What the GPU does
// in no order, this does in one order: nothing is learnt about memory order within a block.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/collective_call.h"
#include "tests/device_sim/sim_kernel.h"

namespace device_sim::fibers {

using Body = void (*)(const lamplight::kernels::CollectiveCall& call);

// Returns when the grid has ended; lets exceptions of the context and of the body pass.
void RunGrid(KernelContext& context, Body body, const lamplight::kernels::CollectiveCall& call);

}  // namespace device_sim::fibers
