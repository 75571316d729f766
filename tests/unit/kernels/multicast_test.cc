// Kernels that store through a multicast address: every packet at the offset where all ranks await
// it, over protocols, kernels and worlds. What NVLink does is played by a relay.
#include <gtest/gtest.h>

#include <memory>

#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/multicast_relay.h"
#include "tests/unit/kernels/reference.h"
#include "tests/unit/kernels/routes.h"

namespace lamplight::kernels {
namespace {

// A group each of whose ranks has a multicast address of its own.
class MulticastGroup {
 public:
  MulticastGroup(const Route& route, uint32_t world, const Work& largest, bool headers)
      : group_(Shape(route, world, largest, headers)) {
    const uint32_t generations = route.protocol == Protocol::kEpoch ? 2 : 3;
    const size_t bytes = generations * group_.shape().generation_bytes;
    for (uint32_t rank = 0; rank < world; ++rank) {
      regions_.emplace_back(bytes);
      regions_.back().Fill(MulticastRelay::kBlank);
    }
    for (Memory& region : regions_) group_.multicast.push_back(region.As());
  }

  RankGroup& group() { return group_; }
  // From now on what is stored arrives. Once.
  void Relay(std::chrono::milliseconds lateness = {}) {
    std::vector<uint32_t*> buffers;
    for (uint32_t rank = 0; rank < group_.shape().world; ++rank) {
      buffers.push_back(group_.buffer(rank).As<uint32_t>());
    }
    std::vector<MulticastRelay::Path> paths;
    for (uint32_t rank = 0; rank < regions_.size(); ++rank) {
      paths.push_back({regions_[rank].As<uint32_t>(), buffers, rank});
    }
    relay_ = std::make_unique<MulticastRelay>(
        paths, regions_.front().bytes(), group_.shape().protocol == Protocol::kEpoch, lateness);
  }
  void DoAll(const Work& work, std::vector<Tensors>& tensors) {
    group_.DoAll(work, tensors);
    relay_->Settle();
  }
  bool GuardsIntact() const {
    return group_.GuardsIntact() &&
           std::all_of(regions_.begin(), regions_.end(),
                       [](const Memory& region) { return region.GuardsIntact(); });
  }

 private:
  static GroupShape Shape(const Route& route, uint32_t world, const Work& work, bool headers) {
    GroupShape shape = ShapeFor(route, world, work);
    shape.headers = headers;
    return shape;
  }

  RankGroup group_;
  std::vector<Memory> regions_;
  std::unique_ptr<MulticastRelay> relay_;
};

class Multicast : public testing::TestWithParam<Route> {
 protected:
  void Check(uint32_t world, Work work, bool headers = false) {
    work.kernel = GetParam().kernel;
    MulticastGroup multicast(GetParam(), world, work, headers);
    multicast.Relay();
    RankGroup& group = multicast.group();
    // One-shot without headers stores through that address alone, but for two ranks of an epoch
    // workspace, which do without.
    const bool directly = GetParam().protocol == Protocol::kEpoch && world == 2;
    group.peers_are_null = work.kernel == Kernel::kOneShot && !headers && !directly;
    for (uint32_t call = 0; call < 4; ++call) {
      SCOPED_TRACE("world " + std::to_string(world) + " call " + std::to_string(call));
      std::vector<Tensors> tensors = RandomTensors(world, work, world + call);
      multicast.DoAll(work, tensors);
      ExpectExact(tensors, work);
      for (uint32_t rank = 0; rank < world; ++rank) {
        ASSERT_EQ(group.diagnostic(rank).trouble, 0u);
      }
      ASSERT_TRUE(multicast.GuardsIntact());
      if (HasFatalFailure()) return;
    }
  }
};

TEST_P(Multicast, ReachesEveryWorld) {
  for (const uint32_t world : {2u, 4u, 8u, 16u, 32u, 64u}) {
    Check(world, {.tokens = world == 64 ? 2u : 5u, .hidden = 64});
    if (HasFatalFailure()) return;
  }
}

TEST_P(Multicast, ReachesRowsOfEveryTypeAndLength) {
  for (const DataType type : {DataType::kBf16, DataType::kFp16, DataType::kFp32}) {
    for (const uint32_t hidden : {8u, 136u, 4104u}) {
      Check(2, {.data_type = type, .tokens = 3, .hidden = hidden});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(Multicast, LeavesHeadersToThePeersAddresses) {
  if (IsUnicast(GetParam().protocol)) GTEST_SKIP() << "no headers there";
  Check(4, {.tokens = 3, .hidden = 64}, true);
}

// Where what a rank sends comes back to itself behind all else. Whoever ended without it could find
// it in its next call but one, in the place of what a peer has sent for that.
class LateEcho : public testing::TestWithParam<Route> {
 protected:
  static constexpr std::chrono::milliseconds kLate{20};
};

TEST_P(LateEcho, IsAwaited) {
  const Work work{.kernel = GetParam().kernel, .tokens = 4, .hidden = 240, .norm = false};
  MulticastGroup multicast(GetParam(), 4, work, true);
  multicast.Relay(kLate);
  std::vector<Tensors> tensors = RandomTensors(4, work, 1);
  multicast.group().Together([&](uint32_t rank) {
    const auto begin = std::chrono::steady_clock::now();
    multicast.group().Do(rank, work, tensors[rank]);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, kLate) << "rank " << rank;
  });
  ExpectExact(tensors, work);
}

// Calls of other shapes give a place to another rank.
TEST_P(LateEcho, StandsInNobodysWay) {
  Work largest{.kernel = GetParam().kernel, .tokens = 4, .hidden = 480, .norm = false};
  MulticastGroup multicast(GetParam(), 4, largest, true);
  RankGroup& group = multicast.group();
  group.deadline = std::chrono::seconds(10);
  multicast.Relay(kLate / 4);
  std::vector<Work> works;
  std::vector<std::vector<Tensors>> tensors;
  for (uint32_t call = 0; call < 24; ++call) {
    works.push_back(largest);
    works.back().tokens = 1 + call % 4;
    works.back().hidden = 120u << call / 2 % 3;
    tensors.push_back(RandomTensors(4, works.back(), call));
  }
  group.Together([&](uint32_t rank) {
    for (uint32_t call = 0; call < works.size(); ++call) {
      group.Do(rank, works[call], tensors[call][rank]);
    }
  });
  for (uint32_t call = 0; call < works.size(); ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    ExpectExact(tensors[call], works[call]);
  }
}

constexpr Route kEchoing[] = {kRoutes[0], kRoutes[1], kRoutes[4], kRoutes[5]};
INSTANTIATE_TEST_SUITE_P(Routes, LateEcho, testing::ValuesIn(kEchoing),
                         [](const auto& param) { return NameOf(param.param); });

// Two ranks can do without multicast: what one sends to the other's address does not come back.
TEST(MulticastOfTwo, MayBeThePeersOwnAddress) {
  for (const Route& route : kEchoing) {
    const Work work{.kernel = route.kernel, .tokens = 9, .hidden = 4096};
    RankGroup group(ShapeFor(route, 2, work));
    group.limits = {4, 9};
    group.deadline = std::chrono::seconds(20);
    group.multicast = {group.buffer(1).As(), group.buffer(0).As()};
    for (uint32_t call = 0; call < 4; ++call) {
      std::vector<Tensors> tensors = RandomTensors(2, work, call);
      group.DoAll(work, tensors);
      ExpectExact(tensors, work);
    }
  }
}

// What brings the stores may be queued behind that kernel, as a kernel that plays NVLink is.
TEST(MulticastPair, FirstKernelEndsBeforeAnythingHasCome) {
  constexpr Route kPair = {Protocol::kMnnvl, Kernel::kTwoShotSends};
  const Work work{.kernel = kPair.kernel, .tokens = 5, .hidden = 64};
  Work norm = work;
  norm.kernel = Kernel::kTwoShotNorm;
  MulticastGroup multicast(kPair, 2, work, false);
  RankGroup& group = multicast.group();
  group.deadline = std::chrono::seconds(20);
  std::vector<Tensors> tensors = RandomTensors(2, work, 1);
  group.Together([&](uint32_t rank) {
    CollectiveCall call = group.CallOf(rank, work, tensors[rank]);
    call.options = 0;
    call.output = nullptr;
    group.Launch(call, work);
  });
  multicast.Relay();
  group.Together(
      [&](uint32_t rank) { group.Launch(group.CallOf(rank, norm, tensors[rank]), norm); });
  ExpectExact(tensors, work);
}

// Where the sizes are apart, the peers' table leads to them: it cannot be null.
INSTANTIATE_TEST_SUITE_P(Routes, Multicast, testing::ValuesIn(kRoutes, kRoutes + 7),
                         [](const auto& param) { return NameOf(param.param); });

}  // namespace
}  // namespace lamplight::kernels
