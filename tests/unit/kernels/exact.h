// What an all-reduce must give to the bit: the sum in fp32, in rank order, from +0 on, rounded once
// to nearest even, −0 made +0. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/unit/kernels/rank_group.h"

namespace lamplight::kernels {

// NaN stands for any NaN.
uint32_t ExactSum(const std::vector<Tensors>& tensors, DataType type, uint64_t index);
uint32_t RoundedBits(DataType type, float value);

// Every output of `work`, an all-reduce alone, or every prenorm of a norm; on all ranks alike.
void ExpectExact(const std::vector<Tensors>& tensors, const Work& work);

}  // namespace lamplight::kernels
