// Creation of workspaces: options, disagreement, exchange, ranks as threads of one process.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "kernels/host/workspace.h"
#include "kernels/protocol.cuh"
#include "ranks.h"
#include "recording_kernels.h"

namespace lamplight::kernels::test {
namespace {

using Options = lamplight_workspace_options;

// Creation with options that are wrong before any other rank is asked.
lamplight_status CreateAlone(const Options& options) {
  lamplight_workspace* workspace = nullptr;
  const lamplight_status status = lamplight_workspace_create(&options, &workspace);
  EXPECT_EQ(nullptr, workspace);
  return status;
}

int Unused(void*, const void*, size_t, void*) {
  ADD_FAILURE() << "the all-gather was called";
  return 1;
}

Options Alone() {
  Options options = SmallOptions(2, 0);
  options.all_gather = Unused;
  return options;
}

TEST(CreateOptions, NullIsNamed) {
  lamplight_workspace* workspace = nullptr;
  const Options good = Alone();
  EXPECT_EQ(LAMPLIGHT_ERROR_NULL, lamplight_workspace_create(nullptr, &workspace));
  EXPECT_EQ("options is null", LastError());
  EXPECT_EQ(LAMPLIGHT_ERROR_NULL, lamplight_workspace_create(&good, nullptr));
  EXPECT_EQ("workspace is null", LastError());
  Options options = good;
  options.all_gather = nullptr;
  EXPECT_EQ(LAMPLIGHT_ERROR_NULL, CreateAlone(options));
  EXPECT_NE(std::string::npos, LastError().find("options->all_gather is null"));
}

TEST(CreateOptions, WorldAndRankAreChecked) {
  for (const uint32_t world : {0u, 1u, 3u, 6u, 63u, 65u, 128u}) {
    Options options = Alone();
    options.world = world;
    EXPECT_EQ(LAMPLIGHT_ERROR_WORLD, CreateAlone(options)) << world;
    EXPECT_NE(std::string::npos, LastError().find("options->world is " + std::to_string(world)));
  }
  Options options = Alone();
  options.rank = 2;
  EXPECT_EQ(LAMPLIGHT_ERROR_RANK, CreateAlone(options));
  EXPECT_NE(std::string::npos, LastError().find("options->rank is 2"));
}

TEST(CreateOptions, SizesOfOtherVersionsAreChecked) {
  Options options = Alone();
  options.struct_size = 0;
  EXPECT_EQ(LAMPLIGHT_ERROR_STRUCT_SIZE, CreateAlone(options));
  options.struct_size = 8;
  EXPECT_EQ(LAMPLIGHT_ERROR_STRUCT_SIZE, CreateAlone(options));
  EXPECT_NE(std::string::npos, LastError().find("options->struct_size is 8"));
}

// Every bad option, what it is called in the text, and its code. The other rank hears of it.
struct BadOption {
  const char* name;
  void (*change)(Options*);
  lamplight_status status;
};

class CreateBadOption : public testing::TestWithParam<BadOption> {};

TEST_P(CreateBadOption, HasItsCodeAndReachesThePeer) {
  const BadOption& bad = GetParam();
  const Ranks ranks(2, [&](Options* options) {
    if (options->rank == 1) bad.change(options);
  });
  EXPECT_EQ(bad.status, ranks[1].status);
  EXPECT_NE(std::string::npos, ranks[1].error.find(bad.name)) << ranks[1].error;
  EXPECT_EQ(LAMPLIGHT_ERROR_PEER, ranks[0].status);
  EXPECT_NE(std::string::npos, ranks[0].error.find("rank 1 failed")) << ranks[0].error;
  EXPECT_NE(std::string::npos, ranks[0].error.find(bad.name)) << ranks[0].error;
  EXPECT_EQ(nullptr, ranks[0].workspace);
  EXPECT_EQ(nullptr, ranks[1].workspace);
}

constexpr BadOption kBadOptions[] = {
    {"max_tokens", [](Options* o) { o->max_tokens = 0; }, LAMPLIGHT_ERROR_TOKENS},
    {"max_tokens", [](Options* o) { o->max_tokens = UINT32_MAX; }, LAMPLIGHT_ERROR_TOKENS},
    {"max_hidden", [](Options* o) { o->max_hidden = 0; }, LAMPLIGHT_ERROR_HIDDEN},
    {"max_hidden", [](Options* o) { o->max_hidden = 4094; }, LAMPLIGHT_ERROR_HIDDEN},
    {"max_hidden", [](Options* o) { o->max_hidden = 1u << 21; }, LAMPLIGHT_ERROR_HIDDEN},
    {"options->dtype", [](Options* o) { o->dtype = 0; }, LAMPLIGHT_ERROR_DTYPE},
    {"options->dtype", [](Options* o) { o->dtype = 4; }, LAMPLIGHT_ERROR_DTYPE},
    {"options->algorithm", [](Options* o) { o->algorithm = 3; }, LAMPLIGHT_ERROR_ALGORITHM},
    {"generation_bytes", [](Options* o) { o->generation_bytes = UINT64_MAX; },
     LAMPLIGHT_ERROR_CAPACITY},
    {"LAMPLIGHT_PROTOCOL_EPOCH",
     [](Options* o) {
       o->protocol = LAMPLIGHT_PROTOCOL_MNNVL;
       o->generation_bytes = uint64_t{1} << 32;
     },
     LAMPLIGHT_ERROR_CAPACITY},
    {"options->protocol", [](Options* o) { o->protocol = 2; }, LAMPLIGHT_ERROR_VALUE},
    {"options->memory", [](Options* o) { o->memory = 2; }, LAMPLIGHT_ERROR_VALUE},
    {"options->multicast", [](Options* o) { o->multicast = 2; }, LAMPLIGHT_ERROR_VALUE},
    {"LAMPLIGHT_MEMORY_FABRIC", [](Options* o) { o->multicast = 1; }, LAMPLIGHT_ERROR_VALUE},
    {"options->on_timeout", [](Options* o) { o->on_timeout = 2; }, LAMPLIGHT_ERROR_VALUE},
    {"options->on_divergence", [](Options* o) { o->on_divergence = 7; }, LAMPLIGHT_ERROR_VALUE},
    {"options->multiprocessors is 100000 and device 0 has ",
     [](Options* o) { o->multiprocessors = 100000; }, LAMPLIGHT_ERROR_VALUE},
    {"options->device", [](Options* o) { o->device = -2; }, LAMPLIGHT_ERROR_DEVICE},
    {"options->device", [](Options* o) { o->device = 99; }, LAMPLIGHT_ERROR_DEVICE},
    {"FABRIC", [](Options* o) { o->memory = LAMPLIGHT_MEMORY_FABRIC; },
     LAMPLIGHT_ERROR_UNSUPPORTED},
    {"bytes left", [](Options* o) { o->generation_bytes = uint64_t{1} << 42; },
     LAMPLIGHT_ERROR_OUT_OF_MEMORY},
};
INSTANTIATE_TEST_SUITE_P(All, CreateBadOption, testing::ValuesIn(kBadOptions));

// What every rank finds good and no two ranks may differ in.
struct Disagreement {
  const char* name;
  void (*change)(Options*);
};

class CreateDisagreement : public testing::TestWithParam<Disagreement> {};

TEST_P(CreateDisagreement, IsTheSameErrorOnAllRanks) {
  const Ranks ranks(4, [&](Options* options) {
    if (options->rank == 2) GetParam().change(options);
  });
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    EXPECT_EQ(LAMPLIGHT_ERROR_DISAGREEMENT, ranks[rank].status) << ranks[rank].error;
    EXPECT_EQ(ranks[0].error, ranks[rank].error);
  }
  const std::string expected = std::string("rank 2 has ") + GetParam().name;
  EXPECT_EQ(0u, ranks[0].error.find(expected)) << ranks[0].error;
}

constexpr Disagreement kDisagreements[] = {
    {"protocol", [](Options* o) { o->protocol = LAMPLIGHT_PROTOCOL_MNNVL; }},
    {"generation_bytes", [](Options* o) { o->max_tokens = 17; }},
    {"generation_bytes", [](Options* o) { o->max_hidden = 8192; }},
    {"generation_bytes", [](Options* o) { o->dtype = LAMPLIGHT_BF16; }},
};
INSTANTIATE_TEST_SUITE_P(All, CreateDisagreement, testing::ValuesIn(kDisagreements));

// The all-gather goes by its own count, here 4; the rank that gave 2 must not be written over.
TEST(CreateDisagreementOfWorlds, NamesBothWorlds) {
  const Ranks ranks(4, [](Options* options) {
    if (options->rank == 1) options->world = 2;
  });
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    EXPECT_EQ(LAMPLIGHT_ERROR_DISAGREEMENT, ranks[rank].status);
    EXPECT_EQ(0u, ranks[rank].error.find("rank 1 has world 2, rank 0 has 4")) << ranks[rank].error;
  }
}

int Fails(void*, const void*, size_t, void*) { return 42; }
int GathersNothing(void*, const void*, size_t, void*) { return 0; }

TEST(Exchange, FailureOfTheCallbackIsReportedWithItsResult) {
  Options options = Alone();
  options.all_gather = Fails;
  EXPECT_EQ(LAMPLIGHT_ERROR_EXCHANGE, CreateAlone(options));
  EXPECT_EQ("all_gather (call 1 of this creation) returned 42", LastError());
}

TEST(Exchange, MissingBytesAreNoticed) {
  Options options = Alone();
  options.all_gather = GathersNothing;
  EXPECT_EQ(LAMPLIGHT_ERROR_EXCHANGE, CreateAlone(options));
  EXPECT_NE(std::string::npos, LastError().find("no record of rank 0"));
}

int GivesOwnRecordTwice(void*, const void* send, size_t bytes, void* receive) {
  std::memcpy(receive, send, bytes);
  std::memcpy(static_cast<char*>(receive) + bytes, send, bytes);
  return 0;
}

TEST(Exchange, WrongOrderIsNoticed) {
  Options options = Alone();
  options.all_gather = GivesOwnRecordTwice;
  EXPECT_EQ(LAMPLIGHT_ERROR_EXCHANGE, CreateAlone(options));
  EXPECT_NE(std::string::npos, LastError().find("rank 0 at place 1")) << LastError();
}

std::atomic<bool> let_go{false};

int WaitsForTheTest(void*, const void*, size_t, void*) {
  while (!let_go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return 0;
}

TEST(Exchange, EndsAfterItsTimeout) {
  Options options = Alone();
  options.all_gather = WaitsForTheTest;
  options.exchange_timeout_ms = 50;
  EXPECT_EQ(LAMPLIGHT_ERROR_EXCHANGE_TIMEOUT, CreateAlone(options));
  EXPECT_NE(std::string::npos, LastError().find("within 50 ms"));
  let_go = true;
}

TEST(Exchange, WorksOnAThreadOfItsOwn) {
  const Ranks ranks(4, [](Options* options) { options->exchange_timeout_ms = 20000; });
  for (size_t rank = 0; rank < 4; ++rank) EXPECT_EQ(LAMPLIGHT_OK, ranks[rank].status);
}

// A new caller's further fields may be there, as long as they ask for nothing.
TEST(CreateVersions, NewerCallersAreServedUnlessTheyAskForMore) {
  struct Newer {
    Options options;
    uint64_t more;
  };
  for (const uint64_t more : {0u, 1u}) {
    Newer newer{Alone(), more};
    newer.options.struct_size = sizeof newer;
    newer.options.all_gather = Fails;
    const lamplight_status status = CreateAlone(newer.options);
    EXPECT_EQ(more == 0 ? LAMPLIGHT_ERROR_EXCHANGE : LAMPLIGHT_ERROR_STRUCT_SIZE, status);
  }
}

// An old caller's struct ends behind generation_bytes; what follows in memory is not its.
TEST(CreateVersions, OlderCallersGetTheDefaults) {
  const Ranks ranks(2, [](Options* options) {
    options->struct_size = offsetof(Options, protocol);
    options->protocol = 77;
    options->on_timeout = 77;
  });
  EXPECT_EQ(LAMPLIGHT_OK, ranks[0].status) << ranks[0].error;
  EXPECT_EQ(LAMPLIGHT_OK, ranks[1].status);
}

class CreateWorlds : public testing::TestWithParam<std::tuple<uint32_t, lamplight_protocol>> {};

uint32_t WordAt(const void* device, uint64_t offset) {
  uint32_t word = 0;
  EXPECT_EQ(cudaSuccess, cudaMemcpy(&word, static_cast<const char*>(device) + offset, sizeof word,
                                    cudaMemcpyDeviceToHost));
  return word;
}

void Small(lamplight_protocol protocol, Options* options) {
  options->protocol = protocol;
  options->max_hidden = 256;
}

TEST_P(CreateWorlds, GivesEveryRankTheSameBuffersInOrder) {
  const auto [world, protocol] = GetParam();
  const Ranks ranks(world, [&](Options* options) { Small(protocol, options); });
  const CollectiveCall* first = nullptr;
  for (uint32_t rank = 0; rank < world; ++rank) {
    ASSERT_EQ(LAMPLIGHT_OK, ranks[rank].status) << ranks[rank].error;
    const CollectiveCall& common = ranks.workspace(rank)->impl->common;
    if (first == nullptr) first = &common;
    EXPECT_EQ(rank, common.rank);
    EXPECT_EQ(world, common.world);
    ASSERT_EQ(world > kInlinePeers, common.peer_table != nullptr);
    void* const* peers = world > kInlinePeers ? common.peer_table : common.peer;
    void* const* others = world > kInlinePeers ? first->peer_table : first->peer;
    for (uint32_t peer = 0; peer < world; ++peer) EXPECT_EQ(others[peer], peers[peer]);
    EXPECT_EQ(common.local, peers[rank]);
    EXPECT_EQ(0u, common.header_offset % 128);
    EXPECT_EQ(nullptr, common.multicast);
  }
}

TEST_P(CreateWorlds, InitialisesBufferAndState) {
  const auto [world, protocol] = GetParam();
  const Ranks ranks(world, [&](Options* options) { Small(protocol, options); });
  const bool epoch = protocol == LAMPLIGHT_PROTOCOL_EPOCH;
  for (uint32_t rank = 0; rank < world; ++rank) {
    ASSERT_EQ(LAMPLIGHT_OK, ranks[rank].status) << ranks[rank].error;
    const Workspace& workspace = *ranks.workspace(rank)->impl;
    const uint64_t generation = workspace.capacity.generation_bytes;
    const uint64_t end = (epoch ? 2 : 3) * generation;
    const uint32_t expected = epoch ? 0 : protocol::kSentinel;
    ASSERT_EQ(end, workspace.common.header_offset);
    for (const uint64_t offset : {uint64_t{0}, generation - 4, generation, end - 4}) {
      EXPECT_EQ(expected, WordAt(workspace.common.local, offset)) << offset;
    }
    for (uint32_t i = 0; i < 4 * world; ++i) {
      EXPECT_EQ(0u, WordAt(workspace.common.local, end + 4 * i));
    }
    for (uint32_t i = 0; i < sizeof(MnnvlState) / 4; ++i) {
      uint32_t word = 0;
      if (!epoch && i == protocol::kDirtyIndex) word = 2;
      if (!epoch && i == protocol::kBytesPerBuffer) word = static_cast<uint32_t>(generation);
      EXPECT_EQ(word, WordAt(workspace.common.state, 4 * i)) << i;
    }
    EXPECT_EQ(epoch ? generation : 0, workspace.common.generation_bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(All, CreateWorlds,
                         testing::Combine(testing::Values(2u, 4u, 8u, 16u, 64u),
                                          testing::Values(LAMPLIGHT_PROTOCOL_EPOCH,
                                                          LAMPLIGHT_PROTOCOL_MNNVL)));

// Buffers that peers still use must live on, whoever goes first.
TEST(Destroy, WorksInAnyOrder) {
  for (const bool forwards : {true, false}) {
    Ranks ranks(4);
    for (uint32_t i = 0; i < 3; ++i) {
      const uint32_t gone = forwards ? i : 3 - i;
      const uint32_t left = forwards ? 3 : 0;
      void* peer = ranks.workspace(left)->impl->common.peer[gone];
      ranks.Destroy(gone);
      EXPECT_EQ(0u, WordAt(peer, 0));
    }
  }
  size_t before = 0;
  size_t after = 0;
  size_t total = 0;
  ASSERT_EQ(cudaSuccess, cudaMemGetInfo(&before, &total));
  { const Ranks ranks(4); }
  ASSERT_EQ(cudaSuccess, cudaMemGetInfo(&after, &total));
  EXPECT_EQ(before, after);
}

TEST(Destroy, OfNullDoesNothing) { EXPECT_EQ(LAMPLIGHT_OK, lamplight_workspace_destroy(nullptr)); }

TEST(Creation, LeavesACaptureOfTheThreadAlone) {
  cudaStream_t stream;
  ASSERT_EQ(cudaSuccess, cudaStreamCreate(&stream));
  ASSERT_EQ(cudaSuccess, cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  {
    const Ranks ranks(2);
    EXPECT_EQ(LAMPLIGHT_OK, ranks[0].status) << ranks[0].error;
    EXPECT_EQ(LAMPLIGHT_OK, ranks[1].status);
  }
  cudaGraph_t graph;
  EXPECT_EQ(cudaSuccess, cudaStreamEndCapture(stream, &graph));
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

TEST(Creation, LeavesTheCurrentDeviceAndTheLastErrorAlone) {
  const Ranks ranks(2, [](Options* options) {
    EXPECT_EQ(cudaSuccess, cudaSetDevice(1));
    options->device = 0;
    if (options->rank == 1) options->generation_bytes = uint64_t{1} << 42;  // out of memory
  });
  EXPECT_EQ(LAMPLIGHT_ERROR_OUT_OF_MEMORY, ranks[1].status) << ranks[1].error;
  Options options = Alone();
  options.device = 0;
  options.all_gather = Fails;
  ASSERT_EQ(cudaSuccess, cudaSetDevice(1));
  EXPECT_EQ(LAMPLIGHT_ERROR_EXCHANGE, CreateAlone(options));
  int device = -1;
  EXPECT_EQ(cudaSuccess, cudaGetDevice(&device));
  EXPECT_EQ(1, device);
  options.device = 99;
  EXPECT_EQ(LAMPLIGHT_ERROR_EXCHANGE, CreateAlone(options));
  EXPECT_EQ(cudaSuccess, cudaGetLastError());
  ASSERT_EQ(cudaSuccess, cudaSetDevice(0));
}

TEST(Creation, ReachesAcrossDevicesOfOneProcess) {
  const Ranks ranks(2, [](Options* options) { options->device = static_cast<int>(options->rank); });
  for (uint32_t rank = 0; rank < 2; ++rank) {
    ASSERT_EQ(LAMPLIGHT_OK, ranks[rank].status) << ranks[rank].error;
    EXPECT_EQ(static_cast<int>(rank), ranks.workspace(rank)->impl->device);
  }
}

}  // namespace
}  // namespace lamplight::kernels::test
