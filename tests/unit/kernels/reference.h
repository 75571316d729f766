// What a collective should give, in double precision, from the ranks' inputs. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "tests/unit/kernels/rank_group.h"

namespace lamplight::kernels {

// One element as a double, and the nearest element (ties to even).
double ToDouble(const Memory& tensor, DataType type, uint64_t index);
uint32_t Bits(const Memory& tensor, DataType type, uint64_t index);
void SetBits(Memory* tensor, DataType type, uint64_t index, uint32_t bits);
uint32_t NearestBits(DataType type, double value);
bool IsNan(DataType type, uint32_t bits);

// Values like activations: mostly small, of both signs.
void FillRandom(Memory* tensor, DataType type, uint64_t count, std::mt19937* random);
std::vector<Tensors> RandomTensors(uint32_t world, const Work& work, uint32_t seed);

struct Expected {
  std::vector<double> sum;      // exact
  std::vector<double> prenorm;  // of the sum as the kernels round it
  std::vector<double> output;
};
Expected ExpectedOf(const std::vector<Tensors>& tensors, const Work& work);

// Checks outputs of all ranks against the reference, and that all ranks hold the same bits.
void ExpectRight(const std::vector<Tensors>& tensors, const Work& work);

}  // namespace lamplight::kernels
