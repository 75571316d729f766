// The library as an engine links it, with its own kernels, on the simulated device: ranks as
// threads of one process, eager calls and replayed graphs, late and diverging ranks. The arithmetic
// is tested in tests/unit/kernels; here are small integers, whose sums are exact in fp32.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "ranks.h"

namespace lamplight::kernels::test {
namespace {

using Options = lamplight_workspace_options;

constexpr uint32_t kTokens = 5;
constexpr uint32_t kHidden = 520;
constexpr size_t kElements = (kTokens + 1) * kHidden;
constexpr float kTolerance = 1e-5f;

float Addend(uint32_t rank, size_t i) {
  return static_cast<float>(rank + 1) * static_cast<float>(i % 13);
}
float Sum(uint32_t world, size_t i) {
  return static_cast<float>(world * (world + 1) / 2) * static_cast<float>(i % 13);
}

// A rank's tensors and stream; its thread uses it.
class Seat {
 public:
  Seat(const Ranks& ranks, uint32_t rank)
      : workspace_(ranks.workspace(rank)), world_(static_cast<uint32_t>(ranks.size())) {
    EXPECT_EQ(cudaSuccess, cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    for (float*& tensor : tensors_) {
      EXPECT_EQ(cudaSuccess, cudaMalloc(reinterpret_cast<void**>(&tensor), kElements * 4));
    }
    std::vector<float> input(kElements);
    for (size_t i = 0; i < kElements; ++i) input[i] = Addend(rank, i);
    Set(0, input);
    Set(2, std::vector<float>(kElements, 1.0f));
    Set(4, std::vector<float>(kElements, 0.5f));
  }
  ~Seat() {
    for (float* tensor : tensors_) cudaFree(tensor);
    cudaStreamDestroy(stream_);
  }
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

  lamplight_call Call(uint32_t pattern, uint32_t algorithm) const {
    lamplight_call call = LAMPLIGHT_CALL_INIT;
    call.pattern = pattern;
    call.algorithm = algorithm;
    call.input = tensors_[0];
    call.output = tensors_[1];
    call.tokens = kTokens;
    call.hidden = kHidden;
    call.dtype = LAMPLIGHT_FP32;
    call.pdl = 1;
    if (pattern == LAMPLIGHT_PATTERN_ALL_REDUCE) return call;
    if (pattern == LAMPLIGHT_PATTERN_RESIDUAL_RMSNORM) call.residual_in = tensors_[2];
    call.residual_out = tensors_[3];
    call.gamma = tensors_[4];
    call.weight_bias = 1.0f;
    return call;
  }

  void Launch(const lamplight_call& call) {
    EXPECT_EQ(LAMPLIGHT_OK, lamplight_all_reduce(workspace_, &call, stream_)) << LastError();
  }
  void Wait() { EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_)); }

  // Compares with the definition in the header, and wipes the outputs.
  void ExpectResults(const lamplight_call& call) {
    const bool norms = call.pattern != LAMPLIGHT_PATTERN_ALL_REDUCE;
    const float residual = call.residual_in != nullptr ? 1.0f : 0.0f;
    const std::vector<float> output = Take(1);
    const std::vector<float> residual_out = Take(3);
    for (uint32_t token = 0; token < kTokens; ++token) {
      double squares = 0;
      for (uint32_t h = 0; h < kHidden; ++h) {
        squares += std::pow(Sum(world_, token * kHidden + h) + residual, 2.0);
      }
      const double scale = norms ? 1.5 / std::sqrt(squares / kHidden) : 1.0;
      for (uint32_t h = 0; h < kHidden; ++h) {
        const size_t i = token * kHidden + h;
        const float sum = Sum(world_, i) + residual;
        ASSERT_NEAR(sum * scale, output[i], kTolerance * sum) << "token " << token << ", " << h;
        if (norms) {
          ASSERT_EQ(sum, residual_out[i]);
        }
      }
    }
  }

  std::vector<float> Take(size_t index) {
    std::vector<float> values(kElements);
    EXPECT_EQ(cudaSuccess,
              cudaMemcpy(values.data(), tensors_[index], kElements * 4, cudaMemcpyDeviceToHost));
    EXPECT_EQ(cudaSuccess, cudaMemset(tensors_[index], 0xff, kElements * 4));
    return values;
  }
  cudaStream_t stream() const { return stream_; }

 private:
  void Set(size_t index, const std::vector<float>& values) {
    EXPECT_EQ(cudaSuccess,
              cudaMemcpy(tensors_[index], values.data(), kElements * 4, cudaMemcpyHostToDevice));
  }

  lamplight_workspace* workspace_;
  uint32_t world_;
  cudaStream_t stream_ = nullptr;
  float* tensors_[5] = {};
};

template <class Body>
void OnEachRank(const Ranks& ranks, Body body) {
  std::vector<std::thread> threads;
  for (uint32_t rank = 0; rank < ranks.size(); ++rank) threads.emplace_back(body, rank);
  for (std::thread& thread : threads) thread.join();
}

lamplight_trouble TroubleOf(const Ranks& ranks, uint32_t rank) {
  lamplight_trouble trouble{};
  trouble.struct_size = sizeof trouble;
  EXPECT_EQ(LAMPLIGHT_OK, lamplight_workspace_query(ranks.workspace(rank), &trouble));
  return trouble;
}

void ExpectNoTrouble(const Ranks& ranks) {
  for (uint32_t rank = 0; rank < ranks.size(); ++rank) {
    EXPECT_EQ(0u, TroubleOf(ranks, rank).kind);
  }
}

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
