// The simulated kernels against the protocol: two ranks on two threads over plain memory.
//
// The registry here stands in for the device's, so that the bodies run without it.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "kernels/protocol.cuh"
#include "shim/snapshot_args.h"
#include "tests/device_sim/sim_kernel.h"

namespace device_sim {
namespace {

std::vector<KernelEntry>& Registry() {
  static std::vector<KernelEntry> registry;
  return registry;
}

}  // namespace

void RegisterKernel(KernelEntry entry) { Registry().push_back(std::move(entry)); }

const KernelEntry* FindKernel(std::string_view symbol) {
  const KernelEntry* best = nullptr;
  for (const KernelEntry& entry : Registry()) {
    const bool longer = best == nullptr || entry.prefix.size() > best->prefix.size();
    if (symbol.starts_with(entry.prefix) && longer) best = &entry;
  }
  return best;
}

namespace {

namespace protocol = lamplight::protocol;
namespace shim = lamplight::shim;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kWorld = 2;
constexpr uint32_t kDim = 16;
constexpr uint32_t kTokens = 4;
constexpr uint32_t kRowBytes = kDim * 2;
constexpr uint32_t kGenerationBytes = kTokens * kWorld * kRowBytes;
constexpr uint16_t kOne = 0x3f80;

constexpr char kLegacyOneShot[] =
    "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh2E13__nv_bfloat16Lb1E"
    "6float4EEvPT0_S5_PKS4_S7_S7_PS5_S5_iifiPj";
constexpr char kLegacyTwoShot[] =
    "_ZN10flashinfer22trtllm_mnnvl_allreduce22twoshotAllreduceKernelILh2E13__nv_"
    "bfloat166float4EEvPT0"
    "_PKS4_PS5_S5_jjjPjb";
constexpr char kLegacyNorm[] =
    "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportI13__nv_bfloat16S2_Li1EEEvPT_PT0_S4_"
    "PKS3_"
    "fS8_jjjPj";
constexpr char kGoodOneShot[] =
    "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh2E13__nv_"
    "bfloat16Lb1ELNS"
    "0_9QuantTypeE0E6float4EEvNS0_21AllReduceKernelParamsIT0_EE";
constexpr char kBakedIndex[] =
    "_ZN9piecewise25bakedIndexAllreduceKernelILi2EEEvP13__nv_bfloat16S2_PKS1_S4_S4_PS2_iifiPjj";

struct Stuck {};

// A launch of one block cluster per token; a kernel that polls for a second is stuck.
class FakeContext : public KernelContext {
 public:
  std::string_view symbol() const override { return "fake"; }
  Dim3 grid() const override { return {kTokens, 2, 1}; }
  Dim3 block() const override { return {32, 1, 1}; }
  unsigned cluster_size() const override { return 2; }
  unsigned shared_bytes() const override { return 0; }
  uint64_t global_timer_ns() const override { return 77; }
  void Relax() override {
    if (Clock::now() > deadline_) throw Stuck{};
    std::this_thread::yield();
  }

 private:
  Clock::time_point deadline_ = Clock::now() + std::chrono::seconds(1);
};

// Packs the arguments as the entry's layout says and runs the body. True: it came to its end.
template <class... Args>
bool Launch(const char* symbol, Args... args) {
  const KernelEntry* entry = FindKernel(symbol);
  EXPECT_NE(entry, nullptr) << symbol;
  if (entry == nullptr) return false;
  EXPECT_EQ(entry->parameters.size(), sizeof...(Args));
  const Parameter& last = entry->parameters.back();
  std::vector<std::byte> bytes(last.offset + last.size);
  size_t i = 0;
  ((std::memcpy(bytes.data() + entry->parameters[i++].offset, &args, sizeof(args))), ...);
  FakeContext context;
  try {
    entry->body(context, bytes.data());
    return true;
  } catch (const Stuck&) {
    return false;
  }
}

struct GoodParameters {
  void *out, *prenorm, *shard, *residual, *gamma, *peers, *multicast, *local;
  int32_t ranks, rank, tokens, dim;
  float epsilon, weight_bias;
  void *out_scale, *quant_out, *scales_out;
  int32_t scales_layout;
  uint32_t* flags;
};

// One rank's buffers and its launches.
struct Rank {
  std::vector<uint32_t> buffer =
      std::vector<uint32_t>(3 * kGenerationBytes / 4, protocol::kSentinel);
  alignas(16) std::array<uint32_t, 16> flags = {0, 2, kGenerationBytes};
  std::vector<uint16_t> shard = std::vector<uint16_t>(kTokens * kDim, kOne);
  std::vector<uint16_t> residual = std::vector<uint16_t>(kTokens * kDim, 0);
  std::vector<uint16_t> gamma = std::vector<uint16_t>(kDim, kOne);
  std::vector<uint16_t> prenorm = std::vector<uint16_t>(kTokens * kDim, 0);
  std::vector<uint16_t> out = std::vector<uint16_t>(kTokens * kDim, 0);
  std::array<uint32_t*, kWorld> peers = {};
  int rank = 0;

  bool LegacyOneShot(int tokens) {
    return Launch(kLegacyOneShot, out.data(), prenorm.data(), shard.data(), residual.data(),
                  gamma.data(), peers.data(), static_cast<uint32_t*>(nullptr), tokens,
                  static_cast<int>(kDim), 1e-5f, rank, flags.data());
  }
  bool LegacyTwoShot(int tokens) {
    return Launch(kLegacyTwoShot, static_cast<uint16_t*>(nullptr), shard.data(), peers.data(),
                  static_cast<uint32_t*>(nullptr), tokens, kDim, rank, flags.data(), false) &&
           Launch(kLegacyNorm, prenorm.data(), out.data(), buffer.data(), gamma.data(), 1e-5f,
                  residual.data(), tokens, kDim, kWorld, flags.data());
  }
  bool GoodOneShot(int tokens) {
    GoodParameters p = {};
    p.out = out.data();
    p.prenorm = prenorm.data();
    p.shard = shard.data();
    p.residual = residual.data();
    p.gamma = gamma.data();
    p.peers = peers.data();
    p.local = buffer.data();
    p.ranks = kWorld;
    p.rank = rank;
    p.tokens = tokens;
    p.dim = kDim;
    p.epsilon = 1e-5f;
    p.flags = flags.data();
    return Launch(kGoodOneShot, p);
  }
  bool BakedIndex(int tokens, uint32_t index) {
    return Launch(kBakedIndex, out.data(), prenorm.data(), shard.data(), residual.data(),
                  gamma.data(), peers.data(), tokens, static_cast<int>(kDim), 1e-5f, rank,
                  flags.data(), index);
  }
  const uint32_t* Generation(uint32_t generation) const {
    return buffer.data() + generation * kGenerationBytes / 4;
  }
};

class Kernels : public testing::Test {
 protected:
  Kernels() {
    for (uint32_t r = 0; r < kWorld; ++r) {
      rank_[r].rank = static_cast<int>(r);
      for (uint32_t peer = 0; peer < kWorld; ++peer) {
        rank_[r].peers[peer] = rank_[peer].buffer.data();
      }
    }
  }

  // Both ranks at once; true when both came to their end.
  template <class Call>
  bool Together(Call call) {
    std::array<bool, kWorld> ended = {};
    std::thread other([&] { ended[1] = call(rank_[1]); });
    ended[0] = call(rank_[0]);
    other.join();
    return ended[0] && ended[1];
  }

  void FillDistinct() {
    for (uint32_t r = 0; r < kWorld; ++r) {
      for (size_t i = 0; i < rank_[r].shard.size(); ++i) {
        rank_[r].shard[i] = static_cast<uint16_t>(0x3f00 + 5 * i + 3 * r);
      }
    }
  }

  std::array<Rank, kWorld> rank_;
};

bool AllSentinel(const uint32_t* words, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (words[i] != protocol::kSentinel) return false;
  }
  return true;
}

TEST_F(Kernels, OneShotSumsAndMovesTheIndexOn) {
  ASSERT_TRUE(Together([](Rank& rank) { return rank.LegacyOneShot(kTokens); }));
  for (const Rank& rank : rank_) {
    EXPECT_EQ(rank.prenorm[0], 0x4000);  // 1 + 1
    EXPECT_EQ(rank.out[0], kOne);        // 2 / rms 2
    const std::array<uint32_t, 9> expected = {1, 0, kGenerationBytes, 1, kGenerationBytes, 0, 0,
                                              0, 0};
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), rank.flags.begin()));
  }
}

TEST_F(Kernels, RanksComputeTheSameBits) {
  FillDistinct();
  ASSERT_TRUE(Together([](Rank& rank) { return rank.GoodOneShot(kTokens); }));
  EXPECT_EQ(rank_[0].out, rank_[1].out);
  EXPECT_NE(rank_[0].out[0], rank_[0].out[1]);
}

TEST_F(Kernels, TwoShotEqualsOneShot) {
  FillDistinct();
  ASSERT_TRUE(Together([](Rank& rank) { return rank.LegacyOneShot(3); }));
  const std::vector<uint16_t> one_shot = rank_[0].out;
  ASSERT_TRUE(Together([](Rank& rank) { return rank.LegacyTwoShot(3); }));
  EXPECT_EQ(rank_[0].out, one_shot);
  EXPECT_EQ(rank_[1].out, one_shot);
  // Scatter rounds three tokens up to a whole number per owner.
  const std::array<uint32_t, 6> expected = {
      2, 1, kGenerationBytes, 2, 4 * kRowBytes, 3 * kRowBytes};
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), rank_[0].flags.begin()));
}

TEST_F(Kernels, NextCallEmptiesTheGenerationBefore) {
  for (int call = 0; call < 2; ++call) {
    ASSERT_TRUE(Together([](Rank& rank) { return rank.LegacyOneShot(kTokens); }));
  }
  EXPECT_TRUE(AllSentinel(rank_[0].Generation(0), kGenerationBytes / 4));
  EXPECT_FALSE(AllSentinel(rank_[0].Generation(1), 1));
}

TEST_F(Kernels, ClearsWhatTheCallBeforeWrote) {
  ASSERT_TRUE(Together([](Rank& rank) { return rank.GoodOneShot(kTokens); }));
  ASSERT_TRUE(Together([](Rank& rank) { return rank.GoodOneShot(1); }));
  EXPECT_TRUE(AllSentinel(rank_[1].Generation(0), kGenerationBytes / 4));
}

TEST_F(Kernels, NegativeZeroIsSentAsZero) {
  std::fill(rank_[0].shard.begin(), rank_[0].shard.end(), uint16_t{0x8000});
  ASSERT_TRUE(Together([](Rank& rank) { return rank.GoodOneShot(kTokens); }));
  EXPECT_EQ(rank_[1].prenorm[0], kOne);
}

TEST_F(Kernels, LegacyHangsOnNegativeSubnormal) {
  rank_[1].shard[5] = 0x8001;  // the high half of word 2
  EXPECT_FALSE(Together([](Rank& rank) { return rank.LegacyOneShot(kTokens); }));
  const uint32_t word = rank_[0].Generation(0)[kDim / 2 + 2];
  EXPECT_EQ(word >> 16, 0x8001u);
  EXPECT_EQ(rank_[0].flags[protocol::kArrivals], kTokens);
  EXPECT_EQ(rank_[0].flags[protocol::kCurrentIndex], 0u);
}

TEST_F(Kernels, LegacyTakesNegativeSubnormalInTheLowHalf) {
  rank_[1].shard[4] = 0x8001;
  EXPECT_TRUE(Together([](Rank& rank) { return rank.LegacyOneShot(kTokens); }));
}

// The first word of token 1: +0 below, and above what adds up to a negative subnormal.
void MakeTinyNegativeSum(std::array<Rank, kWorld>& ranks) {
  for (Rank& rank : ranks) rank.shard[kDim] = 0;
  ranks[0].shard[kDim + 1] = 0x00c0;  // 1.5 times the smallest normal
  ranks[1].shard[kDim + 1] = 0x80e0;  // −1.75 times
}

TEST_F(Kernels, LegacyTwoShotHangsOnASumThatIsFlushedToNegativeZero) {
  MakeTinyNegativeSum(rank_);
  EXPECT_FALSE(Together([](Rank& rank) { return rank.LegacyTwoShot(kTokens); }));
  for (const Rank& rank : rank_) {
    const uint32_t* token = rank.Generation(0) + kGenerationBytes / 8 + kDim / 2;
    EXPECT_EQ(token[0], protocol::kSentinel);
    EXPECT_EQ(token[1], 0x40004000u) << "its packet has arrived";
  }
}

TEST_F(Kernels, OnlyTheTwoShotSendsSums) {
  MakeTinyNegativeSum(rank_);
  EXPECT_TRUE(Together([](Rank& rank) { return rank.LegacyOneShot(kTokens); }));
}

TEST_F(Kernels, GoodKeepsATinyNegativeSum) {
  MakeTinyNegativeSum(rank_);
  ASSERT_TRUE(Together([](Rank& rank) { return rank.GoodOneShot(kTokens); }));
  EXPECT_EQ(rank_[0].prenorm[kDim + 1], 0x8020);  // −0.25 times the smallest normal
}

TEST_F(Kernels, GoodTakesNegativeSubnormal) {
  rank_[1].shard[5] = 0x8001;
  EXPECT_TRUE(Together([](Rank& rank) { return rank.GoodOneShot(kTokens); }));
}

TEST_F(Kernels, MissingPeerHangs) {
  EXPECT_FALSE(rank_[0].GoodOneShot(kTokens));
  EXPECT_EQ(rank_[0].flags[protocol::kArrivals], kTokens);
}

TEST_F(Kernels, LosesOneUpdateInAPeriod) {
  for (Rank& rank : rank_) rank.flags[12] = 3;
  std::vector<uint32_t> index;
  for (int call = 0; call < 6; ++call) {
    ASSERT_TRUE(Together([](Rank& rank) { return rank.LegacyOneShot(kTokens); }));
    index.push_back(rank_[0].flags[protocol::kCurrentIndex]);
    EXPECT_EQ(rank_[0].flags[protocol::kArrivals], 0u);
  }
  EXPECT_EQ(index, (std::vector<uint32_t>{1, 2, 2, 0, 1, 1}));
}

TEST_F(Kernels, BakedIndexUsesTheHostsGeneration) {
  ASSERT_TRUE(Together([](Rank& rank) { return rank.BakedIndex(kTokens, 5); }));
  EXPECT_TRUE(AllSentinel(rank_[0].Generation(0), kGenerationBytes / 4));
  EXPECT_FALSE(AllSentinel(rank_[0].Generation(2), 1));
  EXPECT_EQ(rank_[0].flags[protocol::kCurrentIndex], 1u);
}

TEST_F(Kernels, RepeatedIndexReadsStaleWords) {
  ASSERT_TRUE(Together([](Rank& rank) { return rank.BakedIndex(kTokens, 0); }));
  rank_[0].shard.assign(rank_[0].shard.size(), 0x4000);
  // The peer has not called: a sound kernel would hang.
  EXPECT_TRUE(rank_[0].BakedIndex(kTokens, 0));
}

struct Ring {
  std::array<lamplight::SnapshotSlot, 4> slot = {};
  uint64_t tickets = 0;
  shim::SnapshotCounter counter = {};
  std::array<uint32_t, 12> flags = {1, 0, 64, 1, 0, 0, 0, 0, 9, 10, 11, 12};

  // What `ticket` left in slot `index`; zero cells where another ticket's tag stands.
  lamplight::SnapshotRecord Read(size_t index, uint64_t ticket) const {
    std::array<uint32_t, lamplight::kSnapshotCells> values = {};
    for (size_t i = 0; i < values.size(); ++i) {
      const uint64_t cell = slot[index].cell[i];
      if (cell >> 32 == lamplight::SnapshotTag(ticket)) values[i] = static_cast<uint32_t>(cell);
    }
    lamplight::SnapshotRecord record;
    std::memcpy(&record, values.data(), sizeof(record));
    return record;
  }

  shim::SnapshotArgs Args() {
    shim::SnapshotArgs args = {};
    args.ring = reinterpret_cast<uint64_t>(slot.data());
    args.tickets = reinterpret_cast<uint64_t>(&tickets);
    args.counter = reinterpret_cast<uint64_t>(&counter);
    args.mask = 3;
    args.exec_id = 7;
    args.node = 5;
    args.sources = 1;
    args.source[0] = {reinterpret_cast<uint64_t>(flags.data()), 3, 9, 0};
    return args;
  }
};

TEST(Snapshot, CopiesWordsAndCountsRuns) {
  Ring ring;
  for (int run = 0; run < 5; ++run) ASSERT_TRUE(Launch(shim::kSnapshotKernel, ring.Args()));
  const lamplight::SnapshotRecord wrapped = ring.Read(0, 4);
  EXPECT_EQ(wrapped.replay_low, 5u);
  EXPECT_EQ(wrapped.exec_id, 7u);
  EXPECT_EQ(wrapped.workspace_id, 3u);
  EXPECT_EQ(wrapped.node, 5u);
  EXPECT_EQ(wrapped.gpu_ns_low, 77u);
  EXPECT_EQ(wrapped.word[8], 9u);
  EXPECT_EQ(wrapped.word[9], 0u);  // only as many as the source has
}

TEST(Snapshot, FollowsAnIndirectSource) {
  Ring ring;
  uint64_t pointer = reinterpret_cast<uint64_t>(ring.flags.data());
  shim::SnapshotArgs args = ring.Args();
  args.source[0].address = reinterpret_cast<uint64_t>(&pointer);
  args.source[0].indirect = 1;
  ASSERT_TRUE(Launch(shim::kSnapshotKernel, args));
  EXPECT_EQ(ring.Read(0, 0).word[2], 64u);
}

TEST(Snapshot, WritesNothingWhenDisabledOrEmpty) {
  Ring ring;
  shim::SnapshotArgs args = ring.Args();
  args.sources = 0;
  ASSERT_TRUE(Launch(shim::kSnapshotKernel, args));
  EXPECT_EQ(ring.counter.runs, 0u);
  ring.counter.disabled = 1;
  ASSERT_TRUE(Launch(shim::kSnapshotKernel, ring.Args()));
  EXPECT_EQ(ring.counter.runs, 1u);
  EXPECT_EQ(ring.tickets, 0u);
}

}  // namespace
}  // namespace device_sim
