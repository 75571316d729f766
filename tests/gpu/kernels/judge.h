// Compares what a collective left on all ranks with a double precision reference: sums and residual
// sums to the bit, norms and quantised outputs within what fp32 arithmetic allows. Pure;
// thread-safe.
#pragma once

#include <vector>

#include "tests/gpu/kernels/job.h"
#include "tests/gpu/kernels/tally.h"

namespace lamplight::kernels::gpu {

// `tensors`: one for each rank, inputs as sent, outputs as found.
void Judge(const Job& job, const std::vector<Tensors>& tensors, Tally* tally);

}  // namespace lamplight::kernels::gpu
