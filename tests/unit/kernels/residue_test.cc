// Arrivals that something else left in the word that clusters count in: reported, and neither this
// call nor the next ones are harmed.
#include <gtest/gtest.h>

#include "kernels/trouble_reader.h"
#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/quiet.h"
#include "tests/unit/kernels/reference.h"
#include "tests/unit/kernels/routes.h"
#include "tests/unit/kernels/troubles.h"

namespace lamplight::kernels {
namespace {

class Residue : public testing::TestWithParam<Route> {
 protected:
  Work WorkOf(uint32_t tokens) const {
    return {.kernel = GetParam().kernel, .tokens = tokens, .hidden = 64};
  }
  uint32_t ArrivalsWord() const {
    if (IsUnicast(GetParam().protocol)) return protocol::kUnicastArrivals;
    return protocol::kArrivals;
  }
  // The group's `number`-th call, from 1 on: right, and the workspace is armed for what comes.
  static void Call(RankGroup* group, const Work& work, uint32_t number) {
    std::vector<Tensors> tensors = RandomTensors(group->shape().world, work, number);
    group->DoAll(work, tensors);
    ExpectExact(tensors, work);
    ExpectQuiet(*group, number, work);
  }
};

TEST_P(Residue, IsReportedAndHealed) {
  for (const uint32_t tokens : {2u, 7u}) {
    for (const uint32_t left : {1u, tokens, tokens + 1, 40000u, 0xffffu}) {
      SCOPED_TRACE(std::to_string(left) + " left, tokens " + std::to_string(tokens));
      RankGroup group(ShapeFor(GetParam(), 2, WorkOf(tokens)));
      group.deadline = std::chrono::seconds(10);
      group.state(1)[ArrivalsWord()] = left;
      Call(&group, WorkOf(tokens), 1);
      ASSERT_FALSE(HasFatalFailure());
      EXPECT_EQ(group.diagnostic(0).trouble, 0u);
      const Diagnostic found = ReadTrouble(group.diagnostic(1));
      EXPECT_EQ(found.trouble, CodeOf(Trouble::kArrivalResidue));
      EXPECT_EQ(found.arrivals, left);
      EXPECT_EQ(found.rank, 1u);
      EXPECT_EQ(found.tokens, tokens);
      ForgetTrouble(group.diagnostic(1));
      for (uint32_t call = 2; call < 5; ++call) Call(&group, WorkOf(1 + call % tokens), call);
      EXPECT_EQ(group.diagnostic(1).trouble, 0u);
    }
  }
}

// Each call finds what was left before it, and no more.
TEST_P(Residue, OfEveryCallIsReportedByItself) {
  RankGroup group(ShapeFor(GetParam(), 2, WorkOf(5)));
  for (uint32_t call = 1; call < 6; ++call) {
    group.state(0)[ArrivalsWord()] = call;
    Call(&group, WorkOf(5), call);
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_EQ(ReadTrouble(group.diagnostic(0)).arrivals, call);
    ForgetTrouble(group.diagnostic(0));
  }
}

// As two calls of ours leave it that ran at the same time, with more tokens than this one.
TEST_P(Residue, InBothHalvesIsReported) {
  RankGroup group(ShapeFor(GetParam(), 2, WorkOf(3)));
  group.state(1)[ArrivalsWord()] = 5 * protocol::kArrivalStep;
  std::vector<Tensors> tensors = RandomTensors(2, WorkOf(3), 1);
  group.DoAll(WorkOf(3), tensors);
  ExpectExact(tensors, WorkOf(3));
  const Diagnostic found = ReadTrouble(group.diagnostic(1));
  EXPECT_EQ(found.trouble, CodeOf(Trouble::kArrivalResidue));
  EXPECT_GE(found.arrivals, 3u);
}

// Without a place to report to, it is healed all the same.
TEST_P(Residue, NeedsNoDiagnostic) {
  RankGroup group(ShapeFor(GetParam(), 2, WorkOf(3)));
  group.state(0)[ArrivalsWord()] = 2;
  std::vector<Tensors> tensors = RandomTensors(2, WorkOf(3), 1);
  if (GetParam().kernel == Kernel::kTwoShotSends) GTEST_SKIP() << "two calls";
  group.Together([&](uint32_t rank) {
    CollectiveCall call = group.CallOf(rank, WorkOf(3), tensors[rank]);
    call.diagnostic = nullptr;
    group.Launch(call, WorkOf(3));
  });
  ExpectExact(tensors, WorkOf(3));
  ExpectQuiet(group, 1, WorkOf(3));
}

// A cluster alone does not count.
TEST_P(Residue, IsHealedByOneClusterAlone) {
  RankGroup group(ShapeFor(GetParam(), 2, WorkOf(1)));
  group.state(1)[ArrivalsWord()] = 3;
  Call(&group, WorkOf(1), 1);
  EXPECT_EQ(group.diagnostic(1).trouble, 0u);
}

// The epoch protocol adds up shares of calls, which is right whatever was there.
INSTANTIATE_TEST_SUITE_P(Routes, Residue, testing::ValuesIn(kRoutes, kRoutes + 4),
                         [](const auto& param) { return NameOf(param.param); });

INSTANTIATE_TEST_SUITE_P(RoutesInWords, Residue,
                         testing::ValuesIn(kUnicastRoutes + 1, kUnicastRoutes + 3),
                         [](const auto& param) { return NameOf(param.param); });

class UnicastResidue : public testing::TestWithParam<Route> {};

// The field's two-shot counts in the same word and keeps its flag in the next one.
TEST_P(UnicastResidue, LeavesTheFlagOfTheTwoShotAlone) {
  const Work work{.tokens = 3, .hidden = 64};
  RankGroup group(ShapeFor(GetParam(), 2, work));
  group.state(0)[protocol::kUnicastSyncFlag] = 0xffffffffu;
  group.state(0)[protocol::kUnicastArrivals] = 1;
  std::vector<Tensors> tensors = RandomTensors(2, work, 1);
  group.DoAll(work, tensors);
  ExpectExact(tensors, work);
  EXPECT_EQ(group.state(0)[protocol::kUnicastSyncFlag], 0xffffffffu);
  EXPECT_EQ(group.state(0)[protocol::kUnicastArrivals], 0u);
  EXPECT_EQ(group.state(0)[protocol::kUnicastIndex], 1u);
  EXPECT_EQ(ReadTrouble(group.diagnostic(0)).arrivals, 1u);
}

INSTANTIATE_TEST_SUITE_P(Routes, UnicastResidue, testing::ValuesIn(kUnicastRoutes),
                         [](const auto& param) { return NameOf(param.param); });

}  // namespace
}  // namespace lamplight::kernels
