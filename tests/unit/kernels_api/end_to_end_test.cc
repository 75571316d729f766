// The library as an engine links it, with its own kernels, on the simulated device: ranks as
// threads of one process, eager calls and replayed graphs, late and diverging ranks.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "seat.h"

namespace lamplight::kernels::test {
namespace {

using Options = lamplight_workspace_options;

constexpr uint32_t kPatterns[] = {LAMPLIGHT_PATTERN_ALL_REDUCE, LAMPLIGHT_PATTERN_RESIDUAL_RMSNORM,
                                  LAMPLIGHT_PATTERN_RMSNORM};

class EndToEnd : public testing::TestWithParam<std::tuple<uint32_t, lamplight_protocol>> {
 protected:
  static Ranks::Change Change() {
    return [](Options* options) {
      options->protocol = std::get<1>(GetParam());
      options->max_tokens = kTokens + 1;
      options->max_hidden = kHidden;
      options->algorithm = LAMPLIGHT_ALGORITHM_ONE_SHOT;
    };
  }
};

TEST_P(EndToEnd, EagerCallsOfAllKindsInTurn) {
  const Ranks ranks(std::get<0>(GetParam()), Change());
  ASSERT_EQ(LAMPLIGHT_OK, ranks[0].status) << ranks[0].error;
  OnEachRank(ranks, [&](uint32_t rank) {
    Seat seat(ranks, rank);
    for (const uint32_t algorithm : {1u, 2u, 0u}) {
      for (const uint32_t pattern : kPatterns) {
        const lamplight_call call = seat.Call(pattern, algorithm);
        seat.Launch(call);
        seat.Wait();
        seat.ExpectResults(call);
      }
    }
  });
  ExpectNoTrouble(ranks);
}

TEST_P(EndToEnd, ReplaysMixedWithEagerCalls) {
  const Ranks ranks(std::get<0>(GetParam()), Change());
  ASSERT_EQ(LAMPLIGHT_OK, ranks[0].status) << ranks[0].error;
  OnEachRank(ranks, [&](uint32_t rank) {
    Seat seat(ranks, rank);
    const lamplight_call call = seat.Call(LAMPLIGHT_PATTERN_RESIDUAL_RMSNORM, 0);
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    EXPECT_EQ(cudaSuccess, cudaStreamBeginCapture(seat.stream(), cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < 4; ++i) seat.Launch(call);
    EXPECT_EQ(cudaSuccess, cudaStreamEndCapture(seat.stream(), &graph));
    EXPECT_EQ(cudaSuccess, cudaGraphInstantiate(&exec, graph, 0));
    for (uint32_t replay = 0; replay < 32 / ranks.size(); ++replay) {
      EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, seat.stream()));
      if (replay % 3 == 0) seat.Launch(call);
      seat.Wait();
      seat.ExpectResults(call);
    }
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
  });
  ExpectNoTrouble(ranks);
}

INSTANTIATE_TEST_SUITE_P(All, EndToEnd,
                         testing::Combine(testing::Values(2u, 4u, 16u),
                                          testing::Values(LAMPLIGHT_PROTOCOL_EPOCH,
                                                          LAMPLIGHT_PROTOCOL_MNNVL)));

// A rank that comes late is reported, waited for, and then the results are right.
TEST(EndToEndTrouble, ALateRankIsNamedAndWaitedFor) {
  const Ranks ranks(2, [](Options* options) { options->timeout_ms = 20; });
  Seat first(ranks, 0);
  const lamplight_call call = first.Call(LAMPLIGHT_PATTERN_ALL_REDUCE, 1);
  first.Launch(call);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (TroubleOf(ranks, 0).kind == 0 && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const lamplight_trouble trouble = TroubleOf(ranks, 0);
  EXPECT_EQ(static_cast<uint32_t>(LAMPLIGHT_TROUBLE_TIMEOUT), trouble.kind);
  EXPECT_EQ(0u, trouble.rank);
  EXPECT_EQ(1u, trouble.peer);
  EXPECT_LT(trouble.token, kTokens);
  EXPECT_EQ(kTokens, trouble.tokens);
  EXPECT_EQ(kHidden, trouble.hidden);
  EXPECT_GE(trouble.waited_ns, 20'000'000u);
  Seat second(ranks, 1);
  second.Launch(second.Call(LAMPLIGHT_PATTERN_ALL_REDUCE, 1));
  first.Wait();
  second.Wait();
  first.ExpectResults(call);
  EXPECT_EQ(0u, TroubleOf(ranks, 1).kind);
}

// Nobody spins for ever on data that will not come.
TEST(EndToEndTrouble, DivergingRanksAreNamedAndGetNoWrongNumbers) {
  const Ranks ranks(2, [](Options* options) { options->algorithm = 1; });
  OnEachRank(ranks, [&](uint32_t rank) {
    Seat seat(ranks, rank);
    lamplight_call call = seat.Call(LAMPLIGHT_PATTERN_ALL_REDUCE, 1);
    call.tokens += rank;
    seat.Launch(call);
    seat.Wait();
    // What rank 1 alone has can be no sum.
    if (rank == 1) {
      EXPECT_TRUE(std::isnan(seat.Take(1)[kTokens * kHidden]));
    }
  });
  const lamplight_trouble trouble = TroubleOf(ranks, 1);
  EXPECT_EQ(static_cast<uint32_t>(LAMPLIGHT_TROUBLE_DIVERGENCE), trouble.kind);
  EXPECT_EQ(0u, trouble.peer);
  EXPECT_EQ(kTokens + 1, trouble.tokens);
  EXPECT_EQ(kTokens, trouble.peer_tokens);
}

}  // namespace
}  // namespace lamplight::kernels::test
