// Jobs at random: any algorithm, dtype, pattern, quantisation and size that a group can do. One
// thread.
#pragma once

#include <random>

#include "tests/gpu/kernels/group.h"
#include "tests/gpu/kernels/job.h"

namespace lamplight::kernels::gpu {

// At most `max_elements` elements, at least one row.
Job RandomJob(const Group& group, uint64_t max_elements, std::mt19937* random);
// Inputs for every rank of a job, with a scale that suits its quantisation.
std::vector<Tensors> InputsFor(const Job& job, uint32_t world, uint32_t seed);

}  // namespace lamplight::kernels::gpu
