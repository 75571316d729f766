// One rank of a pair in one process: a workspace, a stream, and one-shot calls on it.
//
// The kernel carries the name and parameters of FlashInfer's era C one-shot kernel, which the
// simulated device executes; its body here is empty, so a GPU is no place for these hosts. A Rank
// is one thread's.
#pragma once

#include <cuda_runtime.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

struct __align__(2) __nv_bfloat16;

namespace flashinfer::trtllm_mnnvl_allreduce {

template <uint8_t WorldSize, typename T, bool RMSNormFusion, typename PackedType>
__global__ void oneshotAllreduceFusionKernel(T*, T*, T const*, T const*, T const*, T**, T*, int,
                                             int, float, int, uint32_t*) {}

}  // namespace flashinfer::trtllm_mnnvl_allreduce

namespace {

using T = __nv_bfloat16;
constexpr int kDim = 64;
constexpr int kMaxTokens = 8;
constexpr int kMaxCalls = 9;
constexpr uint32_t kBufferBytes = 1 << 14;
constexpr uint32_t kSentinel = 0x80000000u;

std::atomic<bool> ending{false};  // the process ends: what fails from then on does not matter

void Check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  while (ending) pause();
  std::fprintf(stderr, "%s: %s\n", call, cudaGetErrorString(status));
  std::exit(2);
}
#define CHECK(call) Check(call, #call)

template <class Value>
Value* Upload(const std::vector<Value>& values) {
  void* memory = nullptr;
  CHECK(cudaMalloc(&memory, values.size() * sizeof(Value)));
  CHECK(cudaMemcpy(memory, values.data(), values.size() * sizeof(Value), cudaMemcpyHostToDevice));
  return static_cast<Value*>(memory);
}

struct Rank {
  int rank;
  cudaStream_t stream = nullptr;
  uint32_t* buffer = nullptr;
  uint32_t* flags = nullptr;
  T** peers = nullptr;
  T* output = nullptr;
  T* gamma = nullptr;
  std::vector<T*> shards;

  explicit Rank(int own) : rank(own) {
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    buffer = Upload(std::vector<uint32_t>(3 * kBufferBytes / 4, kSentinel));
    flags = Upload(std::vector<uint32_t>{0, 2, kBufferBytes, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    output = Values(1);
    gamma = Values(2);
    for (int call = 0; call < kMaxCalls; ++call) shards.push_back(Values(3 + call));
  }

  // Positive bf16 numbers around 1, others for every seed.
  T* Values(int seed) const {
    std::vector<uint16_t> values(kMaxTokens * kDim);
    uint32_t state = seed * 977 + rank * 31 + 1;
    for (uint16_t& value : values) {
      state = state * 1664525u + 1013904223u;
      value = static_cast<uint16_t>(0x3f00 + (state >> 24));
    }
    return reinterpret_cast<T*>(Upload(values));
  }

  void Run(int call, int tokens) {
    T* shard = shards[call];
    T* none = nullptr;
    int dim = kDim;
    float epsilon = 1e-5f;
    void* arguments[] = {&output, &output, &shard, &output,  &gamma, &peers,
                         &none,   &tokens, &dim,   &epsilon, &rank,  &flags};
    auto* kernel =
        flashinfer::trtllm_mnnvl_allreduce::oneshotAllreduceFusionKernel<2, T, true, float4>;
    CHECK(cudaLaunchKernel(reinterpret_cast<void*>(kernel), dim3(tokens), dim3(32), arguments, 0,
                           stream));
  }

  // One call for each entry of `tokens`.
  cudaGraphExec_t Capture(const std::vector<int>& tokens) {
    cudaGraphExec_t exec = nullptr;
    CHECK(cudaGraphInstantiate(&exec, Record(tokens), 0));
    return exec;
  }
  cudaGraph_t Record(const std::vector<int>& tokens) {
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (size_t call = 0; call < tokens.size(); ++call) Run(static_cast<int>(call), tokens[call]);
    CHECK(cudaStreamEndCapture(stream, &graph));
    return graph;
  }
};

}  // namespace
