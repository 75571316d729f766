// How calls are laid out: every slot of every row has a thread, within what devices can do.
#include "kernels/launch_plan.h"

#include <gtest/gtest.h>

#include "kernels/packet_layout.h"

namespace lamplight::kernels {
namespace {

constexpr Protocol kProtocols[] = {Protocol::kMnnvl, Protocol::kUnicast, Protocol::kUnicastInWords,
                                   Protocol::kEpoch};
constexpr DataType kTypes[] = {DataType::kBf16, DataType::kFp16, DataType::kFp32};
constexpr DeviceLimits kDevices[] = {{132, 9}, {148, 10}, {108, 8}, {1, 9}, {1, 8}};

// Calls `check(id, tokens, hidden, limits)` for all sorts of calls whose rows fit one block.
template <class Check>
void ForEachCall(Check check) {
  const auto check_kernel = [&](const KernelId& id) {
    for (uint32_t row = 16; row <= 93 * 1024; row += row < 4096 ? 16 : 1008) {
      for (const DeviceLimits& limits : kDevices) {
        for (const uint32_t tokens : {1u, 2u, 16u, 17u, 66u, 1024u}) {
          check(id, tokens, row / BytesOf(id.data_type), limits);
        }
      }
    }
  };
  for (const Protocol protocol : kProtocols) {
    for (const DataType type : kTypes) {
      check_kernel(IdFor(Kernel::kOneShot, protocol, type, 2));
      check_kernel(IdFor(Kernel::kTwoShot, protocol, type, 2));
    }
  }
}

TEST(LaunchPlan, GivesEverySlotAThread) {
  ForEachCall([](const KernelId& id, uint32_t tokens, uint32_t hidden, const DeviceLimits& limits) {
    LaunchPlan plan;
    ASSERT_TRUE(PlanLaunch(id, tokens, hidden, Quantisation::kNone, limits, &plan)) << hidden;
    const uint32_t slots = LayoutOf(id.protocol).Slots(hidden * BytesOf(id.data_type));
    ASSERT_GE(plan.grid_y * plan.block * plan.fragments, slots);
    // No round of the row loop is idle.
    ASSERT_LT(plan.grid_y * plan.block * (plan.fragments - 1), slots);
    if (plan.form != KernelForm::kGeneral) {
      ASSERT_EQ(plan.fragments, 1u);
      ASSERT_EQ(plan.shared_bytes, 0u);
      ASSERT_LE(plan.grid_x, tokens);
      ASSERT_GE(plan.grid_x, 1u);
    } else {
      ASSERT_EQ(plan.grid_x, tokens);
    }
  });
}

TEST(LaunchPlan, StaysWithinTheDevice) {
  ForEachCall([](const KernelId& id, uint32_t tokens, uint32_t hidden, const DeviceLimits& limits) {
    LaunchPlan plan;
    ASSERT_TRUE(PlanLaunch(id, tokens, hidden, Quantisation::kNone, limits, &plan));
    const bool plain = plan.form != KernelForm::kGeneral;
    ASSERT_LE(plan.block, plain ? kMaxPlainThreads : kMaxBlockThreads);
    ASSERT_GE(plan.block, 32u);
    ASSERT_EQ(plan.block % (plain ? 32 : 64), 0u);
    ASSERT_EQ(plan.grid_y, plan.cluster);
    ASSERT_LE(plan.cluster, 8u);
    ASSERT_EQ(plan.cluster & (plan.cluster - 1), 0u);
    ASSERT_TRUE(limits.compute_major >= 9 || plan.cluster == 1);
    // What a thread keeps in shared memory: all of its units but the first.
    ASSERT_GE(plan.shared_bytes, (plan.fragments - 1) * plan.block * kUnitBytes);
    ASSERT_LE(plan.shared_bytes, 96u * 1024);
  });
}

// All clusters of a plain or streamed grid run at once, by the registers that its threads may have:
// 16384 in each quarter of a multiprocessor.
TEST(LaunchPlan, PlainAndStreamedGridsAreResident) {
  ForEachCall([](const KernelId& id, uint32_t tokens, uint32_t hidden, const DeviceLimits& limits) {
    LaunchPlan plan;
    ASSERT_TRUE(PlanLaunch(id, tokens, hidden, Quantisation::kNone, limits, &plan));
    if (plan.form == KernelForm::kGeneral || plan.grid_x == 1) return;
    const uint32_t warps_of_processor = 4 * (16384 / (32 * kPlainRegisters));
    const uint32_t blocks_of_processor = warps_of_processor / (plan.block / 32);
    ASSERT_LE(plan.grid_x * plan.grid_y, limits.processors * blocks_of_processor);
  });
}

// Rank token % W adds up a token's row, and a cluster's tokens are as far apart as there are
// clusters: the owners of any two of them that follow each other differ.
TEST(LaunchPlan, EveryClusterOfATwoShotOwnsItsPart) {
  ForEachCall([](const KernelId& id, uint32_t tokens, uint32_t hidden, const DeviceLimits& limits) {
    LaunchPlan plan;
    ASSERT_TRUE(PlanLaunch(id, tokens, hidden, Quantisation::kNone, limits, &plan));
    if (id.kernel != Kernel::kTwoShot || plan.grid_x == tokens) return;
    ASSERT_EQ(plan.grid_x % 2, 1u) << SymbolOf(id) << " " << tokens << " x " << hidden;
  });
}

TEST(LaunchPlan, ATwoShotGridIsOneClusterShortOfAnEvenNumber) {
  const KernelId id = IdFor(Kernel::kTwoShot, Protocol::kEpoch, DataType::kBf16, 4);
  LaunchPlan plan;
  ASSERT_TRUE(PlanLaunch(id, 1024, 4096, Quantisation::kNone, {132, 9}, &plan));
  EXPECT_EQ(plan.grid_x, 131u);
  ASSERT_TRUE(PlanLaunch(id, 132, 4096, Quantisation::kNone, {132, 9}, &plan));
  EXPECT_EQ(plan.grid_x, 132u);
  ASSERT_TRUE(PlanLaunch(id, 1024, 4096, Quantisation::kNone, {1, 9}, &plan));
  EXPECT_EQ(plan.grid_x, 1u);
}

CollectiveCall CallOf(uint64_t input, uint64_t output, uint64_t residual_out) {
  CollectiveCall call{};
  call.input = reinterpret_cast<const void*>(input);
  call.output = reinterpret_cast<void*>(output);
  call.residual_out = reinterpret_cast<void*>(residual_out);
  call.data_type = DataType::kBf16;
  call.tokens = 1024;
  call.hidden = 4096;
  return call;
}

TEST(LaunchPlan, TellsWhatLiesInTheInputsMemory) {
  constexpr uint64_t kBytes = 1024 * 4096 * 2;
  constexpr uint64_t kInput = 4 * kBytes;
  for (const uint64_t apart : {uint64_t{0}, kInput - kBytes, kInput + kBytes}) {
    EXPECT_FALSE(OverwritesInput(CallOf(kInput, apart, 0)));
    EXPECT_FALSE(OverwritesInput(CallOf(kInput, 0, apart)));
  }
  for (const uint64_t inside : {kInput, kInput - kBytes + 16, kInput + kBytes - 16}) {
    EXPECT_TRUE(OverwritesInput(CallOf(kInput, inside, 0)));
    EXPECT_TRUE(OverwritesInput(CallOf(kInput, kBytes, inside)));
  }
}

// The grid is the same: a rank that works in place and one that does not await the same clusters.
TEST(LaunchPlan, StreamsNothingInPlace) {
  for (const Protocol protocol :
       {Protocol::kMnnvl, Protocol::kUnicast, Protocol::kUnicastInWords, Protocol::kEpoch}) {
    for (const uint32_t world : {2u, 4u}) {
      const KernelId id = IdFor(Kernel::kOneShot, protocol, DataType::kBf16, world);
      LaunchPlan apart, in_place;
      ASSERT_TRUE(PlanLaunch(id, CallOf(1 << 30, 1 << 20, 0), {132, 9}, &apart));
      ASSERT_TRUE(PlanLaunch(id, CallOf(1 << 30, 1 << 30, 0), {132, 9}, &in_place));
      EXPECT_EQ(apart.form, KernelForm::kStreamed);
      EXPECT_EQ(in_place.form, KernelForm::kPlain);
      EXPECT_EQ(in_place.senders, 0u);
      EXPECT_EQ(in_place.grid_x, apart.grid_x);
      EXPECT_EQ(in_place.block, apart.block);
      EXPECT_EQ(in_place.cluster, apart.cluster);
    }
  }
}

// Some clusters only send where there are more rows than clusters: one, or a fifth at most.
TEST(LaunchPlan, StreamsMoreRowsThanClusters) {
  ForEachCall([](const KernelId& id, uint32_t tokens, uint32_t hidden, const DeviceLimits& limits) {
    LaunchPlan plan;
    ASSERT_TRUE(PlanLaunch(id, tokens, hidden, Quantisation::kNone, limits, &plan));
    ASSERT_EQ(plan.form == KernelForm::kStreamed, plan.senders > 0);
    if (plan.form != KernelForm::kStreamed) return;
    ASSERT_EQ(id.kernel, Kernel::kOneShot);
    ASSERT_LT(plan.grid_x, tokens);
    ASSERT_LT(plan.senders, plan.grid_x);
    ASSERT_TRUE(plan.senders == 1 || plan.senders * plan.cluster <= limits.processors / 5);
  });
}

TEST(LaunchPlan, AStreamedGridHasAsManySendersAsFillTheLink) {
  const auto plan_of = [](Protocol protocol, uint32_t tokens, uint32_t hidden, uint32_t share) {
    LaunchPlan plan;
    const KernelId id = IdFor(Kernel::kOneShot, protocol, DataType::kBf16, 2);
    EXPECT_TRUE(PlanLaunch(id, tokens, hidden, Quantisation::kNone, {132, 9, share}, &plan));
    return plan;
  };
  EXPECT_EQ(plan_of(Protocol::kEpoch, 132, 4096, 0).form, KernelForm::kPlain);
  EXPECT_EQ(plan_of(Protocol::kEpoch, 133, 4096, 0).senders, 20u);
  EXPECT_EQ(plan_of(Protocol::kEpoch, 133, 4096, 0).grid_x, 132u);
  EXPECT_EQ(plan_of(Protocol::kEpoch, 128, 8192, 0).senders, 10u) << "of two blocks each";
  EXPECT_EQ(plan_of(Protocol::kMnnvl, 256, 4096, 0).senders, 16u) << "stores and clears more";
  EXPECT_EQ(plan_of(Protocol::kEpoch, 256, 4096, 64).form, KernelForm::kPlain) << "no link there";
}

// 20 rows of 8960 bytes with their tags, every 497 ns: 360 bytes in a nanosecond.
TEST(LaunchPlan, SendersOfAStreamedGridKeepThePaceOfTheLink) {
  const auto pace_of = [](uint8_t world, uint32_t hidden, DeviceLimits limits) {
    LaunchPlan plan;
    const KernelId id = IdFor(Kernel::kOneShot, Protocol::kEpoch, DataType::kBf16, world);
    EXPECT_TRUE(PlanLaunch(id, 512, hidden, Quantisation::kNone, limits, &plan));
    return plan.pace_ns;
  };
  EXPECT_EQ(pace_of(2, 4096, {132, 9}), 497u);
  EXPECT_EQ(pace_of(4, 4096, {132, 9}), 1493u) << "to three peers";
  EXPECT_EQ(pace_of(2, 8192, {132, 9}), 490u) << "twice as long, half as many";
  EXPECT_EQ(pace_of(2, 4096, {132, 10}), 0u) << "a link whose rate is not known";
  EXPECT_EQ(pace_of(2, 4096, {132, 9, 64}), 0u) << "no link";
}

TEST(LaunchPlan, OnAShareOnlyTheNumberOfClustersIsSmaller) {
  ForEachCall([](const KernelId& id, uint32_t tokens, uint32_t hidden, const DeviceLimits& limits) {
    DeviceLimits share = limits;
    share.share = (limits.processors + 1) / 2;
    LaunchPlan all, part;
    ASSERT_TRUE(PlanLaunch(id, tokens, hidden, Quantisation::kNone, limits, &all));
    ASSERT_TRUE(PlanLaunch(id, tokens, hidden, Quantisation::kNone, share, &part));
    ASSERT_LE(part.grid_x, all.grid_x);
    ASSERT_TRUE(all.form != KernelForm::kGeneral || part.grid_x == all.grid_x);
    part.form = all.form;
    part.senders = all.senders;
    part.pace_ns = all.pace_ns;
    part.grid_x = all.grid_x;
    ASSERT_TRUE(part == all) << "the order of sums depends on the rest";
  });
}

TEST(LaunchPlan, PlainGridsAreResidentOnAShare) {
  const KernelId id = IdFor(Kernel::kOneShot, Protocol::kUnicast, DataType::kBf16, 2);
  LaunchPlan plan;
  ASSERT_TRUE(PlanLaunch(id, 128, 4096, Quantisation::kNone, {132, 9}, &plan));
  EXPECT_EQ(plan.grid_x, 128u);
  ASSERT_TRUE(PlanLaunch(id, 128, 4096, Quantisation::kNone, {132, 9, 64}, &plan));
  EXPECT_EQ(plan.grid_x, 64u);
}

// NVFP4 scales cover 16 elements: what a block holds in one round is a whole number of groups.
TEST(LaunchPlan, KeepsQuantisationGroupsInOneBlock) {
  ForEachCall([](const KernelId& id, uint32_t tokens, uint32_t hidden, const DeviceLimits& limits) {
    LaunchPlan plan;
    if (!PlanLaunch(id, tokens, hidden, Quantisation::kNvfp4, limits, &plan)) return;
    ASSERT_EQ(plan.form, KernelForm::kGeneral);
    const PacketLayout layout = LayoutOf(id.protocol);
    const uint32_t units = layout.pairs ? plan.block / kPairSlots * kPairUnits : plan.block;
    const uint32_t elements = kUnitBytes / BytesOf(id.data_type);
    const bool one_block = plan.grid_y == 1 && plan.fragments == 1;
    ASSERT_TRUE(one_block || units * elements % 16 == 0)
        << SymbolOf(id) << " hidden " << hidden << " block " << plan.block;
    const uint32_t kept = (plan.fragments - 1) * plan.block * kUnitBytes;
    ASSERT_GE(plan.shared_bytes, kept + units * elements * sizeof(float));
  });
}

TEST(LaunchPlan, SpreadsARowOnlyWhereTheDeviceHasRoom) {
  const KernelId id = IdFor(Kernel::kOneShot, Protocol::kMnnvl, DataType::kBf16, 2);
  LaunchPlan plan;
  ASSERT_TRUE(PlanLaunch(id, 16, 8192, Quantisation::kNone, {132, 9}, &plan));
  EXPECT_EQ(plan.cluster, 8u);
  ASSERT_TRUE(PlanLaunch(id, 17, 8192, Quantisation::kNone, {132, 9}, &plan));
  EXPECT_EQ(plan.cluster, 4u);
  ASSERT_TRUE(PlanLaunch(id, 133, 4096, Quantisation::kNone, {132, 9}, &plan));
  EXPECT_EQ(plan.cluster, 1u);
  ASSERT_TRUE(PlanLaunch(id, 1, 8, Quantisation::kNone, {132, 9}, &plan));
  EXPECT_EQ(plan.cluster, 1u);
  EXPECT_EQ(plan.block, 32u);
}

TEST(LaunchPlan, TakesTheGeneralFormForWhatThePlainOneCannotDo) {
  LaunchPlan plan;
  const KernelId norm = IdFor(Kernel::kTwoShotNorm, Protocol::kMnnvl, DataType::kBf16, 2);
  ASSERT_TRUE(PlanLaunch(norm, 1, 4096, Quantisation::kNone, {132, 9}, &plan));
  EXPECT_EQ(plan.form, KernelForm::kGeneral);
  const KernelId one_shot = IdFor(Kernel::kOneShot, Protocol::kMnnvl, DataType::kBf16, 2);
  ASSERT_TRUE(PlanLaunch(one_shot, 1, 4096, Quantisation::kFp8, {132, 9}, &plan));
  EXPECT_EQ(plan.form, KernelForm::kGeneral);
  // Eight blocks of 640 threads with eight elements each.
  ASSERT_TRUE(PlanLaunch(one_shot, 1, 8 * 640 * 8, Quantisation::kNone, {132, 9}, &plan));
  EXPECT_EQ(plan.form, KernelForm::kPlain);
  ASSERT_TRUE(PlanLaunch(one_shot, 1, 8 * 640 * 8 + 8, Quantisation::kNone, {132, 9}, &plan));
  EXPECT_EQ(plan.form, KernelForm::kGeneral);
}

TEST(LaunchPlan, RefusesARowBeyondSharedMemory) {
  const KernelId id = IdFor(Kernel::kOneShot, Protocol::kMnnvl, DataType::kFp32, 2);
  LaunchPlan plan;
  // One block of 512 threads: a unit in registers and twelve in shared memory, for each thread.
  const uint32_t largest = 13 * 512 * 4;
  EXPECT_TRUE(PlanLaunch(id, 1, largest, Quantisation::kNone, {108, 8}, &plan));
  EXPECT_EQ(plan.shared_bytes, 96u * 1024);
  EXPECT_FALSE(PlanLaunch(id, 1, largest + 4, Quantisation::kNone, {108, 8}, &plan));
  EXPECT_TRUE(PlanLaunch(id, 1, largest + 4, Quantisation::kNone, {132, 9}, &plan));
}

TEST(LaunchPlan, NamesKernelsByKindProtocolTypeAndWorld) {
  EXPECT_EQ(SymbolOf(IdFor(Kernel::kOneShot, Protocol::kMnnvl, DataType::kBf16, 2)),
            "lamplight_oneshot_mnnvl_bf16_w2");
  KernelId plain = IdFor(Kernel::kOneShot, Protocol::kMnnvl, DataType::kBf16, 2);
  plain.form = KernelForm::kPlain;
  EXPECT_EQ(SymbolOf(plain), "lamplight_oneshot_mnnvl_bf16_w2_plain");
  plain.form = KernelForm::kStreamed;
  EXPECT_EQ(SymbolOf(plain), "lamplight_oneshot_mnnvl_bf16_w2_streamed");
  EXPECT_EQ(SymbolOf(IdFor(Kernel::kTwoShot, Protocol::kEpoch, DataType::kFp32, 64)),
            "lamplight_twoshot_epoch_fp32_w0");
  // The norm reads sums; it is compiled once.
  EXPECT_EQ(IdFor(Kernel::kTwoShotNorm, Protocol::kMnnvl, DataType::kFp16, 8).world, 0);
}

TEST(GenerationBytes, GrowsWithTokensHiddenAndWorld) {
  for (const Protocol protocol : kProtocols) {
    for (const Kernel kernel : {Kernel::kOneShot, Kernel::kTwoShot}) {
      const auto bytes = [&](uint32_t world, uint64_t tokens, uint64_t hidden) {
        return GenerationBytes(protocol, kernel, DataType::kBf16, world, tokens, hidden);
      };
      for (const uint32_t world : {2u, 4u, 8u, 16u, 32u, 64u}) {
        for (uint64_t tokens = 1; tokens < 200; ++tokens) {
          ASSERT_LE(bytes(world, tokens, 64), bytes(world, tokens + 1, 64));
          ASSERT_LE(bytes(world, tokens, 64), bytes(world, tokens, 72));
          ASSERT_EQ(bytes(world, tokens, 64) % 32, 0u);
          ASSERT_LE(bytes(world, tokens, 64), bytes(2 * world, tokens, 64));
        }
      }
    }
  }
}

TEST(GenerationBytes, DoesNotOverflowThirtyTwoBits) {
  const uint64_t bytes = GenerationBytes(Protocol::kMnnvl, Kernel::kOneShot, DataType::kFp32, 64,
                                         uint64_t{1} << 20, 8192);
  EXPECT_EQ(bytes, (uint64_t{1} << 20) * 64 * 8192 * 4);
}

}  // namespace
}  // namespace lamplight::kernels
