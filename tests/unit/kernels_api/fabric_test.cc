// Workspaces of virtual memory with fabric handles, and multicast: the driver's part is played by a
// fake, as the simulated device has none of it. NVLink itself is not tested here.
#include <gtest/gtest.h>

#include "fake_fabric.h"
#include "kernels/host/workspace.h"
#include "kernels/protocol.cuh"
#include "ranks.h"

namespace lamplight::kernels::test {
namespace {

using Options = lamplight_workspace_options;

void Fabric(Options* options) {
  options->memory = LAMPLIGHT_MEMORY_FABRIC;
  options->protocol = LAMPLIGHT_PROTOCOL_MNNVL;
}

void WithMulticast(Options* options) {
  Fabric(options);
  options->multicast = 1;
}

void ExpectNothingLeft() {
  const FakeFabricCounts counts = FakeFabric::Counts();
  EXPECT_EQ(0, counts.physical);
  EXPECT_EQ(0, counts.reserved);
  EXPECT_EQ(0, counts.mapped);
  EXPECT_EQ(0, counts.bound);
}

uint32_t* Words(void* address) { return static_cast<uint32_t*>(address); }

TEST(Fabric, RanksMapEachOthersMemory) {
  const FakeFabric fake;
  {
    const Ranks ranks(4, Fabric);
    for (uint32_t rank = 0; rank < 4; ++rank) {
      ASSERT_EQ(LAMPLIGHT_OK, ranks[rank].status) << ranks[rank].error;
      const CollectiveCall& common = ranks.workspace(rank)->impl->common;
      EXPECT_EQ(protocol::kSentinel, Words(common.local)[0]);
      EXPECT_EQ(nullptr, common.multicast);
      Words(common.local)[0] = 100 + rank;
    }
    for (uint32_t rank = 0; rank < 4; ++rank) {
      const CollectiveCall& common = ranks.workspace(rank)->impl->common;
      for (uint32_t peer = 0; peer < 4; ++peer) {
        EXPECT_EQ(100 + peer, Words(common.peer[peer])[0]);
        EXPECT_EQ(peer == rank, common.peer[peer] == common.local);
      }
    }
    EXPECT_EQ(4, FakeFabric::Counts().physical);
    EXPECT_EQ(16, FakeFabric::Counts().mapped);
  }
  ExpectNothingLeft();
}

TEST(Fabric, DestroyWorksInAnyOrder) {
  const FakeFabric fake;
  {
    Ranks ranks(4, Fabric);
    for (const size_t rank : {2, 0, 3}) {
      Words(ranks.workspace(1)->impl->common.peer[rank])[1] = 7;
      ranks.Destroy(rank);
      EXPECT_EQ(7u, Words(ranks.workspace(1)->impl->common.peer[rank])[1]);
    }
  }
  ExpectNothingLeft();
}

TEST(Fabric, MulticastIsBoundWhenAllDevicesHaveJoined) {
  const FakeFabric fake;
  {
    const Ranks ranks(8, WithMulticast);
    for (uint32_t rank = 0; rank < 8; ++rank) {
      ASSERT_EQ(LAMPLIGHT_OK, ranks[rank].status) << ranks[rank].error;
      EXPECT_TRUE(FakeFabric::IsMulticast(ranks.workspace(rank)->impl->common.multicast));
    }
    EXPECT_EQ(8, FakeFabric::Counts().joined);
    EXPECT_EQ(8, FakeFabric::Counts().bound);
    EXPECT_EQ(0, FakeFabric::Counts().early_bindings);
  }
  ExpectNothingLeft();
}

TEST(Fabric, FailureOnOneRankFailsAllAndLeavesNothing) {
  const FakeFabric fake;
  {
    FakeFabric::FailNextMap();
    const Ranks ranks(4, WithMulticast);
    int own = 0;
    for (uint32_t rank = 0; rank < 4; ++rank) {
      own += ranks[rank].status == LAMPLIGHT_ERROR_CUDA;
      EXPECT_NE(LAMPLIGHT_OK, ranks[rank].status);
      EXPECT_NE(std::string::npos, ranks[rank].error.find("mem_map failed: CUDA_ERROR_FAKE"))
          << ranks[rank].error;
    }
    EXPECT_EQ(1, own);
  }
  ExpectNothingLeft();
}

TEST(Fabric, DevicesWithoutItAreNamed) {
  const FakeFabric fake(Missing::kFabricHandles);
  const Ranks ranks(2, Fabric);
  EXPECT_EQ(LAMPLIGHT_ERROR_UNSUPPORTED, ranks[0].status);
  EXPECT_NE(std::string::npos, ranks[0].error.find("device 0 has no fabric handles: use"));
  ExpectNothingLeft();
}

TEST(Fabric, DevicesWithoutMulticastAreNamed) {
  const FakeFabric fake(Missing::kMulticast);
  const Ranks ranks(2, WithMulticast);
  EXPECT_EQ(LAMPLIGHT_ERROR_UNSUPPORTED, ranks[0].status);
  EXPECT_NE(std::string::npos, ranks[0].error.find("device 0 has no NVLink multicast"));
  ExpectNothingLeft();
}

TEST(Fabric, StoresThatDoNotArriveAreNoticedByAllRanks) {
  const FakeFabric fake(Missing::kStores);
  {
    const Ranks ranks(2, Fabric);
    for (uint32_t rank = 0; rank < 2; ++rank) {
      EXPECT_EQ(LAMPLIGHT_ERROR_PROBE, ranks[rank].status) << ranks[rank].error;
      const std::string expected = "a store of rank " + std::to_string(1 - rank);
      EXPECT_EQ(0u, ranks[rank].error.find(expected)) << ranks[rank].error;
    }
  }
  ExpectNothingLeft();
}

// Without the fake: what the simulated device says, and any other without it.
TEST(Fabric, TheSimulatedDeviceSaysNo) {
  const Ranks ranks(2, Fabric);
  for (uint32_t rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(LAMPLIGHT_ERROR_UNSUPPORTED, ranks[rank].status);
    EXPECT_NE(std::string::npos, ranks[rank].error.find("LAMPLIGHT_MEMORY_IPC"))
        << ranks[rank].error;
  }
}

}  // namespace
}  // namespace lamplight::kernels::test
