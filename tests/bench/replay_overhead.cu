// What a graph replay costs: host time of the launch call and device throughput, for graphs of N
// nodes.
//
// Knows nothing of the shim: run it with and without LD_PRELOAD (replay_overhead.py does, in turn)
// and compare. Two nodes of every graph are stand-ins that carry a Lamport kernel's name and
// parameters and only move its flag words on, so that the shim takes the graph for what it would be
// in a server.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

struct __align__(2) __nv_bfloat16;

namespace flashinfer::trtllm_mnnvl_allreduce {

// Same name and parameters as FlashInfer 0.6.0–0.6.11, comm/trtllm_mnnvl_allreduce.cuh; waits for
// no one.
template <uint8_t WorldSize, typename T, bool RMSNormFusion, typename PackedType>
__global__ void oneshotAllreduceFusionKernel(T*, T*, T const*, T const*, T const*, T**, T*, int,
                                             int, float, int, uint32_t* flags) {
  const uint32_t index = flags[0];
  flags[1] = index;
  flags[0] = (index + 1) % 3;
}

}  // namespace flashinfer::trtllm_mnnvl_allreduce

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kReplays = 2000;
constexpr int kRounds = 9;

void Check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", call, cudaGetErrorString(status));
  std::exit(2);
}
#define CHECK(call) Check(call, #call)

__global__ void Work(float* values, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) values[i] = values[i] * 1.0001f + 1.0f;
}

struct Buffers {
  float* values;
  void** peers;
  uint32_t* flags;
};

void LaunchWork(const Buffers& buffers, bool pdl, cudaStream_t stream) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = 64;
  config.blockDim = 256;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = pdl ? 1 : 0;
  CHECK(cudaLaunchKernelEx(&config, Work, buffers.values, 1 << 14));
}

void LaunchCollective(const Buffers& buffers, cudaStream_t stream) {
  using T = __nv_bfloat16;
  auto* kernel =
      flashinfer::trtllm_mnnvl_allreduce::oneshotAllreduceFusionKernel<2, T, true, float4>;
  auto* data = reinterpret_cast<T*>(buffers.values);
  kernel<<<1, 1, 0, stream>>>(data, data, data, data, data, reinterpret_cast<T**>(buffers.peers),
                              data, 8, 2880, 1e-5f, 0, buffers.flags);
  CHECK(cudaGetLastError());
}

cudaGraphExec_t Capture(const Buffers& buffers, int nodes, bool pdl, cudaStream_t stream) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < nodes; ++i) {
    const bool collective = i == nodes / 2 || i == nodes - 2;
    if (collective) LaunchCollective(buffers, stream);
    if (!collective) LaunchWork(buffers, pdl, stream);
  }
  CHECK(cudaStreamEndCapture(stream, &graph));
  CHECK(cudaGraphInstantiate(&exec, graph, 0));
  CHECK(cudaGraphDestroy(graph));
  return exec;
}

struct Cost {
  double host_ns;    // median of single launch calls, the device idle at each
  double replay_us;  // wall time per replay, back to back
};

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

double HostNs(cudaGraphExec_t exec, cudaStream_t stream) {
  std::vector<double> samples;
  for (int i = 0; i < kReplays; ++i) {
    const auto begin = Clock::now();
    CHECK(cudaGraphLaunch(exec, stream));
    samples.push_back(std::chrono::duration<double, std::nano>(Clock::now() - begin).count());
    CHECK(cudaStreamSynchronize(stream));
  }
  return Median(samples);
}

double ReplayUs(cudaGraphExec_t exec, cudaStream_t stream) {
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = Clock::now();
    for (int i = 0; i < kReplays / 10; ++i) CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaStreamSynchronize(stream));
    rounds.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count() /
                     (kReplays / 10));
  }
  return Median(rounds);
}

}  // namespace

int main() {
  Buffers buffers{};
  CHECK(cudaMalloc(&buffers.values, sizeof(float) << 20));
  CHECK(cudaMemset(buffers.values, 0, sizeof(float) << 20));
  CHECK(cudaMalloc(&buffers.peers, 64));
  CHECK(cudaMemset(buffers.peers, 0, 64));
  CHECK(cudaMalloc(&buffers.flags, 64));
  const uint32_t initial[9] = {0, 2, 1 << 20, 0, 0, 0, 0, 0, 0};
  CHECK(cudaMemcpy(buffers.flags, initial, sizeof(initial), cudaMemcpyHostToDevice));
  cudaStream_t stream = nullptr;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  for (const bool pdl : {false, true}) {
    for (const int nodes : {16, 64, 256}) {
      const cudaGraphExec_t exec = Capture(buffers, nodes, pdl, stream);
      for (int i = 0; i < 20; ++i) CHECK(cudaGraphLaunch(exec, stream));
      CHECK(cudaStreamSynchronize(stream));
      const Cost cost{HostNs(exec, stream), ReplayUs(exec, stream)};
      std::printf("{\"nodes\": %d, \"pdl\": %d, \"host_ns\": %.0f, \"replay_us\": %.3f}\n", nodes,
                  pdl, cost.host_ns, cost.replay_us);
      CHECK(cudaGraphExecDestroy(exec));
    }
  }
  return 0;
}
