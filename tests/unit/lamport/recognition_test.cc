// Recognition of every kernel in the field, and of names that only look like one.
#include "shim/lamport/recognition.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "tests/unit/lamport/field_kernels.h"

namespace lamplight::lamport {
namespace {

using protocol::Compare;
using trace::Algorithm;
using trace::DataType;
using trace::FlagLayout;

const AbiTable& Table() {
  static std::vector<std::string> errors;
  static const std::unique_ptr<AbiTable> table = AbiTable::Load("", &errors);
  EXPECT_EQ(errors, std::vector<std::string>());
  return *table;
}

Recognition RecogniseField(std::string_view release, std::string_view part,
                           std::string_view module_path = {}) {
  const FieldKernel& kernel = FindKernel(release, part);
  EXPECT_FALSE(kernel.symbol.empty()) << release << " " << part;
  return Table().Recognise(kernel.symbol, kernel.parameters, module_path);
}

TEST(Recognition, DecodesEveryKernelInTheField) {
  ASSERT_GT(FieldKernels().size(), 40u);
  for (const FieldKernel& kernel : FieldKernels()) {
    EXPECT_TRUE(Table().MaybeLamport(kernel.symbol));
    const Recognition found = Table().Recognise(kernel.symbol, kernel.parameters);
    EXPECT_TRUE(found.lamport) << kernel.symbol;
    EXPECT_TRUE(found.decoded) << kernel.symbol << ": " << found.reason;
    EXPECT_NE(found.data_type, DataType::kUnknown) << kernel.symbol;
    EXPECT_EQ(found.reason, "");
  }
}

TEST(Recognition, ReadsWorldAndTypeFromTheName) {
  const Recognition bf16 = RecogniseField("0.6.4", "KernelILh8E13__nv_bfloat16Lb1E");
  EXPECT_EQ(bf16.world, 8u);
  EXPECT_EQ(bf16.data_type, DataType::kBf16);
  const Recognition f32 = RecogniseField("0.6.4", "twoshotAllreduceKernelILh64Ef");
  EXPECT_EQ(f32.world, 64u);
  EXPECT_EQ(f32.data_type, DataType::kF32);
  const Recognition f16 = RecogniseField("0.7.2", "KernelILh16E6__half");
  EXPECT_EQ(f16.world, 16u);
  EXPECT_EQ(f16.data_type, DataType::kF16);
  EXPECT_EQ(RecogniseField("0.5.3", "7RMSNormI").dim, 7168u);
  EXPECT_EQ(RecogniseField("0.6.4", "oneshot_lamportILNS0_22AllReduceFusionPatternE0").world, 2u);
}

TEST(Recognition, TellsErasWithOneNameApartByTheirParameters) {
  const Recognition c = RecogniseField("0.6.4", "28oneshot");
  const Recognition d = RecogniseField("0.6.12", "28oneshot");
  const Recognition g = RecogniseField("0.7.2", "28oneshot");
  EXPECT_EQ(c.era, "C");
  EXPECT_EQ(c.compare, Compare::kFlushToZero);
  EXPECT_EQ(d.era, "D");
  EXPECT_EQ(d.compare, Compare::kBitwise);
  EXPECT_EQ(g.era, "E or G");
  EXPECT_EQ(g.compare, Compare::kBitwise);
  EXPECT_EQ(RecogniseField("0.6.4", "rmsNorm").compare, Compare::kFlushToZero);
  EXPECT_EQ(RecogniseField("0.6.12", "rmsNorm").compare, Compare::kBitwise);
  for (const Recognition& era : {c, d, g}) {
    EXPECT_EQ(era.algorithm, Algorithm::kOneShot);
    EXPECT_EQ(era.flag_layout, FlagLayout::kEraC);
    EXPECT_EQ(era.flag_words, 9u);
    EXPECT_EQ(era.mark, lamport::Mark{});
  }
}

TEST(Recognition, LeavesUnknownWhatTheSignatureDoesNotTell) {
  const Recognition two_shot = RecogniseField("0.6.4", "22twoshot");
  EXPECT_TRUE(two_shot.decoded);
  EXPECT_EQ(two_shot.compare, Compare::kUnknown);
  EXPECT_EQ(two_shot.era, "C or D");
  const Recognition old = RecogniseField("0.2.8", "24twoshot");
  EXPECT_EQ(old.flag_layout, FlagLayout::kUnknown);
  EXPECT_EQ(old.flag_words, 4u);
  EXPECT_EQ(old.compare, Compare::kUnknown);
}

TEST(Recognition, ModulePathDecidesBetweenReleases) {
  const auto path = [](const char* version) {
    return std::string("/home/u/.cache/flashinfer/") + version + "/90a/cached_ops/x/x.so";
  };
  EXPECT_EQ(RecogniseField("0.6.4", "22twoshot", path("0.6.4")).compare, Compare::kFlushToZero);
  EXPECT_EQ(RecogniseField("0.6.4", "22twoshot", path("0.6.11.post3")).compare,
            Compare::kFlushToZero);
  EXPECT_EQ(RecogniseField("0.6.4", "22twoshot", path("0.6.12rc1")).compare, Compare::kBitwise);
  EXPECT_EQ(RecogniseField("0.6.4", "22twoshot", path("0.6.12rc1")).era, "D");
  EXPECT_EQ(RecogniseField("0.6.4", "22twoshot", path("9.0.0")).compare, Compare::kUnknown);
  EXPECT_EQ(RecogniseField("0.6.4", "22twoshot", "/flashinfer/site/x.so").compare,
            Compare::kUnknown);
  EXPECT_EQ(RecogniseField("0.2.8", "24twoshot", path("0.2.8")).flag_layout, FlagLayout::kEraA);
  const Recognition b = RecogniseField("0.5.3", "24twoshot", path("0.2.9rc1"));
  EXPECT_EQ(b.flag_layout, FlagLayout::kEraB);
  EXPECT_EQ(b.flag_words, 5u);
  EXPECT_EQ(RecogniseField("0.7.2", "28oneshot", path("0.7.2.post1")).era, "G");
  EXPECT_EQ(RecogniseField("0.6.13", "28oneshot", path("0.6.14")).era, "E");
}

TEST(Recognition, KnowsWhichReleasesReadEarlyAndWhoseBarrierIsOpen) {
  const auto path = [](const char* version) {
    return std::string("/home/u/.cache/flashinfer/") + version + "/90a/cached_ops/x/x.so";
  };
  constexpr char kTwoShot[] = "fusion_kernel_twoshot_sync", kOneShot[] = "oneshot_lamport";
  // Layouts that no later release has.
  for (const char* release : {"0.2.8", "0.5.3", "0.6.4"}) {
    EXPECT_TRUE(RecogniseField(release, kOneShot).reads_early) << release;
    EXPECT_FALSE(RecogniseField(release, kOneShot).own_flag_first) << release;
    EXPECT_TRUE(RecogniseField(release, kTwoShot).reads_early) << release;
    EXPECT_TRUE(RecogniseField(release, kTwoShot).own_flag_first) << release;
  }
  const auto of = [&](const char* kernel, const char* version) {
    return RecogniseField("0.7.2", kernel, version[0] == 0 ? "" : path(version));
  };
  EXPECT_TRUE(of(kOneShot, "0.6.14").reads_early);
  EXPECT_TRUE(of(kOneShot, "0.7.0").reads_early);
  EXPECT_FALSE(of(kOneShot, "0.7.1").reads_early);
  EXPECT_FALSE(of(kOneShot, "0.7.1rc1").reads_early) << "not known";
  EXPECT_FALSE(of(kOneShot, "").reads_early) << "not known";
  EXPECT_TRUE(of(kTwoShot, "0.7.1").own_flag_first);
  EXPECT_FALSE(of(kTwoShot, "0.7.1").reads_early);
  EXPECT_FALSE(of(kTwoShot, "0.7.2").own_flag_first);
  EXPECT_FALSE(of(kTwoShot, "").own_flag_first) << "not known";
}

TEST(Recognition, UnicastFamilyKeepsItsFlagsBehindTheWorkspace) {
  for (const char* release : {"0.2.8", "0.5.3", "0.6.12", "0.7.2"}) {
    const Recognition found =
        RecogniseField(release, "oneshot_lamportILNS0_22AllReduceFusionPatternE1");
    EXPECT_EQ(found.algorithm, Algorithm::kUnicastOneShot);
    EXPECT_EQ(found.flag_layout, FlagLayout::kUnicast);
    EXPECT_EQ(found.flag_words, 5u);
    EXPECT_EQ(found.mark, (lamport::Mark{0x80008000u, true}));
    EXPECT_TRUE(found.descriptor->flags_indirect);
    EXPECT_EQ(RecogniseField(release, "twoshot_sync").algorithm, Algorithm::kUnicastTwoShot);
  }
}

TEST(Recognition, SglangsPushPlaneHasAPhaseForEachBlockAndNoBitInEmptySlots) {
  for (const char* release : {"sglang 10", "sglang 16", "sglang 17", "sglang 18", "sglang 20"}) {
    const Recognition found = RecogniseField(release, "ush");
    EXPECT_EQ(found.algorithm, Algorithm::kPushOneShot) << release;
    EXPECT_EQ(found.flag_layout, FlagLayout::kPhases) << release;
    EXPECT_EQ(found.data_type, DataType::kBf16) << release;
    EXPECT_EQ(found.world, 2u) << release;
    const bool elements = std::string_view(release) < "sglang 20";
    EXPECT_EQ(found.mark, (lamport::Mark{0, elements})) << release;
  }
  EXPECT_EQ(RecogniseField("sglang 23", "1shot_push_kernelIfLj8E").world, 8u);
  EXPECT_EQ(RecogniseField("sglang 23", "1shot_push_kernelIf").mark, (lamport::Mark{0, false}));
  EXPECT_EQ(RecogniseField("sglang 23", "2shot").algorithm, Algorithm::kPushTwoShot);
}

TEST(Recognition, OthersThatMoveTheCountersOfSglangsPlaneAreNamed) {
  for (const char* symbol :
       {"_ZN6sglang30moe_finalize_all_reduce_kernelILj2ELj4096ELj8E", "_ZN6sglang7beam_ar6kernelI",
        "_ZN6sglang27parallel_qknorm_across_headILj2E"}) {
    EXPECT_TRUE(Table().MaybeLamport(symbol));
    const Recognition found = Table().Recognise(symbol, {});
    EXPECT_TRUE(found.lamport) << symbol;
    EXPECT_FALSE(found.decoded) << symbol;
    EXPECT_NE(found.reason.find("SGLang's push plane"), std::string::npos) << found.reason;
  }
  EXPECT_FALSE(Table().MaybeLamport("_ZN6sglang28all_reduce_1shot_pull_kernelI"));
}

TEST(Recognition, TensorRtLlmsMnnvlKernelsAreToldApartByTheirParameters) {
  for (const char* release : {"trtllm C", "trtllm Cv", "trtllm E", "trtllm F"}) {
    const Recognition one = RecogniseField(release, "28oneshot");
    EXPECT_EQ(one.algorithm, Algorithm::kOneShot) << release;
    EXPECT_EQ(one.flag_layout, FlagLayout::kEraC) << release;
    EXPECT_EQ(one.world, 8u) << release;
    EXPECT_EQ(one.data_type, DataType::kBf16) << release;
    EXPECT_EQ(RecogniseField(release, "22twoshot").algorithm, Algorithm::kTwoShot) << release;
    EXPECT_EQ(RecogniseField(release, "14rmsNorm").algorithm, Algorithm::kRmsNorm) << release;
    EXPECT_EQ(one.descriptor->name,
              std::string("tensorrt-llm-mnnvl-oneshot-") + release[std::strlen("trtllm ")]);
  }
  // Whether it flushes depends on how it was built.
  EXPECT_EQ(RecogniseField("trtllm Cv", "28oneshot").compare, Compare::kUnknown);
  EXPECT_EQ(RecogniseField("trtllm F", "28oneshot").compare, Compare::kBitwise);
  EXPECT_EQ(RecogniseField("trtllm A", "24twoshot").flag_layout, FlagLayout::kEraA);
  EXPECT_EQ(RecogniseField("trtllm B", "24twoshot").flag_layout, FlagLayout::kUnknown);
}

// The same names and parameters: what arms the buffers tells where the sizes are.
TEST(Recognition, TensorRtLlmsUnicastStateIsToldByWhatArmsIt) {
  const FieldKernel& kernel = FindKernel("trtllm 136v", "oneshot_lamportILNS2_22AllReduceFusion");
  const auto recognise = [&](const char* seen) {
    const std::unique_ptr<AbiTable> table = AbiTable::Load("", nullptr);
    table->Saw("_ZN10flashinfer23trtllm_allreduce_fusion25lamport_initialize_kernelIfEEvPT_m");
    table->Saw(seen);
    return table->Recognise(kernel.symbol, kernel.parameters);
  };
  const Recognition unknown = recognise("");
  EXPECT_TRUE(unknown.decoded);
  EXPECT_EQ(unknown.flag_layout, FlagLayout::kUnknown);
  EXPECT_EQ(unknown.flag_words, 3u) << "there may be no more";
  const Recognition narrow =
      recognise("_ZN12tensorrt_llm3_v17kernels9ar_fusion25lamport_initialize_kernelEPfi");
  EXPECT_EQ(narrow.flag_layout, FlagLayout::kUnicast);
  EXPECT_EQ(narrow.flag_words, 5u);
  EXPECT_FALSE(narrow.sizes_slot);
  const Recognition apart =
      recognise("_ZN12tensorrt_llm3_v17kernels9ar_fusion25lamport_initialize_kernelEPfm");
  EXPECT_EQ(apart.flag_layout, FlagLayout::kUnicast);
  EXPECT_EQ(apart.flag_words, 3u);
  EXPECT_EQ(apart.sizes_slot, 1u);
  // Two libraries of it in one process: neither is known to be this one.
  const std::unique_ptr<AbiTable> both = AbiTable::Load("", nullptr);
  both->Saw("_ZN12tensorrt_llm3_v17kernels9ar_fusion25lamport_initialize_kernelEPfi");
  both->Saw("_ZN12tensorrt_llm3_v17kernels9ar_fusion25lamport_initialize_kernelEPfm");
  const Recognition torn = both->Recognise(kernel.symbol, kernel.parameters);
  EXPECT_EQ(torn.flag_layout, FlagLayout::kUnknown);
  for (const Recognition& found : {unknown, narrow, apart, torn}) {
    EXPECT_EQ(found.algorithm, Algorithm::kUnicastOneShot);
    EXPECT_EQ(found.mark, lamport::Mark{}) << "words, whatever the type";
    EXPECT_TRUE(found.reads_early);
  }
  EXPECT_EQ(RecogniseField("trtllm 112", "oneshot").flag_layout, FlagLayout::kUnicast);
}

TEST(Recognition, EveryWorldAndTypeMatches) {
  const std::string ns = "_ZN10flashinfer22trtllm_mnnvl_allreduce";
  const FieldKernel& kernel = FindKernel("0.6.4", "28oneshot");
  for (const int world : {1, 2, 4, 8, 16, 32, 64, 128}) {
    for (const char* type : {"f", "6__half", "13__nv_bfloat16"}) {
      for (const char* fused : {"Lb0E", "Lb1E"}) {
        const std::string symbol = ns + "28oneshotAllreduceFusionKernelILh" +
                                   std::to_string(world) + "E" + type + fused +
                                   "6float4EEvPT0_S5_PKS4_S7_S7_PS5_S5_iifiPj";
        const Recognition found = Table().Recognise(symbol, kernel.parameters);
        EXPECT_TRUE(found.decoded) << symbol;
        EXPECT_EQ(found.world, static_cast<uint32_t>(world));
      }
    }
  }
}

TEST(Recognition, RefusesParametersThatDifferFromTheDriver) {
  const FieldKernel& kernel = FindKernel("0.6.4", "28oneshot");
  for (size_t i = 0; i < kernel.parameters.size(); ++i) {
    std::vector<ParameterSpan> size = kernel.parameters;
    size[i].size += 4;
    std::vector<ParameterSpan> offset = kernel.parameters;
    offset[i].offset += 8;
    std::vector<ParameterSpan> missing = kernel.parameters;
    missing.erase(missing.begin() + static_cast<long>(i));
    for (const auto& changed : {size, offset, missing}) {
      const Recognition found = Table().Recognise(kernel.symbol, changed);
      EXPECT_TRUE(found.lamport);
      EXPECT_FALSE(found.decoded);
      EXPECT_EQ(found.descriptor, nullptr);
      EXPECT_EQ(found.algorithm, Algorithm::kOneShot);
      EXPECT_NE(found.reason.find("unknown parameter layout"), std::string::npos);
      EXPECT_NE(found.reason.find("flashinfer-mnnvl-oneshot-C"), std::string::npos);
    }
  }
}

TEST(Recognition, RefusesWithoutParametersFromTheDriver) {
  const Recognition found = Table().Recognise(FindKernel("0.7.2", "28oneshot").symbol, {});
  EXPECT_TRUE(found.lamport);
  EXPECT_FALSE(found.decoded);
  EXPECT_NE(found.reason.find("the driver has none"), std::string::npos);
}

TEST(Recognition, RefusesAnEraGStructOfAnotherSize) {
  const FieldKernel& kernel = FindKernel("0.7.2", "28oneshot");
  const std::vector<ParameterSpan> larger = {{0, 136}};
  EXPECT_FALSE(Table().Recognise(kernel.symbol, larger).decoded);
  EXPECT_TRUE(Table().Recognise(kernel.symbol, larger).lamport);
}

TEST(Recognition, NamesUnknownMembersOfAFamily) {
  const char* moe =
      "_ZN10flashinfer27trtllm_moe_allreduce_fusion49moereduce_allreduce_fusion_kernel_oneshot_"
      "lamportI13__nv_bfloat16Li8EEEvNS0_5ParamsIT_EE";
  EXPECT_TRUE(Table().MaybeLamport(moe));
  const std::vector<ParameterSpan> parameters = {{0, 200}};
  const Recognition found = Table().Recognise(moe, parameters);
  EXPECT_TRUE(found.lamport);
  EXPECT_FALSE(found.decoded);
  EXPECT_NE(found.reason.find("no descriptor"), std::string::npos);
}

TEST(Recognition, LeavesOtherKernelsAlone) {
  for (const char* symbol :
       {"", "_Z", "_Z6vecAddPfS_i", "lamplight_snapshot", "ncclDevKernel_AllReduce_Sum_f16_RING_LL",
        "_ZN10flashinfer23trtllm_allreduce_fusion25lamport_initialize_kernelIfEEvPT_m",
        "_ZN2at6native29vectorized_elementwise_kernelILi4EEEvi"}) {
    EXPECT_FALSE(Table().MaybeLamport(symbol)) << symbol;
    const Recognition found = Table().Recognise(symbol, {});
    EXPECT_FALSE(found.lamport) << symbol;
    EXPECT_FALSE(found.decoded);
  }
}

TEST(Recognition, SurvivesEveryCutAndEveryChangedByteOfAName) {
  const std::vector<ParameterSpan> none;
  for (const FieldKernel& kernel : FieldKernels()) {
    const std::string symbol(kernel.symbol);
    for (size_t i = 0; i < symbol.size(); ++i) {
      Table().Recognise(symbol.substr(0, i), kernel.parameters);
      std::string changed = symbol;
      for (const char byte : {'\0', 'E', 'I', '9', 'S', '\xff'}) {
        changed[i] = byte;
        const Recognition found = Table().Recognise(changed, kernel.parameters);
        EXPECT_LE(found.world, 1024u);
        EXPECT_TRUE(!found.decoded || found.descriptor != nullptr);
      }
    }
  }
}

TEST(Recognition, DoesNotDescendForEverIntoHostileNames) {
  const std::string prefix =
      "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernel";
  for (const char* piece :
       {"I", "N", "1aI", "J", "P", "F", "A_", "S_I", "L", "99999999999999999999"}) {
    std::string symbol = prefix + "I";
    while (symbol.size() < 100000) symbol += piece;
    const Recognition found = Table().Recognise(symbol, {});
    EXPECT_TRUE(found.lamport);
    EXPECT_FALSE(found.decoded);
  }
}

TEST(Recognition, RefusesImpossibleWorlds) {
  const FieldKernel& kernel = FindKernel("0.6.4", "28oneshot");
  for (const char* world : {"Lh0E", "Lh4096E", "Lin8E", "Lh99999999999E", "f", "LhE"}) {
    std::string symbol(kernel.symbol);
    symbol.replace(symbol.find("Lh8E"), 4, world);
    EXPECT_FALSE(Table().Recognise(symbol, kernel.parameters).decoded) << world;
  }
}

TEST(Recognition, DescriptorNamesAreUnique) {
  std::set<std::string> names;
  for (const FieldKernel& kernel : FieldKernels()) {
    const Recognition found = Table().Recognise(kernel.symbol, kernel.parameters);
    ASSERT_TRUE(found.decoded);
    names.insert(found.descriptor->name);
  }
  // Our own kernels: what LAMPLIGHT_SWAP launches and engines link.
  const ParameterSpan call[] = {{0, 264}};
  for (const char* kernel :
       {"oneshot_mnnvl", "twoshot_mnnvl", "sends_mnnvl", "norm_mnnvl", "oneshot_unicast",
        "oneshot_unicastwords", "oneshot_epoch", "twoshot_epoch"}) {
    for (const char* type : {"bf16", "fp16", "fp32"}) {
      const std::string symbol = std::string("lamplight_") + kernel + "_" + type + "_w0";
      const Recognition found = Table().Recognise(symbol, call);
      ASSERT_TRUE(found.decoded) << symbol << " " << found.reason;
      names.insert(found.descriptor->name);
    }
  }
  EXPECT_EQ(names.size(), Table().descriptors());
}

}  // namespace
}  // namespace lamplight::lamport
