// Ranks that are not in the same call: told by their headers, and nobody spins on it.
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "kernels/trouble.cuh"
#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/quiet.h"
#include "tests/unit/kernels/reference.h"
#include "tests/unit/kernels/routes.h"
#include "tests/unit/kernels/troubles.h"

namespace lamplight::kernels {
namespace {

// With headers.
constexpr Route kWithHeaders[] = {kRoutes[0], kRoutes[1], kRoutes[4], kRoutes[5]};

bool RowIsNan(const Tensors& tensors, const Work& work, uint32_t token) {
  for (uint32_t i = 0; i < work.hidden; ++i) {
    const uint64_t at = uint64_t{token} * work.hidden + i;
    if (!IsNan(work.data_type, Bits(tensors.output, work.data_type, at))) return false;
  }
  return true;
}

class Divergence : public testing::TestWithParam<Route> {
 protected:
  // Each rank does its own work; nobody hangs.
  void Diverge(const Work& first, const Work& second, uint8_t options = 0) {
    work_[0] = first;
    work_[1] = second;
    GroupShape shape{.protocol = GetParam().protocol, .world = 2, .generation_bytes = 1 << 16};
    group_ = std::make_unique<RankGroup>(shape);
    group_->deadline = std::chrono::seconds(20);
    for (uint32_t rank = 0; rank < 2; ++rank) {
      tensors_[rank] = std::move(RandomTensors(2, work_[rank], 5)[rank]);
    }
    group_->Together([&](uint32_t rank) {
      CollectiveCall call = group_->CallOf(rank, work_[rank], tensors_[rank]);
      call.options |= options;
      group_->Launch(call, work_[rank]);
    });
  }
  Work Usual() const {
    return {.kernel = GetParam().kernel, .tokens = 4, .hidden = 64, .norm = false};
  }
  // At least one rank says that the other is in another call, and in which.
  void ExpectReported() {
    uint32_t reports = 0;
    for (uint32_t rank = 0; rank < 2; ++rank) {
      const Diagnostic& diagnostic = group_->diagnostic(rank);
      if (diagnostic.trouble == 0) continue;
      ++reports;
      EXPECT_EQ(diagnostic.trouble, CodeOf(Trouble::kDivergence));
      EXPECT_EQ(diagnostic.peer, 1 - rank);
      EXPECT_EQ(diagnostic.tokens, work_[rank].tokens);
      EXPECT_EQ(diagnostic.peer_tokens, work_[1 - rank].tokens);
      EXPECT_EQ(diagnostic.hidden, work_[rank].hidden);
      EXPECT_EQ(diagnostic.peer_hidden, work_[1 - rank].hidden);
      const auto kind = [&](uint32_t of) {
        return static_cast<uint32_t>(work_[of].data_type) |
               static_cast<uint32_t>(work_[of].kernel) << 2 |
               static_cast<uint32_t>(GetParam().protocol) << 4 | 2u << 8;
      };
      EXPECT_EQ(diagnostic.kind, kind(rank));
      EXPECT_EQ(diagnostic.peer_kind, kind(1 - rank));
    }
    EXPECT_GE(reports, 1u);
  }

  // The rows of `common`, the call that both share, on each rank: right, or where lines carry the
  // shape of their call, so that none is taken, NaN.
  void ExpectRows(const Work& common) {
    const DataType type = common.data_type;
    std::vector<Tensors> inputs(2, Tensors(common));
    for (uint32_t rank = 0; rank < 2; ++rank) {
      std::copy_n(tensors_[rank].input.As(), common.bytes(), inputs[rank].input.As());
    }
    const bool lines = GetParam().protocol == Protocol::kEpoch;
    for (uint64_t i = 0; i < common.elements(); ++i) {
      for (const Tensors& one : tensors_) {
        const uint32_t bits = Bits(one.output, type, i);
        ASSERT_TRUE(lines ? IsNan(type, bits) : bits == ExactSum(inputs, type, i))
            << "element " << i << " is 0x" << std::hex << bits;
      }
    }
  }

  Work work_[2];
  std::unique_ptr<RankGroup> group_;
  Tensors tensors_[2];
};

// The rows that both have come, the others are NaN.
TEST_P(Divergence, OfTokensCostsOnlyTheRowsThatOneLacks) {
  for (const uint32_t more : {0u, 1u}) {
    Work fewer = Usual();
    fewer.tokens = 2;
    Diverge(more == 0 ? Usual() : fewer, more == 0 ? fewer : Usual());
    EXPECT_EQ(group_->diagnostic(more).trouble, CodeOf(Trouble::kDivergence));
    ExpectReported();
    ExpectRows(fewer);
    EXPECT_TRUE(RowIsNan(tensors_[more], Usual(), 2));
    EXPECT_TRUE(RowIsNan(tensors_[more], Usual(), 3));
  }
}

// The peer's header is there long before its rows are: it is reported, and what will come awaited.
TEST_P(Divergence, IsKnownBeforeTheRowsThatStillCome) {
  work_[0] = Usual();
  work_[1] = Usual();
  work_[1].tokens = 2;
  RankGroup group({.protocol = GetParam().protocol, .generation_bytes = 1 << 16});
  group.deadline = std::chrono::seconds(20);
  for (uint32_t rank = 0; rank < 2; ++rank) {
    tensors_[rank] = std::move(RandomTensors(2, work_[rank], 5)[rank]);
  }
  CollectiveCall peer = group.CallOf(1, work_[1], tensors_[1]);
  const uint32_t kind = KindOf(peer, GetParam().kernel, GetParam().protocol);
  const uint32_t check = CheckOf(0, 2, peer.hidden, kind);
  auto* header = reinterpret_cast<Header*>(group.buffer(0).As() + group.header_offset()) + 1;
  *header = {0, 2, peer.hidden, kind << 16 | check};
  group.Together([&](uint32_t rank) {
    if (rank == 1) {
      EXPECT_TRUE(Reported(group.diagnostic(0)));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    group.Do(rank, work_[rank], tensors_[rank]);
  });
  EXPECT_EQ(group.diagnostic(0).trouble, CodeOf(Trouble::kDivergence));
  EXPECT_EQ(group.diagnostic(0).peer_tokens, 2u);
  ExpectRows(work_[1]);
  EXPECT_TRUE(RowIsNan(tensors_[0], work_[0], 2));
  EXPECT_TRUE(RowIsNan(tensors_[0], work_[0], 3));
}

TEST_P(Divergence, OfHiddenIsReported) {
  Work other = Usual();
  other.hidden = 128;
  Diverge(Usual(), other);
  ExpectReported();
  Diverge(other, Usual());
  ExpectReported();
}

TEST_P(Divergence, OfTypeIsReported) {
  Work other = Usual();
  other.data_type = DataType::kFp32;
  Diverge(Usual(), other);
  ExpectReported();
}

TEST_P(Divergence, OfAlgorithmIsReported) {
  Work other = Usual();
  other.kernel = other.kernel == Kernel::kOneShot ? Kernel::kTwoShot : Kernel::kOneShot;
  Diverge(Usual(), other);
  ExpectReported();
}

// The rank with fewer tokens is through, and its next header takes the place of the one that told.
TEST_P(Divergence, IsSeenWhenThePeerHasGoneOn) {
  for (const bool same_shape : {false, true}) {
    Work fewer = Usual();
    fewer.tokens = 2;
    const Work next = same_shape ? Usual() : fewer;
    RankGroup group({.protocol = GetParam().protocol, .generation_bytes = 1 << 16});
    group.deadline = std::chrono::seconds(20);
    std::vector<Tensors> first = RandomTensors(2, Usual(), 1);
    std::vector<Tensors> second = RandomTensors(2, next, 2);
    group.Together([&](uint32_t rank) {
      group.Do(rank, rank == 0 ? Usual() : fewer, first[rank]);
      // Rank 0 waits for what does not come; rank 1 is in its next call by then.
      group.Do(rank, next, second[rank]);
    });
    EXPECT_EQ(group.diagnostic(0).trouble, CodeOf(Trouble::kDivergence));
    EXPECT_EQ(group.diagnostic(0).peer, 1u);
    EXPECT_EQ(group.diagnostic(0).epoch, 0u);
    EXPECT_TRUE(RowIsNan(first[0], Usual(), 3));
  }
}

TEST_P(Divergence, TrapsIfAsked) {
  Work fewer = Usual();
  fewer.tokens = 2;
  try {
    Diverge(Usual(), fewer, kTrapOnDivergence);
    ADD_FAILURE() << "the kernel did not trap";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "the kernel trapped");
  }
  EXPECT_EQ(group_->diagnostic(0).trouble, CodeOf(Trouble::kDivergence));
}

// A norm over a row that did not come is NaN as a whole.
TEST_P(Divergence, NormsOfMissingRowsAreNan) {
  Work norm = Usual();
  norm.norm = true;
  Work fewer = norm;
  fewer.tokens = 2;
  Diverge(norm, fewer);
  EXPECT_TRUE(RowIsNan(tensors_[0], norm, 3));
}

// The header of the call before names another shape; that is no divergence, however long it stays.
TEST_P(Divergence, IsNotSeenInHeadersOfOtherCalls) {
  RankGroup group({.protocol = GetParam().protocol, .world = 4, .generation_bytes = 1 << 16});
  constexpr uint32_t kCalls = 12;
  std::vector<Work> works;
  std::vector<std::vector<Tensors>> tensors;
  for (uint32_t call = 0; call < kCalls; ++call) {
    works.push_back(Usual());
    works.back().tokens = 1 + call % 5;
    works.back().hidden = call % 2 == 0 ? 64 : 136;
    works.back().data_type = call % 3 == 0 ? DataType::kFp32 : DataType::kBf16;
    if (call % 4 == 3) works.back().kernel = Kernel::kOneShot;
    tensors.push_back(RandomTensors(4, works.back(), call));
  }
  group.Together([&](uint32_t rank) {
    for (uint32_t call = 0; call < kCalls; ++call) {
      if (call % 4 == rank) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      group.Do(rank, works[call], tensors[call][rank]);
    }
  });
  for (uint32_t call = 0; call < kCalls; ++call) ExpectExact(tensors[call], works[call]);
  for (uint32_t rank = 0; rank < 4; ++rank) EXPECT_EQ(group.diagnostic(rank).trouble, 0u);
}

// Between GPUs the header of a peer's next call may be here ahead of what it sent for this one.
TEST_P(Divergence, IsNotSeenWhileDataAreOnTheirWay) {
  const Work work = Usual();
  RankGroup group(ShapeFor(GetParam(), 2, work));
  std::vector<Tensors> tensors = RandomTensors(2, work, 1);
  const CollectiveCall call = group.CallOf(1, work, tensors[1]);
  const uint32_t kind = KindOf(call, work.kernel, GetParam().protocol);
  const uint32_t check = CheckOf(1, work.tokens, work.hidden, kind);
  group.Together([&](uint32_t rank) {
    if (rank == 1) {
      auto* header = reinterpret_cast<Header*>(group.buffer(0).As() + group.header_offset()) + 1;
      *header = {1, work.tokens, work.hidden, kind << 16 | check};
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
    group.Do(rank, work, tensors[rank]);
  });
  EXPECT_EQ(group.diagnostic(0).trouble, 0u);
  ExpectExact(tensors, work);
}

// The second that a peer's data may take is waited for once in a call, not for each of its rows.
TEST_P(Divergence, IsWaitedForOnce) {
  Work work = Usual();
  work.tokens = 6;
  work.hidden = 4096;  // all rows go to one cluster of this device
  RankGroup group(ShapeFor(GetParam(), 2, work));
  group.limits = {1, 8};
  group.deadline = std::chrono::seconds(20);
  std::vector<Tensors> tensors = RandomTensors(2, work, 1);
  const CollectiveCall peers = group.CallOf(1, work, tensors[1]);
  const uint32_t kind = KindOf(peers, work.kernel, GetParam().protocol);
  const uint32_t check = CheckOf(1, work.tokens, work.hidden, kind);
  auto* header = reinterpret_cast<Header*>(group.buffer(0).As() + group.header_offset()) + 1;
  *header = {1, work.tokens, work.hidden, kind << 16 | check};
  const auto begin = std::chrono::steady_clock::now();
  group.Do(0, work, tensors[0]);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took.count(), 1.0);
  EXPECT_LT(took.count(), 1.9);
  EXPECT_EQ(group.diagnostic(0).trouble, CodeOf(Trouble::kDivergence));
  for (uint32_t token = 0; token < work.tokens; ++token) {
    EXPECT_TRUE(RowIsNan(tensors[0], work, token)) << token;
  }
}

// A header that is torn, or of another workspace, is not believed.
TEST_P(Divergence, IsNotSeenInAHeaderWithAWrongCheck) {
  const Work work = Usual();
  RankGroup group(ShapeFor(GetParam(), 2, work));
  std::vector<Tensors> tensors = RandomTensors(2, work, 1);
  auto* header = reinterpret_cast<Header*>(group.buffer(0).As() + group.header_offset()) + 1;
  *header = {0, 99, 99, 0x00050000};
  group.Together([&](uint32_t rank) {
    if (rank == 1) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    group.Do(rank, work, tensors[rank]);
  });
  EXPECT_EQ(group.diagnostic(0).trouble, 0u);
  ExpectExact(tensors, work);
}

INSTANTIATE_TEST_SUITE_P(Routes, Divergence, testing::ValuesIn(kWithHeaders),
                         [](const auto& param) { return NameOf(param.param); });

}  // namespace
}  // namespace lamplight::kernels
