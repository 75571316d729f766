#include "tests/unit/kernels/exact.h"

#include <gtest/gtest.h>

#include <cstring>
#include <ios>

#include "tests/unit/kernels/reference.h"

namespace lamplight::kernels {
namespace {

uint32_t NegativeZero(DataType type) { return 1u << (8 * BytesOf(type) - 1); }

uint32_t WithoutNegativeZero(DataType type, uint32_t bits) {
  return bits == NegativeZero(type) ? 0 : bits;
}

uint32_t ExpectedBits(const std::vector<Tensors>& tensors, const Work& work, uint64_t i) {
  const uint32_t sum = ExactSum(tensors, work.data_type, i);
  if (!work.norm) return sum;
  Memory rounded(16);
  SetBits(&rounded, work.data_type, 0, sum);
  const float prenorm = static_cast<float>(ToDouble(rounded, work.data_type, 0)) +
                        static_cast<float>(ToDouble(tensors[0].residual, work.data_type, i));
  return RoundedBits(work.data_type, prenorm);
}

}  // namespace

uint32_t RoundedBits(DataType type, float value) {
  return NearestBits(type, static_cast<double>(value));
}

uint32_t ExactSum(const std::vector<Tensors>& tensors, DataType type, uint64_t index) {
  float sum = 0;
  for (const Tensors& one : tensors) sum += static_cast<float>(ToDouble(one.input, type, index));
  return WithoutNegativeZero(type, RoundedBits(type, sum));
}

void ExpectExact(const std::vector<Tensors>& tensors, const Work& work) {
  const auto result = [&](const Tensors& one) -> const Memory& {
    return work.norm ? one.prenorm : one.output;
  };
  for (const Tensors& one : tensors) {
    ASSERT_EQ(std::memcmp(result(one).As(), result(tensors[0]).As(), work.bytes()), 0)
        << "ranks hold different bits";
  }
  for (uint64_t i = 0; i < work.elements(); ++i) {
    const uint32_t expected = ExpectedBits(tensors, work, i);
    const uint32_t actual = Bits(result(tensors[0]), work.data_type, i);
    if (actual == expected) continue;
    const bool both_nan = IsNan(work.data_type, expected) && IsNan(work.data_type, actual);
    ASSERT_TRUE(both_nan) << "element " << i << " is 0x" << std::hex << actual << ", not 0x"
                          << expected << "; rank 0 gave 0x"
                          << Bits(tensors[0].input, work.data_type, i) << ", rank 1 0x"
                          << Bits(tensors[1].input, work.data_type, i);
  }
}

}  // namespace lamplight::kernels
