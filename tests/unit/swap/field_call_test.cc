// Each era's launches become the same call of ours; what differs from what we can do is refused.
#include "shim/swap/field_call.h"

#include "tests/unit/swap/launch.h"

namespace lamplight::shim {
namespace {

using kernels::CollectiveCall;
using kernels::DataType;
using kernels::Kernel;
using kernels::Protocol;
using kernels::Quantisation;

constexpr uint64_t kOut = 0x10000, kPrenorm = 0x20000, kShard = 0x30000, kResidual = 0x40000;
constexpr uint64_t kGamma = 0x50000, kPeers = 0x60000, kMulticast = 0x70000, kLocal = 0x80000;
constexpr uint64_t kScale = 0x90000, kQuantised = 0xa0000, kScales = 0xb0000, kFlags = 0xc0000;

template <class T>
uint64_t Address(T* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

std::string Refusal(const FieldLaunch& launch, FieldCall* call) {
  FieldKernel kernel;
  const char* why_not = DescribeFieldKernel(launch.recognition(), launch.symbol(), &kernel);
  if (why_not == nullptr) why_not = ReadFieldCall(kernel, launch.parameters(), call);
  return why_not == nullptr ? "" : why_not;
}

std::string Refusal(const FieldLaunch& launch) {
  FieldCall call;
  return Refusal(launch, &call);
}

FieldCall MustRead(const FieldLaunch& launch) {
  FieldCall call;
  EXPECT_EQ(Refusal(launch, &call), "") << launch.symbol();
  return call;
}

FieldLaunch OneShotWords(std::string_view release, bool bias) {
  FieldLaunch launch(release, "28oneshotAllreduceFusionKernelILh8E13__nv_bfloat16");
  size_t i = 0;
  for (const uint64_t address : {kOut, kPrenorm, kShard, kResidual, kGamma, kPeers, kMulticast}) {
    launch.Set(i++, address);
  }
  launch.Set(7, 16).Set(8, 2880).Set(9, 1e-5f);
  if (bias) launch.Set(10, 1.0f);
  const size_t rank = bias ? 11 : 10;
  return launch.Set(rank, 3).Set(rank + 1, kFlags);
}

// The struct of eras E and G.
FieldLaunch ByValue(std::string_view part, std::string_view release = "0.7.2") {
  FieldLaunch launch(release, part);
  size_t offset = 0;
  for (const uint64_t address :
       {kOut, kPrenorm, kShard, kResidual, kGamma, kPeers, kMulticast, kLocal}) {
    launch.Set(0, address, offset);
    offset += 8;
  }
  launch.Set(0, 8, 64).Set(0, 3, 68).Set(0, 16, 72).Set(0, 2880, 76);
  launch.Set(0, 1e-5f, 80).Set(0, 1.0f, 84).Set(0, kScale, 88).Set(0, kQuantised, 96);
  return launch.Set(0, kScales, 104).Set(0, 0, 112).Set(0, kFlags, 120);
}

// TensorRT-LLM's struct of era F; that of E is its beginning.
FieldLaunch ByPattern(std::string_view part, std::string_view release = "trtllm F") {
  FieldLaunch launch(release, part);
  size_t offset = 0;
  for (const uint64_t address : {kOut, kPrenorm, kShard, kResidual, kGamma, kPeers, kLocal,
                                 kMulticast, kQuantised, kScales, kScale}) {
    launch.Set(0, address, offset);
    offset += 8;
  }
  launch.Set(0, 16, 88).Set(0, 2880, 92).Set(0, 8, 96).Set(0, 3, 100).Set(0, 1e-5f, 104);
  return launch.Set(0, kFlags, 112).Set(0, false, 120).Set(0, 0, 124);
}

FieldLaunch Unicast(std::string_view release, int32_t pattern) {
  FieldLaunch launch(release,
                     "39allreduce_fusion_kernel_oneshot_lamportILNS0_22AllReduceFusion"
                     "PatternE1E13__nv_bfloat16Li8E");
  launch.Set(0, 8, 0).Set(0, 3, 4).Set(0, 16 * 2880, 8).Set(0, 2880, 12).Set(0, kPeers, 16);
  launch.Set(0, kShard, 24).Set(0, kOut, 32).Set(0, kResidual, 40).Set(0, kPrenorm, 48);
  launch.Set(0, kLocal, 56).Set(0, kQuantised, 64).Set(0, kScales, 72).Set(0, kGamma, 80);
  launch.Set(0, 1e-5f, 88).Set(0, kScale, 96).Set(0, true, 104).Set(0, 0, 108);
  return launch.Set(0, pattern, 120);
}

const lamport::AbiTable& SizesOf64() {
  static const std::unique_ptr<lamport::AbiTable> table = ArmedTable("EPfm");
  return *table;
}

// TensorRT-LLM's, of any pattern.
FieldLaunch UnicastByPattern(int32_t pattern, const lamport::AbiTable& table = SizesOf64()) {
  FieldLaunch launch("trtllm 136v",
                     "oneshot_lamportILNS2_22AllReduceFusionPatternE" + std::to_string(pattern) +
                         "E13__nv_bfloat16Li8E",
                     table);
  launch.Set(0, 8, 0).Set(0, 3, 4).Set(0, 7, 8).Set(0, 16 * 2880, 12).Set(0, 2880, 16);
  launch.Set(0, kPeers, 24).Set(0, kShard, 32).Set(0, kResidual, 40).Set(0, kOut, 48);
  launch.Set(0, kPrenorm, 56).Set(0, kLocal, 64).Set(0, kQuantised, 72).Set(0, kScales, 80);
  launch.Set(0, kGamma, 88).Set(0, 1e-5f, 96).Set(0, kScale, 104).Set(0, true, 112);
  return launch.Set(0, 0, 116).Set(0, pattern, 128);
}

void ExpectTensors(const CollectiveCall& call) {
  EXPECT_EQ(Address(call.output), kOut);
  EXPECT_EQ(Address(call.residual_out), kPrenorm);
  EXPECT_EQ(Address(call.input), kShard);
  EXPECT_EQ(Address(call.residual_in), kResidual);
  EXPECT_EQ(Address(call.gamma), kGamma);
  EXPECT_EQ(Address(call.peer_table), kPeers);
  EXPECT_EQ(Address(call.multicast), kMulticast);
  EXPECT_EQ(Address(call.state), kFlags);
  EXPECT_EQ(call.tokens, 16u);
  EXPECT_EQ(call.hidden, 2880u);
  EXPECT_EQ(call.world, 8u);
  EXPECT_EQ(call.rank, 3u);
  EXPECT_EQ(call.epsilon, 1e-5f);
  EXPECT_EQ(call.data_type, DataType::kBf16);
  EXPECT_EQ(call.options, kernels::kNorm);
}

TEST(FieldCall, ReadsOneShotOfEveryEra) {
  for (const FieldLaunch& launch :
       {OneShotWords("0.6.4", false), OneShotWords("0.6.12", true),
        ByValue("28oneshotAllreduceFusionKernelILh8E13__nv_bfloat16", "0.6.13"),
        ByValue("28oneshotAllreduceFusionKernelILh8E13__nv_bfloat16")}) {
    const FieldCall field = MustRead(launch);
    EXPECT_EQ(field.kernel, Kernel::kOneShot);
    EXPECT_EQ(field.protocol, Protocol::kMnnvl);
    ExpectTensors(field.call);
  }
  EXPECT_EQ(MustRead(OneShotWords("0.6.4", false)).call.weight_bias, 0.0f);
  EXPECT_EQ(MustRead(OneShotWords("0.6.12", true)).call.weight_bias, 1.0f);
}

TEST(FieldCall, ReadsTensorRtLlms) {
  constexpr char kOneShot[] = "28oneshotAllreduceFusionKernelILh8E13__nv_bfloat16";
  for (const FieldLaunch& launch :
       {OneShotWords("trtllm C", false), OneShotWords("trtllm Cv", false),
        ByPattern("bfloat16LNS1_9ar_fusion22AllReduceFusionPatternE1E")}) {
    const FieldCall field = MustRead(launch);
    EXPECT_EQ(field.kernel, Kernel::kOneShot);
    EXPECT_EQ(field.protocol, Protocol::kMnnvl);
    ExpectTensors(field.call);
    EXPECT_EQ(field.call.weight_bias, 0.0f);
    EXPECT_EQ(field.call.local, nullptr);
  }
  EXPECT_EQ(MustRead(ByPattern(kOneShot)).call.options, 0) << "pattern 0 has no norm";

  FieldLaunch sends = ByPattern("22twoshotAllreduceKernel");
  EXPECT_EQ(MustRead(sends).kernel, Kernel::kTwoShotSends);
  EXPECT_EQ(MustRead(sends).call.options, 0);
  EXPECT_EQ(MustRead(sends.Set(0, true, 120)).call.options, kernels::kAwaitSums);
  sends.Set(0, uint64_t{0}, 24);
  EXPECT_EQ(Refusal(sends), "") << "a plain all-reduce";
  EXPECT_EQ(Refusal(sends.Set(0, false, 120)), "its norm has no residual");
  const FieldCall norm = MustRead(ByPattern("14rmsNormLamport"));
  EXPECT_EQ(norm.kernel, Kernel::kTwoShotNorm);
  EXPECT_EQ(norm.call.options, kernels::kNorm);
  EXPECT_EQ(Address(norm.call.local), kLocal);
  EXPECT_FALSE(norm.rank_unknown);
}

TEST(FieldCall, ReadsWhatTensorRtLlmsPatternsStore) {
  const auto of = [](int pattern, int32_t layout) {
    FieldLaunch launch = ByPattern("ar_fusion22AllReduceFusionPatternE" + std::to_string(pattern));
    return launch.Set(0, layout, 124);
  };
  const CollectiveCall fp8 = MustRead(of(2, 0)).call;
  EXPECT_EQ(fp8.quantisation, Quantisation::kFp8);
  EXPECT_EQ(fp8.output, nullptr) << "this pattern stores no norm";
  EXPECT_EQ(Address(fp8.quant_output), kQuantised);
  EXPECT_EQ(Address(fp8.output_scale), kScale);
  EXPECT_EQ(Address(MustRead(of(4, 0)).call.output), kOut);
  const CollectiveCall linear = MustRead(of(5, 1)).call;
  EXPECT_EQ(linear.quantisation, Quantisation::kNvfp4);
  EXPECT_EQ(Address(linear.scale_output), kScales);
  EXPECT_EQ(linear.scale_layout, kernels::ScaleLayout::kLinear) << "1 here, 2 in FlashInfer";
  EXPECT_EQ(MustRead(of(5, 0)).call.scale_layout, kernels::ScaleLayout::kSwizzled128x4);
  EXPECT_EQ(Refusal(of(5, 2)), "its layout of scales is not known");
  EXPECT_EQ(Refusal(of(6, 0)), "its fusion pattern is not known");
  EXPECT_EQ(Refusal(ByPattern("PatternE6ELb1Ef")), "it adds up a mixture of experts");
  EXPECT_EQ(Refusal(ByPattern("PatternE1E", "trtllm E")), "no kernel of ours stands for it");
}

TEST(FieldCall, ReadsTensorRtLlmsUnicastOneShot) {
  const FieldCall field = MustRead(UnicastByPattern(1));
  EXPECT_EQ(field.kernel, Kernel::kOneShot);
  EXPECT_EQ(field.protocol, Protocol::kUnicastInWords);
  const CollectiveCall& call = field.call;
  EXPECT_EQ(Address(call.peer_table), kPeers + 16 * sizeof(void*));
  EXPECT_EQ(call.state, nullptr);
  EXPECT_EQ(call.local, nullptr);
  EXPECT_EQ(call.multicast, nullptr);
  EXPECT_EQ(Address(call.input), kShard);
  EXPECT_EQ(Address(call.residual_in), kResidual);
  EXPECT_EQ(Address(call.gamma), kGamma);
  EXPECT_EQ(Address(call.output), kLocal) << "norm_out";
  EXPECT_EQ(Address(call.residual_out), kPrenorm);
  EXPECT_EQ(call.tokens, 16u);
  EXPECT_EQ(call.hidden, 2880u);
  EXPECT_EQ(call.world, 8u);
  EXPECT_EQ(call.rank, 3u);
  EXPECT_EQ(call.epsilon, 1e-5f);
  EXPECT_EQ(call.weight_bias, 0.0f);
  EXPECT_EQ(call.data_type, DataType::kBf16);
  EXPECT_EQ(call.options, kernels::kNorm | kernels::kSizesApart);
}

TEST(FieldCall, ReadsWhatTensorRtLlmsUnicastPatternsStore) {
  FieldLaunch sums("trtllm 136v", "AllReduceFusionPatternE0EfLi4E", SizesOf64());
  sums.Set(0, 4, 0).Set(0, 3, 4).Set(0, 640, 12).Set(0, 64, 16).Set(0, kPeers, 24);
  sums.Set(0, kShard, 32).Set(0, kOut, 48).Set(0, kPrenorm, 56).Set(0, 7, 116);
  sums.Set(0, kResidual + 2, 40).Set(0, kGamma + 2, 88);  // which nobody reads
  const CollectiveCall plain = MustRead(sums).call;
  EXPECT_EQ(Address(plain.output), kOut);
  EXPECT_EQ(plain.residual_out, nullptr);
  EXPECT_EQ(plain.residual_in, nullptr);
  EXPECT_EQ(plain.gamma, nullptr);
  EXPECT_EQ(plain.options, kernels::kSizesApart);
  EXPECT_EQ(plain.data_type, DataType::kFp32);
  EXPECT_EQ(plain.tokens, 10u);
  for (const int32_t pattern : {2, 3}) {
    EXPECT_EQ(MustRead(UnicastByPattern(pattern)).call.output, nullptr) << pattern;
    EXPECT_EQ(Address(MustRead(UnicastByPattern(pattern)).call.residual_out), kPrenorm);
  }
  for (const int32_t pattern : {4, 5}) {
    EXPECT_EQ(Address(MustRead(UnicastByPattern(pattern)).call.output), kLocal) << pattern;
  }
  for (const int32_t pattern : {2, 4}) {
    const CollectiveCall fp8 = MustRead(UnicastByPattern(pattern)).call;
    EXPECT_EQ(fp8.quantisation, Quantisation::kFp8);
    EXPECT_EQ(Address(fp8.quant_output), kQuantised);
    EXPECT_EQ(Address(fp8.output_scale), kScale);
  }
  for (const int32_t pattern : {3, 5}) {
    const CollectiveCall fp4 = MustRead(UnicastByPattern(pattern)).call;
    EXPECT_EQ(fp4.quantisation, Quantisation::kNvfp4);
    EXPECT_EQ(Address(fp4.scale_output), kScales);
    EXPECT_EQ(fp4.scale_layout, kernels::ScaleLayout::kSwizzled128x4);
    const CollectiveCall linear = MustRead(UnicastByPattern(pattern).Set(0, 1, 116)).call;
    EXPECT_EQ(linear.scale_layout, kernels::ScaleLayout::kLinear) << "1 here, 2 in FlashInfer";
    EXPECT_EQ(Refusal(UnicastByPattern(pattern).Set(0, 2, 116)),
              "its layout of scales is not known");
  }
}

// The kernel that has armed the workspace tells where its sizes are; nothing else does.
TEST(FieldCall, TensorRtLlmsUnicastSizesAreWhereWhatArmsThemSays) {
  const std::unique_ptr<lamport::AbiTable> narrow = ArmedTable("EPfi");
  EXPECT_EQ(MustRead(UnicastByPattern(1, *narrow)).call.options, kernels::kNorm);
  EXPECT_EQ(Refusal(UnicastByPattern(1, BuiltInTable())),
            "what arms its workspace has not been seen, which tells where the sizes are");
}

TEST(FieldCall, RefusesTensorRtLlmsUnicastCallsThatItCannotProve) {
  EXPECT_EQ(Refusal(UnicastByPattern(6)), "its fusion pattern is not known") << "no residual";
  EXPECT_EQ(Refusal(UnicastByPattern(1).Set(0, 4, 128)), "its fusion pattern is not known");
  EXPECT_EQ(Refusal(UnicastByPattern(1).Set(0, 4, 0)), "its ranks are odd");
  EXPECT_EQ(Refusal(UnicastByPattern(1).Set(0, 2880 * 16 + 8, 12)), "its size is odd");
  EXPECT_EQ(Refusal(UnicastByPattern(2).Set(0, uint64_t{0}, 104)), "its scale is null");
  EXPECT_EQ(Refusal(UnicastByPattern(1).Set(0, uint64_t{0}, 88)), "its weights are null");
  EXPECT_EQ(Refusal(FieldLaunch("trtllm 112", "oneshot_lamport")),
            "no kernel of ours stands for it");
  // Of what is refused, the workspace and the width are known all the same.
  FieldCall call;
  EXPECT_NE(Refusal(UnicastByPattern(6), &call), "");
  EXPECT_EQ(call.protocol, Protocol::kUnicastInWords);
  EXPECT_EQ(Address(call.call.peer_table), kPeers + 16 * sizeof(void*));
}

TEST(FieldCall, OneShotWithoutNormHasNoNorm) {
  FieldLaunch launch("0.6.4", "28oneshotAllreduceFusionKernelILh2EfLb0E");
  launch.Set(0, kOut).Set(2, kShard).Set(5, kPeers).Set(7, 1).Set(8, 64).Set(11, kFlags);
  const FieldCall field = MustRead(launch);
  EXPECT_EQ(field.call.options, 0);
  EXPECT_EQ(field.call.data_type, DataType::kFp32);
  EXPECT_EQ(field.call.world, 2u);
}

// The pointers of a norm, which nobody reads then, may hold anything.
TEST(FieldCall, CallsWithoutANormHaveNoTensorsOfOne) {
  FieldLaunch words("0.6.4", "28oneshotAllreduceFusionKernelILh2EfLb0E");
  words.Set(0, kOut).Set(1, kPrenorm + 1).Set(2, kShard).Set(3, kResidual + 1).Set(4, kGamma + 1);
  words.Set(5, kPeers).Set(7, 1).Set(8, 64).Set(11, kFlags);
  for (const FieldLaunch& launch :
       {words, ByPattern("28oneshotAllreduceFusionKernelILh8E13__nv_bfloat16"),
        ByPattern("22twoshotAllreduceKernel"),
        ByValue("22twoshotAllreduceKernelILh8E13__nv_bfloat16Lb0E")}) {
    const CollectiveCall call = MustRead(launch).call;
    EXPECT_EQ(call.options & kernels::kNorm, 0);
    EXPECT_EQ(call.residual_in, nullptr);
    EXPECT_EQ(call.residual_out, nullptr);
    EXPECT_EQ(call.gamma, nullptr);
    EXPECT_EQ(Address(call.output), kOut);
    EXPECT_EQ(Address(call.input), kShard);
  }
}

TEST(FieldCall, ReadsTheTwoShotPair) {
  FieldLaunch sends("0.6.4", "22twoshotAllreduceKernelILh8E13__nv_bfloat16");
  sends.Set(0, kOut).Set(1, kShard).Set(2, kPeers).Set(3, kMulticast).Set(4, 16u).Set(5, 2880u);
  sends.Set(6, 3u).Set(7, kFlags).Set(8, false);
  EXPECT_EQ(MustRead(sends).kernel, Kernel::kTwoShotSends);
  EXPECT_EQ(MustRead(sends).call.options, 0);
  EXPECT_EQ(MustRead(sends.Set(8, true)).call.options, kernels::kAwaitSums);
  EXPECT_EQ(MustRead(sends).call.rank, 3u);

  FieldLaunch norm("0.6.4", "14rmsNormLamportI13__nv_bfloat16S2_Li1E");
  norm.Set(0, kPrenorm).Set(1, kOut).Set(2, kLocal).Set(3, kGamma).Set(4, 1e-5f).Set(5, kResidual);
  norm.Set(6, 16u).Set(7, 2880u).Set(8, 8u).Set(9, kFlags);
  const FieldCall read = MustRead(norm);
  EXPECT_EQ(read.kernel, Kernel::kTwoShotNorm);
  EXPECT_TRUE(read.rank_unknown);
  EXPECT_EQ(Address(read.call.local), kLocal);
  EXPECT_EQ(Address(read.call.residual_in), kResidual);
  EXPECT_EQ(Address(read.call.residual_out), kPrenorm);
  EXPECT_EQ(read.call.world, 8u);
}

TEST(FieldCall, ReadsTheTwoShotPairByValue) {
  const FieldCall sends = MustRead(ByValue("22twoshotAllreduceKernelILh8E13__nv_bfloat16Lb0E"));
  EXPECT_EQ(sends.kernel, Kernel::kTwoShotSends);
  EXPECT_EQ(sends.call.options, 0);
  FieldLaunch waits = ByValue("22twoshotAllreduceKernelILh64EfLb1E");
  EXPECT_EQ(MustRead(waits.Set(0, 64, 64)).call.options, kernels::kAwaitSums);
  const FieldCall norm = MustRead(ByValue("14rmsNormLamportI13__nv_bfloat16LNS0_9QuantTypeE0E"));
  EXPECT_EQ(norm.kernel, Kernel::kTwoShotNorm);
  EXPECT_FALSE(norm.rank_unknown);
  EXPECT_EQ(norm.call.rank, 3u);
  EXPECT_EQ(Address(norm.call.local), kLocal);
}

TEST(FieldCall, ReadsTheQuantisation) {
  FieldLaunch launch = ByValue("28oneshotAllreduceFusionKernelILh16E6__halfLb1ELNS0_9QuantTypeE1E");
  launch.Set(0, 16, 64);
  EXPECT_EQ(MustRead(launch).call.quantisation, Quantisation::kFp8);
  EXPECT_EQ(Address(MustRead(launch).call.output_scale), kScale);
  EXPECT_NE(Refusal(launch.Set(0, uint64_t{0}, 88)), "");
  EXPECT_NE(Refusal(launch.Set(0, kScale, 88).Set(0, uint64_t{0}, 96)), "");
}

TEST(FieldCall, ReadsUnicastPatterns) {
  const FieldCall field = MustRead(Unicast("0.6.4", 1));
  EXPECT_EQ(field.protocol, Protocol::kUnicast);
  EXPECT_EQ(Address(field.call.peer_table), kPeers + 16 * sizeof(void*));
  EXPECT_EQ(field.call.state, nullptr);
  EXPECT_EQ(Address(field.call.output), kLocal);  // norm_out
  EXPECT_EQ(field.call.tokens, 16u);
  EXPECT_EQ(MustRead(Unicast("0.7.2", 0)).call.options, 0);
  EXPECT_EQ(Address(MustRead(Unicast("0.7.2", 0)).call.output), kOut);
  EXPECT_EQ(MustRead(Unicast("0.7.2", 2)).call.output, nullptr);
  EXPECT_EQ(MustRead(Unicast("0.7.2", 2)).call.quantisation, Quantisation::kFp8);
  EXPECT_EQ(MustRead(Unicast("0.7.2", 5)).call.quantisation, Quantisation::kNvfp4);
}

TEST(FieldCall, KnowsReleasesWithoutAWeightBias) {
  const FieldCall field = MustRead(Unicast("0.6.4", 1).Set(0, 1.0f, 92));
  EXPECT_EQ(field.call.weight_bias, 0.0f);
}

TEST(FieldCall, RefusesWhatItCannotProve) {
  EXPECT_NE(Refusal(Unicast("0.7.2", 6)), "");
  EXPECT_NE(Refusal(Unicast("0.7.2", -1)), "");
  // Padding in 0.6.11, a weight bias later, of the same size: only zero means the same in both.
  EXPECT_NE(Refusal(Unicast("0.7.2", 1).Set(0, 1.0f, 92)), "");
  EXPECT_NE(Refusal(Unicast("0.7.2", 1).Set(0, 2880 * 16 + 8, 8)), "");
  EXPECT_NE(Refusal(OneShotWords("0.6.4", false).Set(8, 2884)), "");
  EXPECT_NE(Refusal(OneShotWords("0.6.4", false).Set(7, 0)), "");
  EXPECT_NE(Refusal(OneShotWords("0.6.4", false).Set(10, 8)), "");
  EXPECT_NE(Refusal(OneShotWords("0.6.4", false).Set(4, uint64_t{0})), "");
  EXPECT_NE(Refusal(OneShotWords("0.6.4", false).Set(5, uint64_t{0})), "");
  EXPECT_NE(Refusal(OneShotWords("0.6.4", false).Set(11, kFlags + 8)), "");
  EXPECT_NE(Refusal(FieldLaunch("0.2.8", "24twoshot_allreduce_kernelILi8E13__nv_bfloat16")), "");
  EXPECT_NE(Refusal(FieldLaunch("0.7.2", "36allreduce_fusion_kernel_twoshot_sync")), "");
}

}  // namespace
}  // namespace lamplight::shim
