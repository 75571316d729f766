// Workspaces over the caller's memory in FlashInfer's MNNVL layout.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <vector>

#include "kernels/host/workspace.h"
#include "ranks.h"
#include "recording_kernels.h"

namespace lamplight::kernels::test {
namespace {

using Options = lamplight_adopt_options;
using Flags = std::vector<uint32_t>;

constexpr uint32_t kGeneration = 1u << 16;

class Adopt : public testing::Test {
 protected:
  Adopt() {
    flags_ = Allocate(64);
    for (void*& buffer : buffers_) buffer = Allocate(4 * kGeneration);
    for (uint32_t generation = 0; generation < 3; ++generation) Fill(generation, 0x80000000);
    table_ = static_cast<void**>(Allocate(sizeof buffers_));
    EXPECT_EQ(cudaSuccess, cudaMemcpy(table_, buffers_, sizeof buffers_, cudaMemcpyHostToDevice));
    SetFlags({0, 2, kGeneration, 0, 0, 0, 0, 0, 0});
  }
  ~Adopt() override {
    for (void* address : allocated_) cudaFree(address);
  }

  void SetFlags(const Flags& flags) {
    ASSERT_EQ(cudaSuccess,
              cudaMemcpy(flags_, flags.data(), 4 * flags.size(), cudaMemcpyHostToDevice));
  }

  // Of rank 1's buffer.
  void Fill(uint32_t generation, uint32_t word) {
    const Flags words(kGeneration / 4, word);
    char* start = static_cast<char*>(buffers_[1]) + generation * kGeneration;
    ASSERT_EQ(cudaSuccess, cudaMemcpy(start, words.data(), kGeneration, cudaMemcpyHostToDevice));
  }

  Options Good() {
    Options options{};
    options.struct_size = sizeof options;
    options.world = 2;
    options.rank = 1;
    options.flags = flags_;
    options.peers_host = buffers_;
    options.local = buffers_[1];
    return options;
  }

  lamplight_status Try(const Options& options) {
    lamplight_workspace* workspace = nullptr;
    const lamplight_status status = lamplight_workspace_adopt(&options, &workspace);
    EXPECT_EQ(status == LAMPLIGHT_OK, workspace != nullptr);
    lamplight_workspace_destroy(workspace);
    return status;
  }

  void Refuses(const Options& options, lamplight_status status, const std::string& text) {
    EXPECT_EQ(status, Try(options)) << LastError();
    EXPECT_NE(std::string::npos, LastError().find(text)) << LastError();
  }

  void* Allocate(size_t bytes) {
    void* address = nullptr;
    EXPECT_EQ(cudaSuccess, cudaMalloc(&address, bytes));
    allocated_.push_back(address);
    return address;
  }

  void* flags_;
  void* buffers_[16] = {};
  void** table_;
  std::vector<void*> allocated_;
};

// Every call would refuse them on the device.
TEST_F(Adopt, FlagsOfAnotherTurnAreRefused) {
  for (uint32_t index = 0; index < 3; ++index) {
    for (uint32_t dirty = 0; dirty < 3; ++dirty) {
      SetFlags({index, dirty, kGeneration, 0, 0, 0, 0, 0, 0});
      if (dirty == (index + 2) % 3) {
        EXPECT_EQ(LAMPLIGHT_OK, Try(Good())) << LastError();
      } else {
        Refuses(Good(), LAMPLIGHT_ERROR_STATE, "word 1 numbers the generation before");
      }
    }
  }
}

TEST_F(Adopt, StagesThatDoNotSplitAGenerationAreRefused) {
  SetFlags({0, 2, kGeneration, 3, 64, 64, 64, 0, 0});
  Refuses(Good(), LAMPLIGHT_ERROR_STATE, "word 2 does not split into as many stages");
  SetFlags({0, 2, 3 * kGeneration / 4, 3, 64, 64, 64, 0, 0});
  EXPECT_EQ(LAMPLIGHT_OK, Try(Good())) << LastError();
}

TEST_F(Adopt, TwoRanksOfOneBufferAreRefused) {
  void* twice[] = {buffers_[1], buffers_[1]};
  Options options = Good();
  options.peers_host = twice;
  Refuses(options, LAMPLIGHT_ERROR_VALUE, "the buffer addresses of ranks 0 and 1 are both");
}

// What the next call writes, and what the one before has left, may be anything.
TEST_F(Adopt, ABufferThatIsNotArmedIsRefused) {
  for (uint32_t index = 0; index < 3; ++index) {
    const uint32_t next = (index + 1) % 3;
    SetFlags({index, (index + 2) % 3, kGeneration, 0, 0, 0, 0, 0, 0});
    Fill(index, 0x3f803f80);
    Fill((index + 2) % 3, 0);
    Fill(next, 0x80000000);
    EXPECT_EQ(LAMPLIGHT_OK, Try(Good())) << LastError();
    Fill(next, 0);
    Refuses(Good(), LAMPLIGHT_ERROR_STATE,
            "options->local holds 00000000 in generation " + std::to_string(next));
    Refuses(Good(), LAMPLIGHT_ERROR_STATE, "it is not armed");
  }
}

// An fp32 call would take every pair of 16-bit −0 for a negative subnormal.
TEST_F(Adopt, ABufferThatIsArmedFor16BitElementsIsRefused) {
  Fill(1, 0x80008000);
  Refuses(Good(), LAMPLIGHT_ERROR_STATE, "it is armed for 16-bit elements");
}

TEST_F(Adopt, UsesTheCallersMemoryAsItIs) {
  for (const bool on_device : {false, true}) {
    Options options = Good();
    if (on_device) {
      options.peers_host = nullptr;
      options.peers_device = table_;
    }
    lamplight_workspace* workspace = nullptr;
    ASSERT_EQ(LAMPLIGHT_OK, lamplight_workspace_adopt(&options, &workspace)) << LastError();
    const CollectiveCall& common = workspace->impl->common;
    EXPECT_EQ(flags_, common.state);
    EXPECT_EQ(buffers_[1], common.local);
    EXPECT_EQ(buffers_[0], common.peer[0]);
    EXPECT_EQ(buffers_[1], common.peer[1]);
    EXPECT_EQ(nullptr, common.peer_table);
    EXPECT_EQ(0u, common.header_offset);
    EXPECT_EQ(0u, common.generation_bytes);
    EXPECT_EQ(kGeneration, workspace->impl->capacity.generation_bytes);
    lamplight_workspace_destroy(workspace);
  }
}

TEST_F(Adopt, ManyRanksGetATableOfTheirOwn) {
  Options options = Good();
  options.world = 16;
  lamplight_workspace* workspace = nullptr;
  ASSERT_EQ(LAMPLIGHT_OK, lamplight_workspace_adopt(&options, &workspace)) << LastError();
  const CollectiveCall& common = workspace->impl->common;
  ASSERT_NE(nullptr, common.peer_table);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(buffers_[i], common.peer_table[i]);
  lamplight_workspace_destroy(workspace);
}

TEST_F(Adopt, CallsCarryTheMulticastAddress) {
  Options options = Good();
  options.multicast = buffers_[5];
  options.header_offset = 3 * kGeneration;
  lamplight_workspace* workspace = nullptr;
  ASSERT_EQ(LAMPLIGHT_OK, lamplight_workspace_adopt(&options, &workspace)) << LastError();
  lamplight_call call = LAMPLIGHT_CALL_INIT;
  call.input = buffers_[8];
  call.output = buffers_[9];
  call.tokens = 1;
  call.hidden = 64;
  call.dtype = LAMPLIGHT_BF16;
  TakeLaunched();
  ASSERT_EQ(LAMPLIGHT_OK, lamplight_all_reduce(workspace, &call, nullptr)) << LastError();
  ASSERT_EQ(cudaSuccess, cudaDeviceSynchronize());
  const auto launched = TakeLaunched();
  ASSERT_EQ(1u, launched.size());
  EXPECT_EQ(buffers_[5], launched[0].call.multicast);
  EXPECT_EQ(3u * kGeneration, launched[0].call.header_offset);
  lamplight_workspace_destroy(workspace);
}

TEST_F(Adopt, NullsAreNamed) {
  lamplight_workspace* workspace = nullptr;
  const Options good = Good();
  EXPECT_EQ(LAMPLIGHT_ERROR_NULL, lamplight_workspace_adopt(nullptr, &workspace));
  EXPECT_EQ(LAMPLIGHT_ERROR_NULL, lamplight_workspace_adopt(&good, nullptr));
  Options options = good;
  options.flags = nullptr;
  Refuses(options, LAMPLIGHT_ERROR_NULL, "options->flags is null");
  options = good;
  options.local = nullptr;
  Refuses(options, LAMPLIGHT_ERROR_NULL, "options->local is null");
  options = good;
  options.peers_host = nullptr;
  Refuses(options, LAMPLIGHT_ERROR_NULL, "options->peers_device and options->peers_host");
  void* missing[] = {buffers_[0], nullptr};
  options = good;
  options.peers_host = missing;
  Refuses(options, LAMPLIGHT_ERROR_NULL, "the buffer address of rank 1 is null");
}

TEST_F(Adopt, BadValuesAreNamed) {
  Options options = Good();
  options.world = 5;
  Refuses(options, LAMPLIGHT_ERROR_WORLD, "options->world is 5");
  options = Good();
  options.rank = 9;
  Refuses(options, LAMPLIGHT_ERROR_RANK, "options->rank is 9");
  options = Good();
  options.peers_device = table_;
  Refuses(options, LAMPLIGHT_ERROR_VALUE, "both given");
  options = Good();
  options.flags = static_cast<char*>(flags_) + 4;
  Refuses(options, LAMPLIGHT_ERROR_MISALIGNED, "options->flags is 0x");
  options = Good();
  options.local = static_cast<char*>(buffers_[1]) + 8;
  Refuses(options, LAMPLIGHT_ERROR_MISALIGNED, "options->local is 0x");
  options = Good();
  options.multicast = reinterpret_cast<void*>(8);
  Refuses(options, LAMPLIGHT_ERROR_MISALIGNED, "options->multicast is 0x8");
  options = Good();
  options.device = 77;
  Refuses(options, LAMPLIGHT_ERROR_DEVICE, "options->device is 77");
  options = Good();
  options.on_timeout = 2;
  Refuses(options, LAMPLIGHT_ERROR_VALUE, "options->on_timeout is 2");
  options = Good();
  options.struct_size = 12;
  Refuses(options, LAMPLIGHT_ERROR_STRUCT_SIZE, "options->struct_size is 12");
  options = Good();
  options.multiprocessors = 100000;
  Refuses(options, LAMPLIGHT_ERROR_VALUE, "options->multiprocessors is 100000 and device 0 has ");
}

TEST_F(Adopt, HeadersMustLieBehindTheGenerations) {
  Options options = Good();
  for (const uint64_t offset : {uint64_t{128}, uint64_t{3} * kGeneration + 16}) {
    options.header_offset = offset;
    Refuses(options, LAMPLIGHT_ERROR_VALUE, "options->header_offset is");
  }
}

TEST_F(Adopt, GenerationMustBeTheFlags) {
  Options options = Good();
  options.generation_bytes = kGeneration;
  EXPECT_EQ(LAMPLIGHT_OK, Try(options));
  options.generation_bytes = kGeneration + 256;
  Refuses(options, LAMPLIGHT_ERROR_STATE, "options->generation_bytes is 65792");
}

TEST_F(Adopt, ImpossibleFlagsAreShown) {
  const Flags bad[] = {
      {3, 2, kGeneration, 0, 0, 0, 0, 0, 0}, {0, 3, kGeneration, 0, 0, 0, 0, 0, 0},
      {0, 2, 0, 0, 0, 0, 0, 0, 0},           {0, 2, kGeneration + 16, 0, 0, 0, 0, 0, 0},
      {0, 2, kGeneration, 5, 0, 0, 0, 0, 0}, {0, 2, kGeneration, 1, 0, 0, 0, 0, 7},
  };
  for (const Flags& flags : bad) {
    SetFlags(flags);
    Refuses(Good(), LAMPLIGHT_ERROR_STATE, "options->flags hold [" + std::to_string(flags[0]));
  }
  SetFlags({1, 0, kGeneration, 2, 4096, 2048, 0, 0, 0});
  EXPECT_EQ(LAMPLIGHT_OK, Try(Good())) << LastError();
}

TEST_F(Adopt, CapacityIsThatOfTheFlags) {
  const Options options = Good();
  lamplight_workspace* workspace = nullptr;
  ASSERT_EQ(LAMPLIGHT_OK, lamplight_workspace_adopt(&options, &workspace));
  uint32_t tokens = 0;
  ASSERT_EQ(LAMPLIGHT_OK, lamplight_workspace_capacity(workspace, 1024, LAMPLIGHT_BF16,
                                                       LAMPLIGHT_ALGORITHM_ONE_SHOT, &tokens));
  EXPECT_EQ(kGeneration / 2 / 2048, tokens);
  lamplight_workspace_destroy(workspace);
}

}  // namespace
}  // namespace lamplight::kernels::test
