// What the ranks do with the jobs of a batch, in order: eager calls and replays of captured graphs,
// each rank late by times of its own. One thread.
#pragma once

#include <functional>
#include <random>
#include <vector>

#include "tests/gpu/kernels/batch.h"

namespace lamplight::kernels::gpu {

// Jobs [first, first + count) of the batch.
struct Step {
  size_t first;
  size_t count;
  uint32_t replays;  // 0: eager, once
};

// Cuts `jobs` jobs into steps of 1 to 6, half of them captured.
std::vector<Step> RandomSteps(size_t jobs, std::mt19937* random);

// Microseconds by which a rank is late at a job of the batch; 0 for none. Called from all threads.
using Lateness = std::function<uint32_t(uint32_t rank, size_t job)>;
uint32_t NeverLate(uint32_t rank, size_t job);

// In captures and in half of the eager calls the stream waits, otherwise the launching thread.
void RunSteps(Group* group, const Batch& batch, const std::vector<Step>& steps,
              const Lateness& late);

}  // namespace lamplight::kernels::gpu
