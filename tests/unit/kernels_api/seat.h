// One rank's tensors and calls, of small integers whose sums are exact in fp32, and what must come
// out. The arithmetic itself is tested in tests/unit/kernels.
//
// A Seat belongs to one thread.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>
#include <vector>

#include "ranks.h"

namespace lamplight::kernels::test {

inline constexpr uint32_t kTokens = 5;
inline constexpr uint32_t kHidden = 520;
inline constexpr size_t kElements = (kTokens + 1) * kHidden;
inline constexpr float kTolerance = 1e-5f;

inline float Addend(uint32_t rank, size_t i) {
  return static_cast<float>(rank + 1) * static_cast<float>(i % 13);
}
inline float Sum(uint32_t world, size_t i) {
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

inline lamplight_trouble TroubleOf(const Ranks& ranks, uint32_t rank) {
  lamplight_trouble trouble{};
  trouble.struct_size = sizeof trouble;
  EXPECT_EQ(LAMPLIGHT_OK, lamplight_workspace_query(ranks.workspace(rank), &trouble));
  return trouble;
}

inline void ExpectNoTrouble(const Ranks& ranks) {
  for (uint32_t rank = 0; rank < ranks.size(); ++rank) {
    EXPECT_EQ(0u, TroubleOf(ranks, rank).kind);
  }
}

}  // namespace lamplight::kernels::test
