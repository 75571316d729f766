// Calls of any kernel, type and size in any order on one workspace: right results, and a workspace
// that is armed for what comes, whatever came before and however the ranks run apart.
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <thread>

#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/quiet.h"
#include "tests/unit/kernels/reference.h"

namespace lamplight::kernels {
namespace {

constexpr DataType kSixteenBits[] = {DataType::kBf16, DataType::kFp16};
constexpr DataType kEveryType[] = {DataType::kBf16, DataType::kFp16, DataType::kFp32};

struct Workspace {
  const char* name;
  Protocol protocol;
  uint32_t world;
  DataType armed_for;  // unicast: of calls of this width
  bool sizes_apart = false;
};

constexpr Workspace kWorkspaces[] = {
    {"mnnvl_2", Protocol::kMnnvl, 2, DataType::kBf16},
    {"mnnvl_4", Protocol::kMnnvl, 4, DataType::kBf16},
    {"unicast_2", Protocol::kUnicast, 2, DataType::kBf16},
    {"unicast_fp32", Protocol::kUnicast, 2, DataType::kFp32},
    {"unicast_4", Protocol::kUnicast, 4, DataType::kFp16},
    {"unicastwords_2", Protocol::kUnicastInWords, 2, DataType::kBf16},
    {"unicastwords_4_apart", Protocol::kUnicastInWords, 4, DataType::kFp16, true},
    {"unicastwords_fp32_apart", Protocol::kUnicastInWords, 2, DataType::kFp32, true},
    {"epoch_2", Protocol::kEpoch, 2, DataType::kBf16},
    {"epoch_4", Protocol::kEpoch, 4, DataType::kBf16},
};

class Sequence : public testing::TestWithParam<Workspace> {
 protected:
  GroupShape Shape() const {
    return {.protocol = GetParam().protocol,
            .world = GetParam().world,
            .generation_bytes = 12288u * GetParam().world,
            .data_type = GetParam().armed_for,
            .sizes_apart = GetParam().sizes_apart};
  }

  template <class T, size_t n>
  const T& Any(const T (&of)[n]) {
    return of[random_() % n];
  }

  DataType AnyType() {
    if (!IsUnicast(GetParam().protocol)) return Any(kEveryType);
    return GetParam().armed_for == DataType::kFp32 ? DataType::kFp32 : Any(kSixteenBits);
  }
  Kernel AnyKernel() {
    if (IsUnicast(GetParam().protocol)) return Kernel::kOneShot;
    constexpr Kernel kEpochKernels[] = {Kernel::kOneShot, Kernel::kTwoShot};
    constexpr Kernel kKernels[] = {Kernel::kOneShot, Kernel::kTwoShot, Kernel::kTwoShotSends};
    return GetParam().protocol == Protocol::kEpoch ? Any(kEpochKernels) : Any(kKernels);
  }

  uint32_t Capacity(const Work& work) const {
    uint32_t tokens = 1;
    while (GenerationBytes(GetParam().protocol, work.kernel, work.data_type, GetParam().world,
                           tokens + 1, work.hidden) <= Shape().generation_bytes) {
      ++tokens;
    }
    return tokens;
  }

  // One token, the workspace's capacity, and anything between.
  Work AnyWork() {
    constexpr uint32_t kHidden[] = {8, 24, 56, 64, 120, 128, 136, 264, 512, 1024};
    Work work{.kernel = AnyKernel(), .data_type = AnyType(), .hidden = Any(kHidden)};
    work.norm = random_() % 2 == 0;
    const uint32_t capacity = Capacity(work);
    const uint32_t few = std::min(capacity, 9u);
    const uint32_t tokens[] = {1, capacity, 1 + static_cast<uint32_t>(random_() % few),
                               1 + static_cast<uint32_t>(random_() % few)};
    work.tokens = Any(tokens);
    return work;
  }

  static void Check(const std::vector<Tensors>& tensors, const Work& work) {
    ExpectExact(tensors, work);
    if (work.norm && work.elements() <= 2048) ExpectRight(tensors, work);
    for (const Tensors& one : tensors) ASSERT_TRUE(one.GuardsIntact());
  }

  std::mt19937 random_{7};
};

std::string Describe(const Work& work, uint32_t call) {
  return "call " + std::to_string(call) + ": " +
         SymbolOf({work.kernel, Protocol::kMnnvl, work.data_type, 0}) + " tokens " +
         std::to_string(work.tokens) + " hidden " + std::to_string(work.hidden);
}

TEST_P(Sequence, AnyOrderLeavesTheWorkspaceArmed) {
  RankGroup group(Shape());
  const uint32_t calls = 240 / GetParam().world;
  for (uint32_t call = 0; call < calls; ++call) {
    const Work work = AnyWork();
    SCOPED_TRACE(Describe(work, call));
    std::vector<Tensors> tensors = RandomTensors(GetParam().world, work, call);
    group.DoAll(work, tensors);
    Check(tensors, work);
    ExpectQuiet(group, call + 1, work);
    for (uint32_t rank = 0; rank < GetParam().world; ++rank) {
      ASSERT_EQ(group.diagnostic(rank).trouble, 0u);
    }
    if (HasFatalFailure()) return;
  }
}

// Between calls nobody waits for anybody but through the workspace.
class Apart {
 public:
  explicit Apart(uint32_t rank) : random_(rank + 1) {}
  void Delay() {
    const uint32_t what = random_() % 64;
    if (what == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1 + random_() % 50));
    } else if (what < 16) {
      std::this_thread::sleep_for(std::chrono::microseconds(random_() % 500));
    } else if (what < 48) {
      for (uint32_t i = 0; i < what; ++i) sched_yield();
    }
  }

 private:
  std::mt19937 random_;
};

TEST_P(Sequence, RanksMayRunApart) {
  RankGroup group(Shape());
  constexpr uint32_t kCalls = 100;
  std::vector<Work> works;
  std::vector<std::vector<Tensors>> tensors;
  for (uint32_t call = 0; call < kCalls; ++call) {
    works.push_back(AnyWork());
    works.back().tokens = std::min(works.back().tokens, 6u);
    tensors.push_back(RandomTensors(GetParam().world, works.back(), 1000 + call));
  }
  group.Together([&](uint32_t rank) {
    Apart apart(rank);
    for (uint32_t call = 0; call < kCalls; ++call) {
      apart.Delay();
      group.Do(rank, works[call], tensors[call][rank]);
    }
  });
  for (uint32_t call = 0; call < kCalls; ++call) {
    SCOPED_TRACE(Describe(works[call], call));
    Check(tensors[call], works[call]);
    if (HasFatalFailure()) return;
  }
  ExpectQuiet(group, kCalls, works.back());
  for (uint32_t rank = 0; rank < GetParam().world; ++rank) {
    EXPECT_EQ(group.diagnostic(rank).trouble, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Workspaces, Sequence, testing::ValuesIn(kWorkspaces),
                         [](const auto& param) { return std::string(param.param.name); });

// A group in its `epoch`-th call, whose buffers are full of the call before.
void Preset(RankGroup* group, uint64_t epoch) {
  for (uint32_t rank = 0; rank < group->shape().world; ++rank) {
    reinterpret_cast<EpochState*>(group->state(rank))->progress = epoch * kWholeCall;
    auto* lines = group->buffer(rank).As<uint64_t>();
    std::fill_n(lines, 2 * group->shape().generation_bytes / 8, epoch);
  }
}

TEST(EpochCount, WrapsItsLowBitsAndItself) {
  for (const uint64_t start :
       {(uint64_t{1} << 32) - 4, (uint64_t{1} << 33) - 3, (uint64_t{1} << 48) - 4}) {
    for (const Kernel kernel : {Kernel::kOneShot, Kernel::kTwoShot}) {
      const Work work{.kernel = kernel, .tokens = 5, .hidden = 136};
      RankGroup group({.protocol = Protocol::kEpoch, .generation_bytes = 1 << 14});
      Preset(&group, start);
      for (uint32_t call = 0; call < 8; ++call) {
        std::vector<Tensors> tensors = RandomTensors(2, work, call);
        group.DoAll(work, tensors);
        ExpectExact(tensors, work);
        ExpectQuiet(group, 0, work);
        const auto* state = reinterpret_cast<const EpochState*>(group.state(0));
        ASSERT_EQ(state->progress, (start + call + 1) * kWholeCall);
      }
    }
  }
}

// The count behind the MNNVL flags, which numbers the headers.
TEST(MnnvlCount, WrapsItsLowBits) {
  RankGroup group({.world = 4, .generation_bytes = 1 << 14});
  for (uint32_t rank = 0; rank < 4; ++rank) {
    reinterpret_cast<MnnvlState*>(group.state(rank))->calls = 0xfffffffeu;
  }
  const Work work{.tokens = 5, .hidden = 64};
  for (uint32_t call = 0; call < 4; ++call) {
    std::vector<Tensors> tensors = RandomTensors(4, work, call);
    group.DoAll(work, tensors);
    ExpectExact(tensors, work);
    ExpectQuiet(group, call + 1, work);
    for (uint32_t rank = 0; rank < 4; ++rank) ASSERT_EQ(group.diagnostic(rank).trouble, 0u);
  }
  EXPECT_EQ(reinterpret_cast<MnnvlState*>(group.state(0))->calls, 0x100000002u);
}

}  // namespace
}  // namespace lamplight::kernels
