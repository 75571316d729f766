// Our kernels and the field's in one group, on one workspace: right results on both sides, and
// flags and buffers that either side can go on from.
#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/field_kernels.h"
#include "tests/unit/kernels/quiet.h"
#include "tests/unit/kernels/reference.h"

namespace lamplight::kernels {
namespace {

struct Mix {
  const char* name;
  uint32_t world;
  Era era;
};
constexpr Mix kMixes[] = {
    {"era_g_2", 2, Era::kG}, {"era_g_4", 4, Era::kG}, {"era_g_8", 8, Era::kG},
    {"era_c_2", 2, Era::kC}, {"era_c_4", 4, Era::kC},
};

class Field : public testing::TestWithParam<Mix> {
 protected:
  static constexpr uint64_t kGenerationBytes = 1 << 15;

  RankGroup group_{
      {.world = GetParam().world, .generation_bytes = kGenerationBytes, .headers = false}};
  std::mt19937 random_{11};

  Work AnyWork() {
    constexpr Kernel kKernels[] = {Kernel::kOneShot, Kernel::kTwoShot, Kernel::kTwoShotSends};
    constexpr uint32_t kHidden[] = {8, 64, 136, 256};
    Work work{.kernel = kKernels[random_() % 3], .hidden = kHidden[random_() % 4]};
    work.tokens = 1 + static_cast<uint32_t>(random_() % 7);
    work.norm = work.kernel == Kernel::kOneShot || random_() % 2 == 0;
    return work;
  }
  void Do(bool ours, uint32_t rank, const Work& work, Tensors* tensors) {
    if (ours) return group_.Do(rank, work, *tensors);
    DoInField(GetParam().era, &group_, rank, work, tensors);
  }
  // The norms' sums are added in another order there: outputs are near, not equal.
  static void Check(const std::vector<Tensors>& tensors, const Work& work) {
    ExpectExact(tensors, work);
    for (const Tensors& one : tensors) {
      std::vector<Tensors> of_one = tensors;
      for (Tensors& other : of_one) {
        other.output = one.output;
        other.prenorm = one.prenorm;
      }
      ExpectRight(of_one, work);
      ASSERT_TRUE(one.GuardsIntact());
    }
  }
};

// Rank r is ours in call c by chance: a rank may be swapped at any time.
TEST_P(Field, AnyRankMayBeOursInAnyCall) {
  for (uint32_t call = 0; call < 60; ++call) {
    const Work work = AnyWork();
    const uint32_t ours = random_() % (1u << GetParam().world);
    SCOPED_TRACE("call " + std::to_string(call) + " kernel " +
                 std::to_string(static_cast<int>(work.kernel)) + " ours " + std::to_string(ours));
    std::vector<Tensors> tensors = RandomTensors(GetParam().world, work, call);
    group_.Together(
        [&](uint32_t rank) { Do((ours >> rank & 1) != 0, rank, work, &tensors[rank]); });
    Check(tensors, work);
    ExpectQuiet(group_, call + 1, work);
    for (uint32_t rank = 0; rank < GetParam().world; ++rank) {
      ASSERT_EQ(group_.diagnostic(rank).trouble, 0u);
    }
    if (HasFatalFailure()) return;
  }
}

// Without waiting for one another between calls; even ranks are ours.
TEST_P(Field, RanksMayRunApart) {
  constexpr uint32_t kCalls = 100;
  std::vector<Work> works;
  std::vector<std::vector<Tensors>> tensors;
  for (uint32_t call = 0; call < kCalls; ++call) {
    works.push_back(AnyWork());
    tensors.push_back(RandomTensors(GetParam().world, works.back(), 500 + call));
  }
  group_.Together([&](uint32_t rank) {
    std::mt19937 random(rank);
    for (uint32_t call = 0; call < kCalls; ++call) {
      if (random() % 16 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 8));
      Do(rank % 2 == 0, rank, works[call], &tensors[call][rank]);
    }
  });
  for (uint32_t call = 0; call < kCalls; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    Check(tensors[call], works[call]);
    if (HasFatalFailure()) return;
  }
  ExpectQuiet(group_, kCalls, works.back());
}

INSTANTIATE_TEST_SUITE_P(Mixes, Field, testing::ValuesIn(kMixes),
                         [](const auto& param) { return std::string(param.param.name); });

// Negative subnormals in the odd elements: a flush-to-zero compare takes their words for absent.
std::vector<Tensors> HangingPayload(const Work& work) {
  std::vector<Tensors> tensors = RandomTensors(2, work, 1);
  for (uint64_t i = 1; i < work.elements(); i += 2) {
    SetBits(&tensors[1].input, work.data_type, i, 0x8001u + static_cast<uint32_t>(i % 64));
  }
  return tensors;
}

TEST(Incident, HangsTheLegacyKernelAndNotOurs) {
  for (const Kernel kernel : {Kernel::kOneShot, Kernel::kTwoShotSends}) {
    const Work work{.kernel = kernel, .tokens = 8, .hidden = 64};
    const GroupShape shape{.world = 2, .generation_bytes = 1 << 15, .headers = false};
    std::vector<Tensors> tensors = HangingPayload(work);
    RankGroup legacy(shape);
    legacy.deadline = std::chrono::seconds(1);
    EXPECT_THROW(legacy.Together([&](uint32_t rank) {
      DoInField(Era::kC, &legacy, rank, work, &tensors[rank]);
    }),
                 std::runtime_error);
    RankGroup ours(shape);
    for (uint32_t call = 0; call < 6; ++call) {
      ours.DoAll(work, tensors);
      ExpectExact(tensors, work);
      ExpectRight(tensors, work);
      ExpectQuiet(ours, call + 1, work);
    }
  }
}

// The rank that is swapped takes what hangs the other's kind.
TEST(Incident, OurRankTakesThePayloadFromANewerKernel) {
  const Work work{.tokens = 8, .hidden = 64};
  RankGroup group({.world = 2, .generation_bytes = 1 << 15, .headers = false});
  std::vector<Tensors> tensors = HangingPayload(work);
  for (uint32_t call = 0; call < 6; ++call) {
    group.Together([&](uint32_t rank) {
      if (rank == 0) return group.Do(rank, work, tensors[rank]);
      DoInField(Era::kG, &group, rank, work, &tensors[rank]);
    });
    ExpectExact(tensors, work);
    ExpectQuiet(group, call + 1, work);
  }
}

}  // namespace
}  // namespace lamplight::kernels
