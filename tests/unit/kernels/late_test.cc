// What a call reports of peers that come late, and that it still gives the right results.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/quiet.h"
#include "tests/unit/kernels/reference.h"
#include "tests/unit/kernels/routes.h"
#include "tests/unit/kernels/troubles.h"

namespace lamplight::kernels {
namespace {

using std::chrono::milliseconds;

class Late : public testing::TestWithParam<Route> {};

// Rank 1 comes when rank 0 has reported it; then all is well.
TEST_P(Late, PeerIsReportedAndWaitedFor) {
  const Work work{.kernel = GetParam().kernel, .tokens = 4, .hidden = 64};
  RankGroup group(ShapeFor(GetParam(), 2, work));
  group.timeout_ns = 3'000'000;
  // In two-shot it awaits sums of rank 0, whose thread may have lost its core for that long.
  group.patient_rank = 1;
  std::vector<Tensors> tensors = RandomTensors(2, work, 1);
  group.Together([&](uint32_t rank) {
    EXPECT_TRUE(rank == 0 || Reported(group.diagnostic(0)));
    group.Do(rank, work, tensors[rank]);
  });
  const Diagnostic& diagnostic = group.diagnostic(0);
  EXPECT_EQ(diagnostic.trouble, CodeOf(Trouble::kTimeout));
  EXPECT_EQ(diagnostic.workspace, reinterpret_cast<uint64_t>(group.buffer(0).As()));
  EXPECT_EQ(diagnostic.rank, 0u);
  EXPECT_EQ(diagnostic.peer, 1u);
  EXPECT_EQ(diagnostic.index, 0u);
  EXPECT_EQ(diagnostic.epoch, 0u);
  // Clusters that have begun, where those count, and no pair of kernels comes after the other.
  const bool begun =
      GetParam().protocol != Protocol::kEpoch && GetParam().kernel != Kernel::kTwoShotSends;
  EXPECT_EQ(diagnostic.arrivals, begun ? 4u : 0u);
  EXPECT_EQ(diagnostic.tokens, 4u);
  EXPECT_EQ(diagnostic.hidden, 64u);
  EXPECT_GE(diagnostic.waited_ns, group.timeout_ns);
  EXPECT_LT(diagnostic.waited_ns, 10'000'000'000u);
  EXPECT_EQ(group.diagnostic(1).trouble, 0u);
  ExpectExact(tensors, work);
  ExpectRight(tensors, work);
  ExpectQuiet(group, 1, work);
}

TEST_P(Late, PeerIsNoTroubleWithoutALimit) {
  const Work work{.kernel = GetParam().kernel, .tokens = 4, .hidden = 64};
  RankGroup group(ShapeFor(GetParam(), 2, work));
  std::vector<Tensors> tensors = RandomTensors(2, work, 1);
  group.Together([&](uint32_t rank) {
    if (rank == 1) std::this_thread::sleep_for(milliseconds(30));
    group.Do(rank, work, tensors[rank]);
  });
  EXPECT_EQ(group.diagnostic(0).trouble, 0u);
  ExpectExact(tensors, work);
}

TEST_P(Late, PeerIsNamedAmongEight) {
  const Work work{.kernel = GetParam().kernel, .tokens = 8, .hidden = 64};
  RankGroup group(ShapeFor(GetParam(), 8, work));
  group.timeout_ns = 5'000'000;
  std::vector<Tensors> tensors = RandomTensors(8, work, 1);
  std::atomic<uint32_t> reported = 0;
  group.Together([&](uint32_t rank) {
    // Whoever reports has sent: the fibers of a rank take turns. So rank 2 lacks nobody but rank 5,
    // however late the threads of the others get a core.
    for (const uint32_t peer : {0, 1, 3, 4, 6, 7}) {
      EXPECT_TRUE(rank != 2 || Reported(group.diagnostic(peer)));
    }
    if (rank == 5) {
      EXPECT_TRUE(Reported(group.diagnostic(2)));
      reported = group.diagnostic(2).peer;
    }
    group.Do(rank, work, tensors[rank]);
  });
  // In two-shot, rank 2 may first miss the sums of an owner that waits for rank 5 itself.
  if (GetParam().kernel == Kernel::kOneShot) {
    EXPECT_EQ(reported, 5u);
  } else {
    EXPECT_NE(reported, 2u);
  }
  ExpectExact(tensors, work);
}

TEST_P(Late, PeerTrapsTheKernelIfAsked) {
  const Work work{.kernel = GetParam().kernel, .tokens = 1, .hidden = 64};
  RankGroup group(ShapeFor(GetParam(), 2, work));
  group.timeout_ns = 1'000'000;
  group.deadline = std::chrono::seconds(20);
  std::vector<Tensors> tensors = RandomTensors(2, work, 1);
  CollectiveCall call = group.CallOf(0, work, tensors[0]);
  call.options |= kTrapOnTimeout | kAwaitSums;
  try {
    group.Launch(call, work);
    ADD_FAILURE() << "the kernel did not trap";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "the kernel trapped");
  }
  EXPECT_EQ(group.diagnostic(0).trouble, CodeOf(Trouble::kTimeout));
  EXPECT_EQ(group.diagnostic(0).peer, 1u);
}

TEST_P(Late, PeerWithoutADiagnosticIsWaitedFor) {
  const Work work{.kernel = GetParam().kernel, .tokens = 2, .hidden = 64};
  RankGroup group(ShapeFor(GetParam(), 2, work));
  group.timeout_ns = 1'000'000;
  std::vector<Tensors> tensors = RandomTensors(2, work, 1);
  group.Together([&](uint32_t rank) {
    if (rank == 1) std::this_thread::sleep_for(milliseconds(20));
    CollectiveCall call = group.CallOf(rank, work, tensors[rank]);
    call.diagnostic = nullptr;
    if (work.kernel != Kernel::kTwoShotSends) return group.Launch(call, work);
    CollectiveCall sends = call;
    sends.options = 0;
    group.Launch(sends, work);
    Work norm = work;
    norm.kernel = Kernel::kTwoShotNorm;
    group.Launch(call, norm);
  });
  ExpectExact(tensors, work);
}

INSTANTIATE_TEST_SUITE_P(Routes, Late, testing::ValuesIn(kRoutes),
                         [](const auto& param) { return NameOf(param.param); });

}  // namespace
}  // namespace lamplight::kernels
