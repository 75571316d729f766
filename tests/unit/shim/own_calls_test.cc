// What our kernels announce, computed on the host: the values that the kernels' own tests fix.
#include "shim/own_calls.h"

#include <gtest/gtest.h>

#include "kernels/epoch.cuh"

namespace lamplight::shim {
namespace {

using trace::Algorithm;
using trace::DataType;

trace::LamportCall Call(uint32_t tokens) {
  trace::LamportCall call{};
  call.tokens = tokens;
  call.dim = 72;
  call.world = 4;
  return call;
}

TEST(OwnCalls, KindTellsTypeKernelProtocolAndWorld) {
  EXPECT_EQ(KindOf(Call(5), Algorithm::kOneShot, DataType::kF16), 0x400u);
  EXPECT_EQ(KindOf(Call(5), Algorithm::kTwoShot, DataType::kBf16), 0x405u);
  EXPECT_EQ(KindOf(Call(5), Algorithm::kEpochOneShot, DataType::kF32), 0x422u);
  EXPECT_EQ(KindOf(Call(5), Algorithm::kEpochTwoShot, DataType::kF32), 0x426u);
}

TEST(OwnCalls, TagHoldsTheNumberBelowTheShape) {
  const uint64_t tag = TagOf(Call(5), Algorithm::kEpochOneShot, DataType::kF32, 41);
  EXPECT_EQ(tag & 0xffff'ffff'ffffu, 42u);
  EXPECT_NE(tag >> 48, TagOf(Call(6), Algorithm::kEpochOneShot, DataType::kF32, 41) >> 48);
  EXPECT_NE(tag >> 48, TagOf(Call(5), Algorithm::kEpochTwoShot, DataType::kF32, 41) >> 48);
}

TEST(OwnCalls, TornOrEmptyHeadersAreNotWhole) {
  const uint32_t kind = KindOf(Call(5), Algorithm::kEpochOneShot, DataType::kF32);
  const kernels::Header header{9, 5, 72, kind << 16 | kernels::CheckOf(9, 5, 72, kind)};
  EXPECT_TRUE(IsWhole(header));
  EXPECT_FALSE(IsWhole({}));
  kernels::Header torn = header;
  torn.tokens = 6;
  EXPECT_FALSE(IsWhole(torn));
  torn = header;
  torn.sequence = 10;
  EXPECT_FALSE(IsWhole(torn));
}

}  // namespace
}  // namespace lamplight::shim
