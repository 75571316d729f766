// Sums and norms of random payloads against a double precision reference, over protocols, kernels,
// types, worlds, and sizes at the boundaries of unit, line, block and cluster.
#include <gtest/gtest.h>

#include "tests/unit/kernels/reference.h"
#include "tests/unit/kernels/routes.h"

namespace lamplight::kernels {
namespace {

void Check(const Route& route, uint32_t world, const Work& shape, uint32_t seed) {
  Work work = shape;
  work.kernel = route.kernel;
  RankGroup group(ShapeFor(route, world, work));
  // Several calls in a row: every generation is used, cleared and used again.
  for (uint32_t call = 0; call < 5; ++call) {
    std::vector<Tensors> tensors = RandomTensors(world, work, seed + call);
    group.DoAll(work, tensors);
    SCOPED_TRACE(NameOf(route) + " call " + std::to_string(call) + " tokens " +
                 std::to_string(work.tokens) + " hidden " + std::to_string(work.hidden));
    ExpectRight(tensors, work);
    for (uint32_t rank = 0; rank < world; ++rank) {
      ASSERT_EQ(group.diagnostic(rank).trouble, 0u);
      ASSERT_TRUE(tensors[rank].GuardsIntact());
    }
    ASSERT_TRUE(group.GuardsIntact());
    if (testing::Test::HasFatalFailure()) return;
  }
}

class AllReduce : public testing::TestWithParam<Route> {};

TEST_P(AllReduce, AddsAndNormsEveryType) {
  for (const DataType type : {DataType::kBf16, DataType::kFp16, DataType::kFp32}) {
    for (const bool norm : {true, false}) {
      Check(GetParam(), 2, {.data_type = type, .tokens = 5, .hidden = 136, .norm = norm}, 1);
    }
  }
}

TEST_P(AllReduce, AddsOverEveryWorld) {
  for (const uint32_t world : {2u, 4u, 8u, 16u}) {
    Check(GetParam(), world, {.tokens = 3, .hidden = 64}, 20 + world);
  }
}

TEST_P(AllReduce, TakesRowsAtTheBoundariesOfLinesAndBlocks) {
  for (const uint32_t hidden : {8u, 56u, 64u, 120u, 504u, 512u, 1024u, 1032u, 4096u}) {
    Check(GetParam(), 2, {.tokens = 2, .hidden = hidden}, hidden);
  }
}

// A cluster of eight blocks and one of a single block; rows longer than all threads of a token.
TEST_P(AllReduce, TakesRowsLongerThanACluster) {
  Check(GetParam(), 2, {.data_type = DataType::kFp32, .tokens = 1, .hidden = 20480}, 3);
  Work work{.kernel = GetParam().kernel, .tokens = 2, .hidden = 8200};
  RankGroup group(ShapeFor(GetParam(), 2, work));
  group.limits = {108, 8};
  std::vector<Tensors> tensors = RandomTensors(2, work, 5);
  group.DoAll(work, tensors);
  ExpectRight(tensors, work);
}

TEST_P(AllReduce, AddsTheWeightBias) {
  Check(GetParam(), 2, {.tokens = 2, .hidden = 128, .weight_bias = 1.0f}, 9);
}

INSTANTIATE_TEST_SUITE_P(Routes, AllReduce, testing::ValuesIn(kRoutes),
                         [](const auto& param) { return NameOf(param.param); });

}  // namespace
}  // namespace lamplight::kernels
