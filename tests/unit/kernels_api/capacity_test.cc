// Sizes, the choice of an algorithm, and what needs no device.
#include "kernels/host/capacity.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/launch_plan.h"
#include "kernels/tuning.h"
#include "ranks.h"

extern "C" int HeaderWorksInC();

namespace lamplight::kernels::test {
namespace {

constexpr uint32_t kWorlds[] = {2, 4, 8, 16, 32, 64};
constexpr Protocol kProtocols[] = {Protocol::kEpoch, Protocol::kMnnvl};

TEST(Header, CompilesAndRunsAsC11) { EXPECT_EQ(1, HeaderWorksInC()); }

TEST(Header, VersionIsThatOfTheLibrary) { EXPECT_EQ(LAMPLIGHT_VERSION, lamplight_version()); }

TEST(Capacity, MaxTokensFitAndOneMoreDoesNot) {
  for (const Protocol protocol : kProtocols) {
    for (const uint32_t world : kWorlds) {
      for (const Kernel kernel : {Kernel::kOneShot, Kernel::kTwoShot}) {
        for (const uint32_t hidden : {8u, 2880u, 8192u}) {
          const Capacity capacity{protocol, world, 64u << 20};
          const uint32_t most = capacity.MaxTokens(kernel, hidden, DataType::kBf16);
          const auto need = [&](uint64_t tokens) {
            return GenerationBytes(protocol, kernel, DataType::kBf16, world, tokens, hidden);
          };
          EXPECT_LE(need(most), capacity.generation_bytes);
          EXPECT_LE(most, kMaxTokens);
          if (most == kMaxTokens) continue;
          EXPECT_GT(need(uint64_t{most} + 1), capacity.generation_bytes);
        }
      }
    }
  }
}

TEST(Capacity, NothingFitsAGenerationSmallerThanARow) {
  const Capacity capacity{Protocol::kMnnvl, 2, 256};
  EXPECT_EQ(0u, capacity.MaxTokens(Kernel::kOneShot, 8192, DataType::kBf16));
}

TEST(Capacity, ShapesLeaveRoomForEveryCallThatAutoMakes) {
  for (const Protocol protocol : kProtocols) {
    for (const uint32_t world : kWorlds) {
      const Shape largest{300, 2880, DataType::kBf16};
      const uint64_t bytes = GenerationFor(protocol, world, largest, LAMPLIGHT_ALGORITHM_AUTO);
      EXPECT_EQ(0u, bytes % kGenerationStep);
      const Capacity capacity{protocol, world, bytes};
      for (uint32_t tokens = 1; tokens <= largest.tokens; ++tokens) {
        for (const uint32_t hidden : {8u, 64u, 2880u}) {
          const Shape shape{tokens, hidden, DataType::kBf16};
          ASSERT_TRUE(capacity.Holds(capacity.Choose(shape), shape))
              << "world " << world << ", " << tokens << " tokens of " << hidden;
        }
      }
    }
  }
}

TEST(Choice, GoesOverToTwoShotBeyondTheThreshold) {
  const Capacity capacity{Protocol::kEpoch, 4, 1u << 30};
  EXPECT_EQ(Kernel::kOneShot, capacity.Choose({128, 4096, DataType::kBf16}));
  EXPECT_EQ(Kernel::kTwoShot, capacity.Choose({129, 4096, DataType::kBf16}));
}

TEST(Choice, TwoRanksStayWithOneShot) {
  const Capacity capacity{Protocol::kEpoch, 2, uint64_t{1} << 40};
  EXPECT_EQ(Kernel::kOneShot, capacity.Choose({100000, 8192, DataType::kFp32}));
}

TEST(Choice, TakesTheOtherAlgorithmWhereOnlyItFits) {
  // One-shot needs 16 × 64 rows, two-shot 2 × 64.
  const Shape shape{16, 512, DataType::kBf16};
  const Capacity tight{Protocol::kMnnvl, 64,
                       GenerationFor(Protocol::kMnnvl, 64, shape, LAMPLIGHT_ALGORITHM_TWO_SHOT)};
  ASSERT_FALSE(PrefersTwoShot(64, shape.payload_bytes()));
  ASSERT_TRUE(tight.Holds(Kernel::kTwoShot, shape));
  ASSERT_FALSE(tight.Holds(Kernel::kOneShot, shape));
  EXPECT_EQ(Kernel::kTwoShot, tight.Choose(shape));
}

TEST(Choice, IsMonotonousInThePayload) {
  for (const uint32_t world : kWorlds) {
    bool two_shot = false;
    for (uint64_t bytes = 16; bytes < 64u << 20; bytes = bytes * 3 / 2) {
      EXPECT_TRUE(!two_shot || PrefersTwoShot(world, bytes));
      two_shot = PrefersTwoShot(world, bytes);
    }
    EXPECT_FALSE(PrefersTwoShot(world, LargestOneShotPayload(world) / 2));
  }
}

TEST(WorkspaceBytes, GrowWithTheCallAndTheRanks) {
  uint64_t small = 0;
  uint64_t large = 0;
  lamplight_workspace_options options = SmallOptions(2, 0);
  ASSERT_EQ(LAMPLIGHT_OK, lamplight_workspace_bytes(&options, &small));
  options.max_tokens = 4096;
  ASSERT_EQ(LAMPLIGHT_OK, lamplight_workspace_bytes(&options, &large));
  EXPECT_GT(large, 2ull * 4096 * 4096 * 4 * 2);
  EXPECT_GT(large, small);
}

TEST(WorkspaceBytes, RefuseNull) {
  const lamplight_workspace_options options = SmallOptions(2, 0);
  uint64_t bytes = 0;
  EXPECT_EQ(LAMPLIGHT_ERROR_NULL, lamplight_workspace_bytes(&options, nullptr));
  EXPECT_EQ("bytes is null", LastError());
  EXPECT_EQ(LAMPLIGHT_ERROR_NULL, lamplight_workspace_bytes(nullptr, &bytes));
  EXPECT_EQ("options is null", LastError());
}

TEST(ScaleBytes, FollowTheLayouts) {
  uint64_t bytes = 1;
  EXPECT_EQ(LAMPLIGHT_OK, lamplight_scale_bytes(5, 64, LAMPLIGHT_QUANTISATION_FP8, 0, &bytes));
  EXPECT_EQ(0u, bytes);
  EXPECT_EQ(LAMPLIGHT_OK,
            lamplight_scale_bytes(5, 64, LAMPLIGHT_QUANTISATION_FP8_PER_TOKEN, 0, &bytes));
  EXPECT_EQ(20u, bytes);
  EXPECT_EQ(LAMPLIGHT_OK, lamplight_scale_bytes(5, 80, LAMPLIGHT_QUANTISATION_NVFP4,
                                                LAMPLIGHT_SCALES_LINEAR, &bytes));
  EXPECT_EQ(25u, bytes);
  EXPECT_EQ(LAMPLIGHT_OK, lamplight_scale_bytes(129, 80, LAMPLIGHT_QUANTISATION_NVFP4,
                                                LAMPLIGHT_SCALES_SWIZZLED_128X4, &bytes));
  EXPECT_EQ(256u * 8, bytes);
  EXPECT_EQ(LAMPLIGHT_ERROR_QUANTISATION, lamplight_scale_bytes(5, 64, 4, 0, &bytes));
  EXPECT_EQ(LAMPLIGHT_ERROR_QUANTISATION,
            lamplight_scale_bytes(5, 64, LAMPLIGHT_QUANTISATION_NVFP4, 1, &bytes));
  EXPECT_EQ(LAMPLIGHT_ERROR_NULL, lamplight_scale_bytes(5, 64, 0, 0, nullptr));
}

TEST(StatusText, SaysSomethingForEveryCode) {
  std::vector<std::string> texts;
  for (int code = LAMPLIGHT_OK; code <= LAMPLIGHT_ERROR_INTERNAL; ++code) {
    texts.emplace_back(lamplight_status_text(static_cast<lamplight_status>(code)));
    EXPECT_NE("not a status of this library", texts.back()) << code;
  }
  std::sort(texts.begin(), texts.end());
  EXPECT_EQ(texts.end(), std::unique(texts.begin(), texts.end()));
  EXPECT_STREQ("not a status of this library",
               lamplight_status_text(static_cast<lamplight_status>(99)));
}

TEST(LastErrorText, IsCutAndTerminated) {
  uint64_t bytes = 0;
  ASSERT_EQ(LAMPLIGHT_ERROR_NULL, lamplight_workspace_bytes(nullptr, &bytes));
  char text[8];
  EXPECT_EQ(15u, lamplight_last_error(text, sizeof text));
  EXPECT_STREQ("options", text);
  EXPECT_EQ(15u, lamplight_last_error(nullptr, 0));
}

TEST(LastErrorText, BelongsToTheThread) {
  uint64_t bytes = 0;
  ASSERT_EQ(LAMPLIGHT_ERROR_NULL, lamplight_workspace_bytes(nullptr, &bytes));
  std::thread([] { EXPECT_EQ(0u, lamplight_last_error(nullptr, 0)); }).join();
}

}  // namespace
}  // namespace lamplight::kernels::test
