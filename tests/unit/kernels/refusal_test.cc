// Calls that a workspace's state or their own arguments forbid: reported, answered with NaN, and
// without a single store to any workspace.
#include <gtest/gtest.h>

#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/quiet.h"
#include "tests/unit/kernels/reference.h"
#include "tests/unit/kernels/routes.h"
#include "tests/unit/kernels/troubles.h"

namespace lamplight::kernels {
namespace {

constexpr Route kMnnvlOneShot = kRoutes[0];
constexpr Route kEpochOneShot = kRoutes[4];
constexpr Route kUnicastApart = kRoutes[7];

bool AllNan(const Memory& tensor, const Work& work) {
  for (uint64_t i = 0; i < work.elements(); ++i) {
    if (!IsNan(work.data_type, Bits(tensor, work.data_type, i))) return false;
  }
  return true;
}

// One rank's call, bent by `bend`, which is refused.
class Refused {
 public:
  Refused(const Route& route, const Work& work) : work_(work), group_(ShapeFor(route, 2, work)) {
    group_.deadline = std::chrono::seconds(5);
  }

  RankGroup& group() { return group_; }

  template <class Bend>
  void Expect(Trouble trouble, Bend bend) {
    Tensors tensors = RandomTensors(2, work_, 1)[0];
    CollectiveCall call = group_.CallOf(0, work_, tensors);
    call.options |= kAwaitSums;
    bend(&call);
    const Memory before[] = {group_.buffer(0), group_.buffer(1)};
    const std::vector<uint32_t> state(group_.state(0), group_.state(0) + 16);
    group_.Launch(call, work_);
    EXPECT_EQ(group_.diagnostic(0).trouble, CodeOf(trouble));
    EXPECT_EQ(group_.buffer(0), before[0]);
    EXPECT_EQ(group_.buffer(1), before[1]);
    EXPECT_TRUE(std::equal(state.begin(), state.end(), group_.state(0)));
    EXPECT_TRUE(call.output != tensors.output.As() || AllNan(tensors.output, work_));
    EXPECT_TRUE(AllNan(tensors.prenorm, work_));
    EXPECT_TRUE(tensors.GuardsIntact());
  }

 private:
  Work work_;
  RankGroup group_;
};

constexpr Work kWork{.tokens = 4, .hidden = 64};

void ExpectCorrupt(const Route& route, uint32_t word, uint32_t value, Trouble trouble) {
  SCOPED_TRACE("word " + std::to_string(word) + " is " + std::to_string(value));
  Work work = kWork;
  work.kernel = route.kernel;
  Refused refused(route, work);
  refused.group().state(0)[word] = value;
  refused.Expect(trouble, [](CollectiveCall*) {});
}

// What the call names there and has no use for, it leaves alone.
TEST(Refusal, WritesNoResidualSumsWithoutANorm) {
  for (const Route& route : kRoutes) {
    Work work = kWork;
    work.kernel = route.kernel;
    work.norm = false;
    RankGroup group(ShapeFor(route, 2, work));
    Tensors tensors = RandomTensors(2, work, 1)[0];
    const Memory before = tensors.prenorm;
    CollectiveCall call = group.CallOf(0, work, tensors);
    call.options |= kAwaitSums;
    call.residual_out = tensors.prenorm.As();
    call.input = tensors.input.As() + 4;  // no multiple of 16
    group.Launch(call, work);
    EXPECT_EQ(group.diagnostic(0).trouble, CodeOf(Trouble::kMisaligned));
    EXPECT_TRUE(AllNan(tensors.output, work));
    EXPECT_EQ(tensors.prenorm, before) << NameOf(route);
  }
}

TEST(Refusal, MnnvlFlagsThatCannotBe) {
  constexpr uint32_t kBytes = 4 * 2 * 128;
  for (const Route& route : {kRoutes[0], kRoutes[1], kRoutes[2]}) {
    for (const uint32_t index : {3u, 7u, 0xffffffffu}) {
      ExpectCorrupt(route, 0, index, Trouble::kCorruptState);
    }
    for (const uint32_t dirty : {3u, 7u, 0x80000000u}) {
      ExpectCorrupt(route, 1, dirty, Trouble::kCorruptState);
    }
    // The generation in use, or the next one, is not to be cleared.
    for (const uint32_t dirty : {0u, 1u}) ExpectCorrupt(route, 1, dirty, Trouble::kCorruptState);
    ExpectCorrupt(route, 3, 5, Trouble::kCorruptState);
    ExpectCorrupt(route, 3, 9, Trouble::kCorruptState);
    ExpectCorrupt(route, 2, 0, Trouble::kCapacity);
    ExpectCorrupt(route, 2, 32, Trouble::kCapacity);
    for (const uint32_t odd : {1u, 4u, 8u}) {
      ExpectCorrupt(route, 2, kBytes + odd, Trouble::kMisaligned);
    }
  }
}

// Three stages of a size that 16 does not divide: clearing them would be misaligned.
TEST(Refusal, MnnvlDirtyStagesThatAreMisaligned) {
  ExpectCorrupt(kMnnvlOneShot, 3, 3, Trouble::kCorruptState);
}

// Sizes to clear beyond the stage are cut, not followed.
TEST(Refusal, MnnvlClearSizesStayInTheirStage) {
  RankGroup group(ShapeFor(kMnnvlOneShot, 2, kWork));
  for (uint32_t rank = 0; rank < 2; ++rank) {
    group.state(rank)[3] = 2;
    group.state(rank)[4] = group.state(rank)[5] = 0xfffffff0u;
  }
  std::vector<Tensors> tensors = RandomTensors(2, kWork, 1);
  group.DoAll(kWork, tensors);
  ExpectExact(tensors, kWork);
  ExpectQuiet(group, 1, kWork);
}

TEST(Refusal, UnicastWordsThatCannotBe) {
  for (const Route& route : {kRoutes[3], kRoutes[6]}) {
    ExpectCorrupt(route, 3, 0, Trouble::kCapacity);
    ExpectCorrupt(route, 3, 512, Trouble::kCapacity);
    ExpectCorrupt(route, 3, 1025, Trouble::kMisaligned);
    ExpectCorrupt(route, 3, 1032, Trouble::kMisaligned);
  }
}

TEST(Refusal, UnicastSizesThatCannotBe) {
  const auto bytes_are = [](uint64_t bytes, Trouble trouble) {
    Refused refused(kUnicastApart, kWork);
    refused.group().sizes(0).generation_bytes = bytes;
    refused.Expect(trouble, [](CollectiveCall*) {});
    EXPECT_EQ(refused.group().sizes(0).generation_bytes, bytes);
    EXPECT_EQ(refused.group().sizes(0).clear_elements, 0u);
  };
  bytes_are(0, Trouble::kCapacity);
  bytes_are(512, Trouble::kCapacity);
  bytes_are(1032, Trouble::kMisaligned);
  bytes_are((uint64_t{1} << 32) + 8, Trouble::kMisaligned);
  bytes_are(uint64_t{1} << 41, Trouble::kCorruptState);
  bytes_are(~uint64_t{0}, Trouble::kCorruptState);
}

TEST(Refusal, UnicastClearSizeStaysInItsGeneration) {
  for (const Route& route : kUnicastRoutes) {
    SCOPED_TRACE(NameOf(route));
    RankGroup group(ShapeFor(route, 2, kWork));
    for (uint32_t rank = 0; rank < 2; ++rank) {
      if (!route.sizes_apart) group.state(rank)[4] = 0xfffffff8u;
      group.sizes(rank).clear_elements = uint64_t{7} << 60;
    }
    std::vector<Tensors> tensors = RandomTensors(2, kWork, 1);
    group.DoAll(kWork, tensors);
    ExpectExact(tensors, kWork);
    ExpectQuiet(group, 1, kWork);
  }
}

TEST(Refusal, EpochGenerationsThatDoNotFit) {
  for (const Route& route : {kRoutes[4], kRoutes[5]}) {
    Work work = kWork;
    work.kernel = route.kernel;
    const auto bytes_are = [&](uint64_t bytes, Trouble trouble) {
      Refused refused(route, work);
      refused.Expect(trouble, [&](CollectiveCall* call) { call->generation_bytes = bytes; });
    };
    bytes_are(0, Trouble::kCapacity);
    bytes_are(512, Trouble::kCapacity);
    bytes_are((1 << 16) + 256, Trouble::kMisaligned);
    bytes_are((1 << 16) + 128, Trouble::kMisaligned);
    bytes_are((1 << 16) + 8, Trouble::kMisaligned);
  }
}

// Whatever is misaligned is reported; what can still be written is NaN.
TEST(Refusal, MisalignedTensors) {
  for (const Route& route : kRoutes) {
    SCOPED_TRACE(NameOf(route));
    Work work = kWork;
    work.kernel = route.kernel;
    const auto off = [](auto*& pointer, uint32_t bytes) {
      using Pointer = std::remove_reference_t<decltype(pointer)>;
      pointer = reinterpret_cast<Pointer>(reinterpret_cast<uintptr_t>(pointer) + bytes);
    };
    for (const uint32_t bytes : {2u, 4u, 8u}) {
      const auto refuse = [&](auto bend) {
        Refused(route, work).Expect(Trouble::kMisaligned, bend);
      };
      refuse([&](CollectiveCall* call) { off(call->input, bytes); });
      refuse([&](CollectiveCall* call) { off(call->residual_in, bytes); });
      refuse([&](CollectiveCall* call) { off(call->gamma, bytes); });
      refuse([&](CollectiveCall* call) { call->multicast = nullptr, off(call->multicast, bytes); });
    }
  }
}

TEST(Refusal, MisalignedOutputIsPoisonedByElements) {
  for (const uint32_t bytes : {1u, 2u, 8u}) {
    Memory output(kWork.bytes() + 16);
    output.Fill(0x3f803f80);
    Refused(kMnnvlOneShot, kWork).Expect(Trouble::kMisaligned, [&](CollectiveCall* call) {
      call->output = output.As() + bytes;
    });
    // An odd address holds no bf16: nothing is written there.
    const auto* elements = output.As<uint16_t>() + bytes / 2;
    const bool nan = bytes != 1;
    EXPECT_EQ(IsNan(DataType::kBf16, elements[0]), nan);
    EXPECT_EQ(IsNan(DataType::kBf16, elements[kWork.elements() - 1]), nan);
    EXPECT_EQ(elements[kWork.elements()], 0x3f80);
    EXPECT_TRUE(output.GuardsIntact());
  }
}

TEST(Refusal, WithoutADiagnosticIsSilentButNan) {
  Refused(kEpochOneShot, kWork).Expect(Trouble::kNothing, [](CollectiveCall* call) {
    call->diagnostic = nullptr;
    call->generation_bytes = 256;
  });
}

TEST(Refusal, OnlyTheFirstTroubleIsKept) {
  Refused refused(kMnnvlOneShot, kWork);
  refused.group().state(0)[0] = 3;
  refused.Expect(Trouble::kCorruptState, [](CollectiveCall*) {});
  refused.group().state(0)[0] = 0;
  refused.group().state(0)[2] = 0;
  refused.Expect(Trouble::kCorruptState, [](CollectiveCall*) {});
  EXPECT_EQ(refused.group().diagnostic(0).index, 3u);
}

}  // namespace
}  // namespace lamplight::kernels
