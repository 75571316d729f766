// Launch parameters of each layout in, calls out; values that make no sense are refused.
#include <gtest/gtest.h>

#include <cstring>

#include "shim/lamport/recognition.h"
#include "tests/unit/lamport/field_kernels.h"

namespace lamplight::lamport {
namespace {

constexpr uint64_t kFlags = 0x7f0000001000;
constexpr uint64_t kPeers = 0x7f0000002000;
constexpr uint64_t kLocal = 0x7f0000003000;
constexpr uint64_t kMulticast = 0x7f0000004000;

const AbiTable& Table() {
  static const std::unique_ptr<AbiTable> table = AbiTable::Load("", nullptr);
  return *table;
}

// A launch's parameters as the driver takes them: one pointer each.
class Launch {
 public:
  Launch(std::string_view release, std::string_view part)
      : kernel_(FindKernel(release, part)),
        recognition_(Table().Recognise(kernel_.symbol, kernel_.parameters)),
        bytes_(4096, std::byte{0}) {
    EXPECT_TRUE(recognition_.decoded) << release << " " << part << recognition_.reason;
    for (const ParameterSpan& span : kernel_.parameters) {
      pointers_.push_back(bytes_.data() + span.offset);
    }
  }

  template <class T>
  Launch& Set(size_t parameter, T value, size_t offset = 0) {
    std::memcpy(bytes_.data() + kernel_.parameters.at(parameter).offset + offset, &value,
                sizeof(value));
    return *this;
  }
  bool Read(DecodedCall* call) const { return Decode(recognition_, pointers_.data(), shape, call); }
  DecodedCall MustRead() const {
    DecodedCall call;
    EXPECT_TRUE(Read(&call));
    return call;
  }
  std::vector<void*>& pointers() { return pointers_; }
  const Recognition& recognition() const { return recognition_; }

  LaunchShape shape{.grid = {16, 4, 1}, .block = 180, .cluster = 4};

 private:
  const FieldKernel& kernel_;
  Recognition recognition_;
  std::vector<std::byte> bytes_;
  std::vector<void*> pointers_;
};

Launch OneShotC() {
  Launch launch("0.6.4", "28oneshot");
  launch.Set<uint64_t>(0, 0x100).Set<uint64_t>(1, 0x200).Set<uint64_t>(2, 0x300);
  launch.Set<uint64_t>(3, 0x400).Set<uint64_t>(4, 0x500);
  launch.Set<uint64_t>(5, kPeers).Set<uint64_t>(6, kMulticast);
  launch.Set<int32_t>(7, 16).Set<int32_t>(8, 2880).Set<float>(9, 1e-5f).Set<int32_t>(10, 3);
  launch.Set<uint64_t>(11, kFlags);
  return launch;
}

Launch TwoShotC(bool waits) {
  Launch launch("0.6.4", "22twoshot");
  launch.Set<uint64_t>(2, kPeers).Set<uint32_t>(4, 64).Set<uint32_t>(5, 4096);
  launch.Set<uint32_t>(6, 1).Set<uint64_t>(7, kFlags).Set<bool>(8, waits);
  return launch;
}

Launch EraG(std::string_view part) {
  Launch launch("0.7.2", part);
  launch.Set<uint64_t>(0, 0x100).Set<uint64_t>(0, 0x300, 16).Set<uint64_t>(0, kPeers, 40);
  launch.Set<uint64_t>(0, kMulticast, 48).Set<uint64_t>(0, kLocal, 56).Set<int32_t>(0, 8, 64);
  launch.Set<int32_t>(0, 5, 68).Set<int32_t>(0, 32, 72).Set<int32_t>(0, 7168, 76);
  launch.Set<uint64_t>(0, kFlags, 120);
  return launch;
}

Launch Unicast(const char* release, std::string_view part) {
  Launch launch(release, part);
  launch.Set<int32_t>(0, static_cast<int32_t>(launch.recognition().world), 0);
  launch.Set<int32_t>(0, 1, 4).Set<int32_t>(0, 24 * 2880, 8).Set<int32_t>(0, 2880, 12);
  launch.Set<uint64_t>(0, 0x10000, 16);
  return launch;
}

TEST(Decode, OneShotEraC) {
  const DecodedCall call = OneShotC().MustRead();
  EXPECT_EQ(call.call.tokens, 16u);
  EXPECT_EQ(call.call.dim, 2880u);
  EXPECT_EQ(call.call.rank, 3u);
  EXPECT_EQ(call.call.world, 8u);
  EXPECT_EQ(call.call.index_argument, trace::kNoId);
  EXPECT_EQ(call.call.flags, trace::kCallAdvances);
  EXPECT_EQ(call.call.grid[0], 16u);
  EXPECT_EQ(call.call.cluster, 4u);
  EXPECT_EQ(call.call.expected_arrivals, 16u);  // 64 blocks in clusters of 4
  EXPECT_FALSE(call.flags_indirect);
  EXPECT_EQ(call.flags_address, kFlags);
  EXPECT_EQ(call.peers_address, kPeers);
  EXPECT_EQ(call.multicast_address, kMulticast);
  EXPECT_EQ(call.local_address, 0u);
  EXPECT_EQ(call.output_address, 0x100u);
  EXPECT_EQ(call.prenorm_address, 0x200u);
  EXPECT_EQ(call.shard_address, 0x300u);
  EXPECT_EQ(call.residual_address, 0x400u);
  EXPECT_EQ(call.gamma_address, 0x500u);
}

TEST(Decode, LaunchAttributesBecomeFlags) {
  Launch launch = OneShotC();
  launch.shape.pdl = true;
  launch.shape.cooperative = true;
  EXPECT_EQ(launch.MustRead().call.flags,
            trace::kCallAdvances | trace::kCallPdl | trace::kCallCooperative);
}

TEST(Decode, TwoShotAdvancesOnlyWhereItWaits) {
  const DecodedCall waiting = TwoShotC(true).MustRead();
  EXPECT_EQ(waiting.call.flags, trace::kCallAdvances);
  EXPECT_EQ(waiting.call.expected_arrivals, 16u);
  const DecodedCall leaving = TwoShotC(false).MustRead();
  EXPECT_EQ(leaving.call.flags, 0u);
  EXPECT_EQ(leaving.call.expected_arrivals, 0u);
  EXPECT_NE(waiting.call.digest, leaving.call.digest);
}

TEST(Decode, RmsNormTellsWorldButNoRank) {
  Launch launch("0.6.4", "14rmsNorm");
  launch.Set<uint64_t>(2, kLocal).Set<uint32_t>(6, 64).Set<uint32_t>(7, 4096).Set<uint32_t>(8, 4);
  launch.Set<uint64_t>(9, kFlags);
  const DecodedCall call = launch.MustRead();
  EXPECT_EQ(call.call.world, 4u);
  EXPECT_EQ(call.call.rank, trace::kNoId);
  EXPECT_EQ(call.local_address, kLocal);
  EXPECT_EQ(call.call.flags, trace::kCallAdvances);
}

TEST(Decode, EraDPutsTheBiasBeforeTheRank) {
  Launch launch("0.6.12", "28oneshot");
  launch.Set<uint64_t>(5, kPeers).Set<int32_t>(7, 8).Set<int32_t>(8, 512).Set<float>(9, 1e-6f);
  launch.Set<float>(10, 1.0f).Set<int32_t>(11, 7).Set<uint64_t>(12, kFlags);
  const DecodedCall call = launch.MustRead();
  EXPECT_EQ(call.call.rank, 7u);
  EXPECT_EQ(call.flags_address, kFlags);
}

TEST(Decode, EraGStructByValue) {
  const DecodedCall one_shot = EraG("28oneshotAllreduceFusionKernelILh8E").MustRead();
  EXPECT_EQ(one_shot.call.tokens, 32u);
  EXPECT_EQ(one_shot.call.dim, 7168u);
  EXPECT_EQ(one_shot.call.rank, 5u);
  EXPECT_EQ(one_shot.call.world, 8u);
  EXPECT_EQ(one_shot.local_address, kLocal);
  EXPECT_EQ(one_shot.multicast_address, kMulticast);
  EXPECT_EQ(one_shot.flags_address, kFlags);
  EXPECT_EQ(one_shot.call.flags, trace::kCallAdvances);
}

TEST(Decode, EraGTwoShotWaitsByTemplateArgument) {
  const DecodedCall leaving = EraG("22twoshotAllreduceKernelILh8E13__nv_bfloat16Lb0E").MustRead();
  EXPECT_EQ(leaving.call.flags, 0u);
  const DecodedCall waiting = EraG("22twoshotAllreduceKernelILh64EfLb1E").MustRead();
  EXPECT_EQ(waiting.call.flags, trace::kCallAdvances);
  EXPECT_EQ(waiting.call.expected_arrivals, 64u);  // blocks
  EXPECT_EQ(waiting.call.world, 64u);
}

TEST(Decode, EraABTakesDimFromTheNormsName) {
  Launch launch("0.5.3", "7RMSNorm");
  launch.Set<int32_t>(6, 4).Set<uint64_t>(7, kFlags);
  EXPECT_EQ(launch.MustRead().call.dim, 7168u);
  Launch two_shot("0.5.3", "24twoshot");
  two_shot.Set<int32_t>(4, 4).Set<int32_t>(5, 16).Set<int32_t>(6, 7168).Set<int32_t>(7, 2);
  two_shot.Set<uint64_t>(8, kFlags).Set<bool>(9, true);
  EXPECT_EQ(two_shot.MustRead().call.expected_arrivals, 64u);
}

TEST(Decode, UnicastFlagsLieBehindTheWorkspace) {
  for (const char* release : {"0.2.8", "0.5.3", "0.6.4", "0.6.12", "0.7.2"}) {
    const DecodedCall call =
        Unicast(release, "oneshot_lamportILNS0_22AllReduceFusionPatternE1").MustRead();
    EXPECT_EQ(call.call.tokens, 24u);
    EXPECT_EQ(call.call.world, 8u);
    EXPECT_TRUE(call.flags_indirect);
    EXPECT_EQ(call.flags_address, 0x10000u + 3 * 8 * 8);
    EXPECT_EQ(call.peers_address, 0x10000u + 2 * 8 * 8);  // of the Lamport buffers
    EXPECT_EQ(call.call.flags, trace::kCallAdvances);
    EXPECT_EQ(Unicast(release, "twoshot_sync").MustRead().call.flags, 0u);
  }
}

TEST(Decode, UnicastRefusesElementsThatAreNoTokens) {
  Launch launch = Unicast("0.6.4", "oneshot_lamport");
  launch.Set<int32_t>(0, 24 * 2880 + 1, 8);
  DecodedCall call;
  EXPECT_FALSE(launch.Read(&call));
}

TEST(Decode, RefusesNumbersThatMakeNoSense) {
  const std::pair<size_t, int32_t> bad[] = {{7, 0}, {7, -1}, {8, 0}, {8, -5}, {10, 8}, {10, -1}};
  for (const auto& [parameter, value] : bad) {
    Launch launch = OneShotC();
    launch.Set<int32_t>(parameter, value);
    DecodedCall call;
    EXPECT_FALSE(launch.Read(&call)) << parameter << " = " << value;
  }
}

TEST(Decode, RefusesMissingAndMisalignedFlags) {
  for (const uint64_t flags : {uint64_t{0}, kFlags + 1, kFlags + 2}) {
    Launch launch = OneShotC();
    launch.Set<uint64_t>(11, flags);
    DecodedCall call;
    EXPECT_FALSE(launch.Read(&call)) << flags;
  }
}

TEST(Decode, RefusesMissingParameters) {
  Launch launch = OneShotC();
  DecodedCall call;
  EXPECT_FALSE(Decode(launch.recognition(), nullptr, launch.shape, &call));
  launch.pointers()[7] = nullptr;
  EXPECT_FALSE(launch.Read(&call));
}

TEST(Decode, RefusesWhatWasNotRecognised) {
  DecodedCall call;
  const void* pointers[1] = {&call};
  EXPECT_FALSE(Decode(Recognition{}, pointers, LaunchShape{}, &call));
}

TEST(Decode, DigestIgnoresAddressesOnly) {
  const uint64_t first = OneShotC().MustRead().call.digest;
  Launch moved = OneShotC();
  moved.Set<uint64_t>(0, 0x9000).Set<uint64_t>(2, 0x9100).Set<uint64_t>(11, kFlags + 64);
  EXPECT_EQ(moved.MustRead().call.digest, first);
  Launch tokens = OneShotC();
  tokens.Set<int32_t>(7, 17);
  EXPECT_NE(tokens.MustRead().call.digest, first);
  Launch eps = OneShotC();
  eps.Set<float>(9, 2e-5f);
  EXPECT_NE(eps.MustRead().call.digest, first);
  Launch swapped = OneShotC();
  swapped.Set<int32_t>(7, 2880).Set<int32_t>(8, 16);
  EXPECT_NE(swapped.MustRead().call.digest, first);
}

TEST(Decode, ArrivalsOfAnAbsurdGridAreUnknown) {
  Launch launch = OneShotC();
  launch.shape.grid[0] = launch.shape.grid[1] = 0xffffffffu;
  EXPECT_EQ(launch.MustRead().call.expected_arrivals, 0u);
}

// The pointers of its ranks' planes lie in the parameters themselves.
TEST(Decode, TakesThisRanksEntryAndWhatLiesBehindTheRanks) {
  struct Case {
    const char* release;
    const char* part;
    uint32_t world;
    size_t row, rank, planes, counters, slot_bytes;
    uint32_t row_units;  // elements in one
  };
  const Case cases[] = {
      {"sglang 23", "1shot_push_kernelI13", 2, 16, 20, 24, 40, 56, 8},
      {"sglang 23", "1shot_push_kernelI6", 4, 16, 20, 24, 56, 72, 8},
      {"sglang 23", "1shot_push_kernelIf", 8, 16, 20, 24, 88, 104, 4},
      {"sglang 20", "1shot_push_kernelI", 2, 16, 20, 24, 40, 56, 8},
      {"sglang 17", "AllReducePushImpl", 2, 16, 20, 48, 80, 96, 1},
      {"sglang 16", "AllReducePushImpl", 2, 16, 20, 96, 224, 240, 1},
  };
  for (const Case& c : cases) {
    Launch launch(c.release, c.part);
    for (uint32_t rank = 0; rank < c.world; ++rank) {
      launch.Set<uint64_t>(0, kLocal + rank * 0x100000, c.planes + rank * 8);
    }
    launch.Set<uint64_t>(0, 0x100, 0).Set<uint64_t>(0, 0x200, 8).Set<uint32_t>(0, 512, c.row);
    launch.Set<uint32_t>(0, c.world - 1, c.rank).Set<uint64_t>(0, kFlags, c.counters);
    launch.Set<uint32_t>(0, 65536, c.slot_bytes);
    const DecodedCall call = launch.MustRead();
    EXPECT_EQ(call.local_address, kLocal + (c.world - 1) * 0x100000) << c.release;
    EXPECT_EQ(call.flags_address, kFlags) << c.release;
    EXPECT_EQ(call.generation_bytes, 65536u * c.world) << c.release;
    EXPECT_EQ(call.call.tokens, 1u) << c.release;
    EXPECT_EQ(call.call.dim, 512 * c.row_units) << c.release;
    EXPECT_EQ(call.call.world, c.world) << c.release;
    EXPECT_TRUE((call.call.flags & trace::kCallAdvances) != 0) << c.release;
    EXPECT_EQ(call.shard_address, 0x100u) << c.release;
    EXPECT_EQ(call.output_address, 0x200u) << c.release;
    DecodedCall none;
    EXPECT_FALSE(launch.Set<uint32_t>(0, c.world, c.rank).Read(&none)) << "a rank of no entry";
  }
}

TEST(Decode, ReadsSglangsFirstPushKernel) {
  Launch launch("sglang 10", "one_shot_push");
  launch.Set<uint64_t>(0, kLocal, 8).Set<uint32_t>(0, 1, 80).Set<uint32_t>(0, 4096, 84);
  launch.Set<uint32_t>(0, 32768, 88).Set<uint64_t>(1, kFlags);
  const DecodedCall call = launch.MustRead();
  EXPECT_EQ(call.local_address, kLocal);
  EXPECT_EQ(call.flags_address, kFlags);
  EXPECT_EQ(call.generation_bytes, 65536u);
  EXPECT_EQ(call.call.dim, 4096u);
  EXPECT_EQ(call.call.rank, 1u);
}

}  // namespace
}  // namespace lamplight::lamport
