// The library with its own kernels over fabric memory and multicast, whose driver is a fake: each
// rank reaches each buffer at an address of its own, and what is stored through the multicast
// address reaches all of them at its offset. The kernels run on the simulated device's fibers.
#include <memory>

#include "fake_fabric.h"
#include "kernels/host/workspace.h"
#include "seat.h"
#include "tests/unit/kernels/multicast_relay.h"

namespace lamplight::kernels::test {
namespace {

struct Way {
  uint32_t world;
  lamplight_protocol protocol;
  bool multicast;
};

constexpr uint32_t kPatterns[] = {LAMPLIGHT_PATTERN_ALL_REDUCE, LAMPLIGHT_PATTERN_RESIDUAL_RMSNORM};

class FabricEndToEnd : public testing::TestWithParam<Way> {
 protected:
  static void Change(lamplight_workspace_options* options) {
    options->memory = LAMPLIGHT_MEMORY_FABRIC;
    options->protocol = GetParam().protocol;
    options->multicast = GetParam().multicast ? 1 : 0;
    options->max_tokens = kTokens + 1;
    options->max_hidden = kHidden;
    options->algorithm = LAMPLIGHT_ALGORITHM_ONE_SHOT;
  }

  // What NVLink does, while it lives; null without multicast.
  static std::unique_ptr<MulticastRelay> Relay(const Ranks& ranks) {
    if (!GetParam().multicast) return nullptr;
    const bool lines = GetParam().protocol == LAMPLIGHT_PROTOCOL_EPOCH;
    const size_t bytes = (lines ? 2 : 3) * ranks.workspace(0)->impl->capacity.generation_bytes;
    const FakeFabric::Bound bound = FakeFabric::TheMulticast();
    EXPECT_EQ(ranks.size(), bound.buffers.size());
    return std::make_unique<MulticastRelay>(
        std::vector<MulticastRelay::Path>{{bound.region, bound.buffers}}, bytes, lines);
  }
};

TEST_P(FabricEndToEnd, CallsOfAllKindsInTurn) {
  const FakeFabric fake;
  const Ranks ranks(GetParam().world, Change);
  ASSERT_EQ(LAMPLIGHT_OK, ranks[0].status) << ranks[0].error;
  const std::unique_ptr<MulticastRelay> relay = Relay(ranks);
  OnEachRank(ranks, [&](uint32_t rank) {
    Seat seat(ranks, rank);
    for (const uint32_t algorithm : {1u, 2u}) {
      for (const uint32_t pattern : kPatterns) {
        // Many ranks on few cores take their time.
        if (ranks.size() > 16 && pattern == LAMPLIGHT_PATTERN_ALL_REDUCE) continue;
        const lamplight_call call = seat.Call(pattern, algorithm);
        seat.Launch(call);
        seat.Wait();
        if (relay != nullptr) relay->Settle();
        seat.ExpectResults(call);
      }
    }
  });
  ExpectNoTrouble(ranks);
}

std::string NameOf(const testing::TestParamInfo<Way>& way) {
  return std::string(way.param.protocol == LAMPLIGHT_PROTOCOL_EPOCH ? "epoch" : "mnnvl") +
         (way.param.multicast ? "_multicast_" : "_unicast_") + std::to_string(way.param.world);
}

std::vector<Way> Ways() {
  std::vector<Way> ways;
  for (const uint32_t world : {2u, 4u, 8u, 16u, 32u, 64u}) {
    for (const bool multicast : {false, true}) {
      ways.push_back({world, LAMPLIGHT_PROTOCOL_EPOCH, multicast});
      ways.push_back({world, LAMPLIGHT_PROTOCOL_MNNVL, multicast});
    }
  }
  return ways;
}

INSTANTIATE_TEST_SUITE_P(All, FabricEndToEnd, testing::ValuesIn(Ways()), NameOf);

}  // namespace
}  // namespace lamplight::kernels::test
