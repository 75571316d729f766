// Sizes at every edge: units, lines, warps, blocks, clusters, capacity, and one beyond it.
#include <gtest/gtest.h>

#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/quiet.h"
#include "tests/unit/kernels/reference.h"
#include "tests/unit/kernels/routes.h"

namespace lamplight::kernels {
namespace {

class Boundaries : public testing::TestWithParam<Route> {
 protected:
  // Two calls of `work` in a group whose generations hold just that.
  void Check(uint32_t world, Work work, const DeviceLimits& limits = {132, 9}) {
    work.kernel = GetParam().kernel;
    SCOPED_TRACE("world " + std::to_string(world) + " tokens " + std::to_string(work.tokens) +
                 " hidden " + std::to_string(work.hidden));
    RankGroup group(ShapeFor(GetParam(), world, work));
    group.limits = limits;
    for (uint32_t call = 0; call < 2; ++call) {
      std::vector<Tensors> tensors = RandomTensors(world, work, call);
      group.DoAll(work, tensors);
      ExpectExact(tensors, work);
      if (work.norm) ExpectRight(tensors, work);
      ExpectQuiet(group, call + 1, work);
      for (const Tensors& one : tensors) ASSERT_TRUE(one.GuardsIntact());
    }
  }
  void Refuses(uint32_t world, uint32_t capacity, uint32_t tokens);
};

// One unit more and less than whole lines, warps, blocks and clusters of 1, 2, 4 and 8 blocks.
TEST_P(Boundaries, RowsAroundEveryGroupOfThreads) {
  const uint32_t unit = GetParam().protocol == Protocol::kEpoch ? 8 : 16;
  const uint32_t per_line = GetParam().protocol == Protocol::kEpoch ? 15 : 16;
  for (const uint32_t groups : {1u, 2u, 4u, 8u, 16u, 32u}) {
    for (const int off : {-1, 0, 1}) {
      const uint32_t bytes = (per_line * groups * unit + static_cast<uint32_t>(off * 16)) / 16 * 16;
      Check(2, {.tokens = 2, .hidden = bytes / 2, .norm = groups % 4 == 0});
    }
  }
}

TEST_P(Boundaries, RowsOfOnePacketAndOneMore) {
  for (const DataType type : {DataType::kBf16, DataType::kFp32}) {
    for (const uint32_t packets : {1u, 2u, 7u, 8u, 15u, 16u}) {
      Check(2, {.data_type = type, .tokens = 3, .hidden = packets * 16 / BytesOf(type)});
    }
  }
}

TEST_P(Boundaries, EveryNumberOfTokensUpToCapacity) {
  for (const uint32_t world : {2u, 4u}) {
    const Work largest{.kernel = GetParam().kernel, .tokens = 3 * world, .hidden = 64};
    RankGroup group(ShapeFor(GetParam(), world, largest));
    for (uint32_t tokens = 1; tokens <= largest.tokens; ++tokens) {
      Work work = largest;
      work.tokens = tokens;
      std::vector<Tensors> tensors = RandomTensors(world, work, tokens);
      group.DoAll(work, tensors);
      ExpectExact(tensors, work);
      ExpectQuiet(group, tokens, work);
    }
  }
}

// Refused on the device, by every rank: nothing is sent, nothing moves on, and the next call works.
void Boundaries::Refuses(uint32_t world, uint32_t capacity, uint32_t tokens) {
  const Work fits{.kernel = GetParam().kernel, .tokens = capacity, .hidden = 72};
  Work work = fits;
  work.tokens = tokens;
  RankGroup group(ShapeFor(GetParam(), world, fits));
  std::vector<Memory> before;
  for (uint32_t rank = 0; rank < world; ++rank) before.push_back(group.buffer(rank));
  std::vector<Tensors> tensors = RandomTensors(world, work, 1);
  group.DoAll(work, tensors);
  for (uint32_t rank = 0; rank < world; ++rank) {
    EXPECT_EQ(group.buffer(rank), before[rank]) << "something was sent to rank " << rank;
    const Diagnostic& diagnostic = group.diagnostic(rank);
    EXPECT_EQ(diagnostic.trouble, static_cast<uint32_t>(Trouble::kCapacity));
    EXPECT_EQ(diagnostic.rank, rank);
    EXPECT_EQ(diagnostic.tokens, tokens);
    EXPECT_EQ(diagnostic.hidden, 72u);
    EXPECT_EQ(diagnostic.workspace, reinterpret_cast<uint64_t>(group.buffer(rank).As()));
    for (uint64_t i = 0; i < work.elements(); ++i) {
      ASSERT_TRUE(IsNan(work.data_type, Bits(tensors[rank].output, work.data_type, i)));
      ASSERT_TRUE(IsNan(work.data_type, Bits(tensors[rank].prenorm, work.data_type, i)));
    }
    ASSERT_TRUE(tensors[rank].GuardsIntact());
  }
  tensors = RandomTensors(world, fits, 2);
  group.DoAll(fits, tensors);
  ExpectExact(tensors, fits);
  ExpectQuiet(group, 1, fits);
}

TEST_P(Boundaries, OneTokenBeyondCapacityIsRefusedAndNothingIsSent) {
  // Two-shot rounds tokens up to a multiple of the ranks.
  Refuses(2, 4, 5);
  Refuses(4, 8, 9);
  Refuses(16, 16, 17);
}

TEST_P(Boundaries, FarBeyondCapacityIsRefused) { Refuses(2, 2, 1000); }

TEST_P(Boundaries, LargeWorlds) {
  for (const uint32_t world : {16u, 32u, 64u}) {
    Check(world, {.tokens = 3, .hidden = 64});
    Check(world, {.data_type = DataType::kFp32, .tokens = 1, .hidden = 36, .norm = false});
  }
}

// Two-shot with fewer tokens than ranks: most ranks own nothing.
TEST_P(Boundaries, FewerTokensThanRanks) {
  for (const uint32_t tokens : {1u, 7u, 8u, 9u}) Check(8, {.tokens = tokens, .hidden = 32});
}

TEST_P(Boundaries, DevicesWithoutClusters) {
  Check(2, {.tokens = 3, .hidden = 4096}, {108, 8});
  Check(2, {.tokens = 2, .hidden = 4104}, {108, 8});
}

// One cluster sends for three others: a row more than there are clusters, rows that are no multiple
// of what a cluster sends together, and many.
TEST_P(Boundaries, MoreRowsThanClusters) {
  for (const uint32_t tokens : {5u, 6u, 9u, 17u}) {
    Check(2, {.tokens = tokens, .hidden = 4096}, {4, 9});
    Check(4, {.tokens = tokens, .hidden = 4104, .norm = tokens % 2 == 0}, {8, 9});
  }
  Check(8, {.data_type = DataType::kFp32, .tokens = 7, .hidden = 2048}, {4, 9});
  Check(16, {.tokens = 5, .hidden = 4096}, {4, 9});
}

TEST_P(Boundaries, OneProcessor) {
  Check(2, {.tokens = 3, .hidden = 2880}, {1, 9});
  Check(4, {.tokens = 5, .hidden = 2880}, {1, 8});
}

INSTANTIATE_TEST_SUITE_P(Routes, Boundaries, testing::ValuesIn(kRoutes),
                         [](const auto& param) { return NameOf(param.param); });

}  // namespace
}  // namespace lamplight::kernels
