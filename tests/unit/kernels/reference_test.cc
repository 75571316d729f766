// The reference's own rounding: nothing lies nearer, ties go to even.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/reference.h"

namespace lamplight::kernels {
namespace {

double ValueOf(DataType type, uint32_t bits) {
  Memory one(16);
  SetBits(&one, type, 0, bits);
  return ToDouble(one, type, 0);
}

constexpr DataType kSixteenBits[] = {DataType::kBf16, DataType::kFp16};

TEST(Reference, EveryValueRoundsToItself) {
  for (const DataType type : kSixteenBits) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      if (IsNan(type, bits)) continue;
      ASSERT_EQ(NearestBits(type, ValueOf(type, bits)), bits);
    }
  }
}

TEST(Reference, BetweenTwoValuesTheNearerWinsAndTiesGoToEven) {
  for (const DataType type : kSixteenBits) {
    const uint32_t infinity = type == DataType::kBf16 ? 0x7f80 : 0x7c00;
    for (uint32_t low = 0; low + 1 < infinity; ++low) {
      const double below = ValueOf(type, low);
      const double above = ValueOf(type, low + 1);
      const double middle = below + (above - below) / 2;
      ASSERT_EQ(NearestBits(type, middle), low % 2 == 0 ? low : low + 1);
      ASSERT_EQ(NearestBits(type, std::nextafter(middle, 0)), low);
      ASSERT_EQ(NearestBits(type, -std::nextafter(middle, above)), (low + 1) | 0x8000u);
    }
  }
}

TEST(Reference, OverflowBeginsHalfAUnitAboveTheLargest) {
  EXPECT_EQ(NearestBits(DataType::kFp16, 65519.999), 0x7bffu);
  EXPECT_EQ(NearestBits(DataType::kFp16, 65520.0), 0x7c00u);
  const double largest = ValueOf(DataType::kBf16, 0x7f7f);
  const double half = std::ldexp(0.5, 127 - 7);
  EXPECT_EQ(NearestBits(DataType::kBf16, largest + half), 0x7f80u);
  EXPECT_EQ(NearestBits(DataType::kBf16, std::nextafter(largest + half, 0)), 0x7f7fu);
  EXPECT_EQ(NearestBits(DataType::kFp32, INFINITY), 0x7f800000u);
}

TEST(Reference, Fp32RoundsAsTheHostDoes) {
  for (const float value : {0.0f, -0.0f, 1.5f, -1e-45f, 1e-38f, 3.4028235e38f, -0.1f}) {
    ASSERT_EQ(ValueOf(DataType::kFp32, RoundedBits(DataType::kFp32, value)), value);
  }
  EXPECT_EQ(NearestBits(DataType::kFp32, 1.0 + std::ldexp(1.0, -24)), 0x3f800000u);
  EXPECT_EQ(NearestBits(DataType::kFp32, 1.0 + std::ldexp(3.0, -24)), 0x3f800002u);
}

}  // namespace
}  // namespace lamplight::kernels
