// Quantised outputs against formats written out by their code points. The normed row of the kernel
// itself, which other tests check, is what they are made from.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/kernels/narrow.h"
#include "tests/unit/kernels/quiet.h"
#include "tests/unit/kernels/reference.h"
#include "tests/unit/kernels/routes.h"
#include "tests/unit/kernels/troubles.h"

namespace lamplight::kernels {
namespace {

constexpr uint8_t kUntouched = 0xa5;

// Fewer bits than fp32 carries between the kernel's multiplications and exact ones.
constexpr double kSlack = 1e-6;

// `code` is nearest to `value`, or as near as rounding of the value itself allows.
template <class Near>
void ExpectNearest(double value, uint8_t code, Near nearest, const std::string& what) {
  const uint8_t low = nearest(value * (1 - kSlack));
  const uint8_t high = nearest(value * (1 + kSlack));
  ASSERT_TRUE(code == low || code == high || code == nearest(value))
      << what << ": code 0x" << std::hex << int{code} << " for " << value << ", not 0x" << int{low};
}

std::string Place(uint32_t token, uint32_t i) {
  return "token " + std::to_string(token) + " element " + std::to_string(i);
}

class Quantise : public testing::TestWithParam<Route> {
 protected:
  // Runs `work` and a second time with the normed output kept; returns the latter's tensors.
  std::vector<Tensors> Run(const Work& work, std::vector<Tensors> tensors);

  Work Usual(Quantisation quantisation, DataType type = DataType::kBf16) const {
    return {.kernel = GetParam().kernel,
            .data_type = type,
            .tokens = 3,
            .hidden = 208,
            .quantisation = quantisation};
  }
  static double Row(const Tensors& tensors, const Work& work, uint32_t token, uint32_t i) {
    return ToDouble(tensors.output, work.data_type, uint64_t{token} * work.hidden + i);
  }
  static uint8_t Code(const Tensors& tensors, uint64_t at) {
    return tensors.quantised.As<uint8_t>()[at];
  }
  void CheckFp8(const Work& work, const Tensors& one);
  void CheckFp8PerToken(const Work& work, const Tensors& one);
  void CheckNvfp4(const Work& work, const Tensors& one);
  void Check(const Work& work, std::vector<Tensors> tensors);
};

std::vector<Tensors> Quantise::Run(const Work& work, std::vector<Tensors> tensors) {
  RankGroup group(ShapeFor(GetParam(), 2, work));
  for (Tensors& one : tensors) {
    one.quantised.Fill(0x01010101u * kUntouched);
    one.scales.Fill(0x01010101u * kUntouched);
  }
  group.DoAll(work, tensors);
  // Nothing else changes when nobody wants the normed rows.
  std::vector<Tensors> quantised_only = tensors;
  for (Tensors& one : quantised_only) {
    one.quantised.Fill(0x01010101u * kUntouched);
    one.scales.Fill(0x01010101u * kUntouched);
  }
  group.Together([&](uint32_t rank) {
    CollectiveCall call = group.CallOf(rank, work, quantised_only[rank]);
    call.output = nullptr;
    Work first = work;
    if (work.kernel == Kernel::kTwoShotSends) {
      CollectiveCall sends = call;
      sends.options = 0;
      sends.quantisation = Quantisation::kNone;
      group.Launch(sends, work);
      first.kernel = Kernel::kTwoShotNorm;
    }
    group.Launch(call, first);
  });
  ExpectQuiet(group, 2, work);
  for (uint32_t rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(quantised_only[rank].quantised, tensors[rank].quantised);
    EXPECT_EQ(quantised_only[rank].scales, tensors[rank].scales);
    EXPECT_EQ(group.diagnostic(rank).trouble, 0u);
    EXPECT_TRUE(tensors[rank].GuardsIntact());
  }
  return tensors;
}

void Quantise::CheckFp8(const Work& work, const Tensors& one) {
  for (uint32_t token = 0; token < work.tokens; ++token) {
    for (uint32_t i = 0; i < work.hidden; ++i) {
      const double value = Row(one, work, token, i) / static_cast<double>(one.output_scale);
      ExpectNearest(value, Code(one, uint64_t{token} * work.hidden + i), NearestE4m3,
                    Place(token, i));
    }
  }
}

void Quantise::CheckFp8PerToken(const Work& work, const Tensors& one) {
  for (uint32_t token = 0; token < work.tokens; ++token) {
    double largest = 0;
    for (uint32_t i = 0; i < work.hidden; ++i) {
      largest = std::fmax(largest, std::fabs(Row(one, work, token, i)));
    }
    const double expected = std::fmax(largest / 448, 1.0 / 512 / 448);
    const double scale = one.scales.As<float>()[token];
    ASSERT_NEAR(scale, expected, expected * kSlack);
    for (uint32_t i = 0; i < work.hidden; ++i) {
      ExpectNearest(Row(one, work, token, i) / scale, Code(one, uint64_t{token} * work.hidden + i),
                    NearestE4m3, Place(token, i));
    }
  }
}

void Quantise::CheckNvfp4(const Work& work, const Tensors& one) {
  const uint32_t groups = work.hidden / 16;
  for (uint32_t token = 0; token < work.tokens; ++token) {
    for (uint32_t group = 0; group < groups; ++group) {
      double largest = 0;
      for (uint32_t i = 0; i < 16; ++i) {
        largest = std::fmax(largest, std::fabs(Row(one, work, token, group * 16 + i)));
      }
      const bool linear = work.scale_layout == ScaleLayout::kLinear;
      const uint8_t scale = one.scales.As<uint8_t>()[linear ? uint64_t{token} * groups + group
                                                            : SwizzledPlace(token, group, groups)];
      const double global = static_cast<double>(one.output_scale);
      ExpectNearest(global * largest / 6, scale, NearestE4m3, Place(token, group * 16));
      const double factor = FromE4m3Code(scale) == 0 ? 0 : global / FromE4m3Code(scale);
      for (uint32_t i = group * 16; i < group * 16 + 16; ++i) {
        const uint8_t pair = Code(one, (uint64_t{token} * work.hidden + i) / 2);
        ExpectNearest(Row(one, work, token, i) * factor, pair >> (i % 2 * 4) & 15, NearestE2m1,
                      Place(token, i));
      }
    }
  }
}

void Quantise::Check(const Work& work, std::vector<Tensors> tensors) {
  SCOPED_TRACE("tokens " + std::to_string(work.tokens) + " hidden " + std::to_string(work.hidden));
  tensors = Run(work, std::move(tensors));
  EXPECT_EQ(tensors[0].quantised, tensors[1].quantised);
  EXPECT_EQ(tensors[0].scales, tensors[1].scales);
  if (work.quantisation == Quantisation::kFp8) CheckFp8(work, tensors[0]);
  if (work.quantisation == Quantisation::kFp8PerToken) CheckFp8PerToken(work, tensors[0]);
  if (work.quantisation == Quantisation::kNvfp4) CheckNvfp4(work, tensors[0]);
}

constexpr DataType kTypes[] = {DataType::kBf16, DataType::kFp16, DataType::kFp32};

std::vector<Tensors> Scaled(const Work& work, float scale) {
  std::vector<Tensors> tensors = RandomTensors(2, work, 4);
  for (Tensors& one : tensors) one.output_scale = scale;
  return tensors;
}

TEST_P(Quantise, Fp8ByTheTensorsScale) {
  for (const DataType type : kTypes) {
    const Work work = Usual(Quantisation::kFp8, type);
    Check(work, Scaled(work, 0.0375f));
    // Most values lie beyond 448 scales, or below the smallest.
    Check(work, Scaled(work, 0.001f));
    Check(work, Scaled(work, 3000.0f));
  }
}

TEST_P(Quantise, Fp8ByTheTokensOwnScale) {
  for (const DataType type : kTypes) {
    const Work work = Usual(Quantisation::kFp8PerToken, type);
    Check(work, RandomTensors(2, work, 6));
  }
}

TEST_P(Quantise, Nvfp4InBothLayouts) {
  for (const DataType type : kTypes) {
    for (const ScaleLayout layout : {ScaleLayout::kSwizzled128x4, ScaleLayout::kLinear}) {
      Work work = Usual(Quantisation::kNvfp4, type);
      work.scale_layout = layout;
      // Global scales as models have them, too small, and too large.
      for (const float scale : {150.0f, 0.001f, 20000.0f}) Check(work, Scaled(work, scale));
    }
  }
}

// Rows that end within a line, within a tile of scales, or in a second tile.
TEST_P(Quantise, RowsOfAnyNumberOfGroups) {
  for (const uint32_t hidden : {16u, 32u, 48u, 64u, 80u, 112u, 240u, 256u, 1040u}) {
    Work work = Usual(Quantisation::kNvfp4);
    work.hidden = hidden;
    Check(work, Scaled(work, 150));
    work.quantisation = Quantisation::kFp8PerToken;
    Check(work, Scaled(work, 1));
  }
}

// Groups that lines, blocks, clusters and rounds of the row loop cut anyhow.
TEST_P(Quantise, RowsOfManyBlocksAndRounds) {
  for (const DataType type : {DataType::kBf16, DataType::kFp32}) {
    for (const uint32_t hidden : {3344u, 6560u, 13056u}) {
      for (const Quantisation quantisation : {Quantisation::kNvfp4, Quantisation::kFp8PerToken}) {
        Work work = Usual(quantisation, type);
        work.tokens = 1;
        work.hidden = hidden;
        Check(work, Scaled(work, 150));
      }
    }
  }
}

TEST_P(Quantise, ScalesOfMoreRowsThanATile) {
  Work work = Usual(Quantisation::kNvfp4);
  work.tokens = 131;
  work.hidden = 80;
  Check(work, Scaled(work, 150));
}

// Rows of zeros, and rows so small that their scale is.
TEST_P(Quantise, ZeroAndTinyRows) {
  for (const Quantisation quantisation :
       {Quantisation::kFp8, Quantisation::kFp8PerToken, Quantisation::kNvfp4}) {
    Work work = Usual(quantisation);
    for (const uint32_t gamma : {0x0000u, 0x0080u, 0x3000u}) {
      std::vector<Tensors> tensors = Scaled(work, 1);
      for (Tensors& one : tensors) {
        for (uint32_t i = 0; i < work.hidden; ++i) SetBits(&one.gamma, work.data_type, i, gamma);
        // The first row is zero whatever gamma is.
        for (uint32_t i = 0; i < work.hidden; ++i) {
          SetBits(&one.input, work.data_type, i, 0);
          SetBits(&one.residual, work.data_type, i, 0);
        }
      }
      Check(work, tensors);
    }
  }
}

TEST_P(Quantise, SumsWithoutANorm) {
  if (GetParam().kernel == Kernel::kTwoShotSends) return;  // the pair always norms
  for (const Quantisation quantisation :
       {Quantisation::kFp8, Quantisation::kFp8PerToken, Quantisation::kNvfp4}) {
    Work work = Usual(quantisation);
    work.norm = false;
    Check(work, Scaled(work, quantisation == Quantisation::kFp8 ? 0.02f : 100));
  }
}

// An output that nobody can take for numbers: NaN codes, or NaN scales where there are none.
TEST_P(Quantise, RefusedCallsAreNan) {
  for (const Quantisation quantisation :
       {Quantisation::kFp8, Quantisation::kFp8PerToken, Quantisation::kNvfp4}) {
    const Work work = Usual(quantisation);
    Work larger = work;
    larger.tokens = 9;
    RankGroup group(ShapeFor(GetParam(), 2, work));
    std::vector<Tensors> tensors = RandomTensors(2, larger, 1);
    CollectiveCall call = group.CallOf(0, larger, tensors[0]);
    call.output = nullptr;
    call.options |= kAwaitSums;
    group.Launch(call, larger);
    ASSERT_EQ(group.diagnostic(0).trouble, CodeOf(Trouble::kCapacity));
    const Tensors& one = tensors[0];
    for (uint32_t token = 0; token < larger.tokens; ++token) {
      if (quantisation == Quantisation::kFp8PerToken) {
        ASSERT_TRUE(std::isnan(one.scales.As<float>()[token]));
      }
      for (uint32_t i = 0; i < larger.hidden; ++i) {
        if (quantisation == Quantisation::kNvfp4) {
          ASSERT_EQ(one.scales.As<uint8_t>()[SwizzledPlace(token, i / 16, larger.hidden / 16)],
                    0x7f);
        } else if (quantisation == Quantisation::kFp8) {
          ASSERT_EQ(Code(one, uint64_t{token} * larger.hidden + i) & 0x7f, 0x7f);
        }
      }
    }
    EXPECT_TRUE(one.GuardsIntact());
  }
}

// What a peer sends as NaN must not come out as a number.
TEST_P(Quantise, NanStaysNan) {
  for (const Quantisation quantisation :
       {Quantisation::kFp8, Quantisation::kFp8PerToken, Quantisation::kNvfp4}) {
    const Work work = Usual(quantisation);
    std::vector<Tensors> tensors = Scaled(work, 1);
    SetBits(&tensors[1].input, work.data_type, work.hidden + 20, 0x7fc0);
    tensors = Run(work, std::move(tensors));
    for (uint32_t i = 0; i < work.hidden; ++i) {
      const uint64_t at = work.hidden + i;
      ASSERT_TRUE(std::isnan(Row(tensors[0], work, 1, i)));
      if (quantisation == Quantisation::kNvfp4) {
        const uint64_t place = SwizzledPlace(1, i / 16, work.hidden / 16);
        ASSERT_EQ(tensors[0].scales.As<uint8_t>()[place] & 0x7f, 0x7f);
      } else {
        ASSERT_EQ(Code(tensors[0], at) & 0x7f, 0x7f);
      }
    }
  }
}

// FlashInfer's recipes have no infinity: by the tensor's scale and in NVFP4 an infinite sum becomes
// the largest number; the token's own scale is infinite then, and what is divided by it NaN or 0.
TEST_P(Quantise, InfinityGoesByTheRecipe) {
  if (GetParam().kernel == Kernel::kTwoShotSends) return;  // the pair always norms
  constexpr uint32_t kToken = 1, kAt = 20;
  for (const bool negative : {false, true}) {
    for (const Quantisation quantisation :
         {Quantisation::kFp8, Quantisation::kFp8PerToken, Quantisation::kNvfp4}) {
      Work work = Usual(quantisation);
      work.norm = false;
      std::vector<Tensors> tensors = Scaled(work, 1);
      const uint64_t at = kToken * work.hidden + kAt;
      SetBits(&tensors[1].input, work.data_type, at, negative ? 0xff80 : 0x7f80);
      tensors = Run(work, std::move(tensors));
      const Tensors& one = tensors[0];
      const uint8_t sign = negative ? 0x80 : 0;
      ASSERT_TRUE(std::isinf(Row(one, work, kToken, kAt)));
      if (quantisation == Quantisation::kFp8) {
        EXPECT_EQ(Code(one, at), 0x7e | sign);
        EXPECT_EQ(Code(one, at + 1), NearestE4m3(Row(one, work, kToken, kAt + 1)));
      } else if (quantisation == Quantisation::kFp8PerToken) {
        EXPECT_TRUE(std::isinf(one.scales.As<float>()[kToken]));
        EXPECT_EQ(Code(one, at) & 0x7f, 0x7f);
        EXPECT_EQ(Code(one, at + 1) & 0x7f, 0);
      } else {
        const uint64_t place = SwizzledPlace(kToken, kAt / 16, work.hidden / 16);
        EXPECT_EQ(one.scales.As<uint8_t>()[place], 0x7e);
        EXPECT_EQ(Code(one, at / 2) >> (at % 2 * 4) & 15, negative ? 15 : 7);
      }
      // Rows and groups beside it are as ever.
      EXPECT_EQ(one.quantised, tensors[1].quantised);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Routes, Quantise, testing::ValuesIn(kRoutes),
                         [](const auto& param) { return NameOf(param.param); });

TEST(Narrow, CodesAreTheirOwnNearest) {
  for (uint32_t code = 0; code < 0x7f; ++code) {
    EXPECT_EQ(NearestE4m3(FromE4m3Code(static_cast<uint8_t>(code))), code);
  }
  for (uint32_t code = 0; code < 8; ++code) {
    EXPECT_EQ(NearestE2m1(FromE2m1Code(static_cast<uint8_t>(code))), code);
  }
  EXPECT_EQ(FromE4m3Code(0x7e), 448);
  EXPECT_EQ(FromE4m3Code(0x08), 1.0 / 64);
  EXPECT_EQ(FromE4m3Code(0x01), 1.0 / 512);
  EXPECT_EQ(NearestE4m3(1e9), 0x7e);
  EXPECT_EQ(NearestE4m3(-1.0 / 1024), 0x80);  // half of the smallest: to even
  EXPECT_EQ(NearestE2m1(2.5), 4);
  EXPECT_EQ(NearestE2m1(-0.25), 8);
}

}  // namespace
}  // namespace lamplight::kernels
