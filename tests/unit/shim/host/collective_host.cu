// A host with two ranks in one process: what it launches, and where that hangs, is known exactly.
//
// usage: collective_host MODE SECONDS
// The kernel carries the name and parameters of FlashInfer's era C one-shot kernel, which the
// simulated device executes; its body here is empty, so a GPU is no place for this program.
#include <cuda.h>
#include <cuda_runtime.h>
#include <dlfcn.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
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

void Check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", call, cudaGetErrorString(status));
  std::exit(2);
}
#define CHECK(call) Check(call, #call)

void Stall(void*) {
  for (;;) pause();
}

void BeLate(void*) { std::this_thread::sleep_for(std::chrono::milliseconds(2500)); }

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

// Rank 1 makes only the first `common` calls.
void Replay(Rank* ranks, const std::vector<int>& tokens, size_t common) {
  const cudaGraphExec_t all = ranks[0].Capture(tokens);
  const cudaGraphExec_t some = ranks[1].Capture({tokens.begin(), tokens.begin() + common});
  CHECK(cudaGraphLaunch(all, ranks[0].stream));
  CHECK(cudaGraphLaunch(some, ranks[1].stream));
}

void HoldUpAnEagerCall(Rank* ranks, cudaHostFn_t hold_up) {
  for (int rank = 0; rank < 2; ++rank) ranks[rank].Run(0, kMaxTokens);
  for (int rank = 0; rank < 2; ++rank) CHECK(cudaStreamSynchronize(ranks[rank].stream));
  CHECK(cudaLaunchHostFunc(ranks[1].stream, hold_up, nullptr));
  for (int rank = 0; rank < 2; ++rank) ranks[rank].Run(1, kMaxTokens);
}

// The calls complete; what comes behind them on the stream of rank 1 does not.
void CompleteEagerCalls(Rank* ranks) {
  for (int call = 0; call < 2; ++call) {
    for (int rank = 0; rank < 2; ++rank) ranks[rank].Run(call, kMaxTokens);
  }
  CHECK(cudaLaunchHostFunc(ranks[1].stream, Stall, nullptr));
}

void ReplayWithoutWaiting(Rank* ranks) {
  const std::vector<int> tokens(3, kMaxTokens);
  const cudaGraphExec_t execs[] = {ranks[0].Capture(tokens), ranks[1].Capture(tokens)};
  for (int i = 0; i < 20; ++i) {
    for (int rank = 0; rank < 2; ++rank) CHECK(cudaGraphLaunch(execs[rank], ranks[rank].stream));
  }
}

// An ordinary context, with memory of its own, current from here on. The runtime makes none.
void LeaveThePrimaryContext() {
  CHECK(cudaFree(nullptr));
  auto* create = reinterpret_cast<CUresult (*)(CUcontext*, unsigned, CUdevice)>(
      dlsym(dlopen("libcuda.so.1", RTLD_LAZY), "cuCtxCreate_v2"));
  CUcontext context = nullptr;
  if (create == nullptr || create(&context, 0, 0) != CUDA_SUCCESS) std::exit(2);
}

// Graphs of another context than the one that they are instantiated from.
void ReplayFromThePrimaryContext(Rank* ranks) {
  const std::vector<int> tokens(3, kMaxTokens);
  const cudaGraph_t graphs[] = {ranks[0].Record(tokens), ranks[1].Record(tokens)};
  CHECK(cudaSetDevice(0));
  cudaGraphExec_t execs[2] = {};
  for (int rank = 0; rank < 2; ++rank) CHECK(cudaGraphInstantiate(&execs[rank], graphs[rank], 0));
  for (int i = 0; i < 5; ++i) {
    for (int rank = 0; rank < 2; ++rank) CHECK(cudaGraphLaunch(execs[rank], ranks[rank].stream));
  }
  for (int rank = 0; rank < 2; ++rank) CHECK(cudaStreamSynchronize(ranks[rank].stream));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  const std::string mode = argv[1];
  if (mode == "apart") LeaveThePrimaryContext();
  Rank ranks[] = {Rank(0), Rank(1)};
  const std::vector<T*> locals{reinterpret_cast<T*>(ranks[0].buffer),
                               reinterpret_cast<T*>(ranks[1].buffer)};
  for (Rank& rank : ranks) rank.peers = Upload(locals);
  if (mode == "nodes") Replay(ranks, std::vector<int>(9, kMaxTokens), 7);
  if (mode == "sizes") Replay(ranks, {8, 8, 8, 8, 2, 8, 8, 8, 8}, 4);
  if (mode == "eager-stall") HoldUpAnEagerCall(ranks, Stall);
  if (mode == "eager-late") HoldUpAnEagerCall(ranks, BeLate);
  if (mode == "eager-quiet") CompleteEagerCalls(ranks);
  if (mode == "no-sync") ReplayWithoutWaiting(ranks);
  if (mode == "apart") ReplayFromThePrimaryContext(ranks);
  std::this_thread::sleep_for(std::chrono::duration<double>(std::atof(argv[2])));
  std::puts("done");
  std::fflush(stdout);
  if (mode != "no-sync" && mode != "apart") _exit(0);  // kernels still spin
  return 0;
}
