// Can a store to another GPU overtake a store of the kernel in front of it? Pairs of kernels on GPU
// 0: the first stores a row of data into GPU 1's memory, the second a flag. A kernel on GPU 1 polls
// the flags, and looks for the row behind each. As nodes of a graph, and as launches into a stream.
//
// nvcc -arch=sm_90 -O3 -std=c++20 -o store_order store_order.cu && timeout -s KILL 60 ./store_order
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#define CHECK(call)                                         \
  do {                                                      \
    const cudaError_t code = (call);                        \
    if (code == cudaSuccess) break;                         \
    std::printf("%s: %s\n", #call, cudaGetErrorName(code)); \
    std::exit(1);                                           \
  } while (false)

constexpr int kPairs = 64;  // of a graph
constexpr int kRuns = 300;
constexpr size_t kRows = 4 << 20;  // offset of the rows behind the flags
constexpr size_t kRowBytes = 512;
constexpr unsigned kNumbersOfRun = 1000;
constexpr unsigned long long kPatienceNs = 3'000'000'000;

struct Found {
  unsigned late;
  unsigned most_looks;
  unsigned long long most_ns;
};

__device__ unsigned long long Now() {
  unsigned long long now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}
__device__ void Put(char* at, unsigned value) {
  asm volatile("st.volatile.global.v4.u32 [%0], {%1, %1, %1, %1};" ::"l"(at), "r"(value)
               : "memory");
}
__device__ unsigned Look(const char* at) {
  uint4 seen;
  asm volatile("ld.volatile.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(seen.x), "=r"(seen.y), "=r"(seen.z), "=r"(seen.w)
               : "l"(at)
               : "memory");
  return seen.x;
}

__global__ void PutRow(char* peer, const unsigned* run, int pair) {
  Put(peer + kRows + pair * kRowBytes + threadIdx.x * 16, *run + pair);
}
__global__ void PutFlag(char* peer, const unsigned* run, int pair) {
  Put(peer + pair * 16, *run + pair);
}
__global__ void NextRun(unsigned* run) { *run += kNumbersOfRun; }

// One warp.
__global__ void Watch(const char* own, unsigned run, Found* found) {
  const unsigned long long end = Now() + kPatienceNs;
  for (int pair = 0; pair < kPairs; ++pair) {
    while (Look(own + pair * 16) != run + pair && Now() < end) {
    }
    const unsigned long long flag = Now();
    unsigned looks = 0;
    const char* row = own + kRows + pair * kRowBytes + threadIdx.x * 16;
    while (!__all_sync(0xffffffffu, Look(row) == run + pair) && Now() < end) ++looks;
    if (threadIdx.x != 0 || looks == 0) continue;
    ++found->late;
    found->most_looks = max(found->most_looks, looks);
    found->most_ns = max(found->most_ns, Now() - flag);
  }
}

int main() {
  setenv("CUDA_MODULE_LOADING", "EAGER", 1);
  char* memory = nullptr;
  Found* found = nullptr;
  unsigned* run = nullptr;
  cudaStream_t sends = nullptr, watches = nullptr;
  CHECK(cudaSetDevice(1));
  CHECK(cudaMalloc(&memory, 2 * kRows));
  CHECK(cudaMemset(memory, 0, 2 * kRows));
  CHECK(cudaMalloc(&found, sizeof *found));
  CHECK(cudaStreamCreateWithFlags(&watches, cudaStreamNonBlocking));
  CHECK(cudaDeviceSynchronize());
  CHECK(cudaSetDevice(0));
  CHECK(cudaDeviceEnablePeerAccess(1, 0));
  CHECK(cudaMalloc(&run, sizeof *run));
  CHECK(cudaMemset(run, 0, sizeof *run));
  CHECK(cudaStreamCreateWithFlags(&sends, cudaStreamNonBlocking));
  CHECK(cudaDeviceSynchronize());
  const auto launch = [&] {
    for (int pair = 0; pair < kPairs; ++pair) {
      PutRow<<<1, 32, 0, sends>>>(memory, run, pair);
      PutFlag<<<1, 1, 0, sends>>>(memory, run, pair);
    }
  };
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  CHECK(cudaStreamBeginCapture(sends, cudaStreamCaptureModeThreadLocal));
  launch();
  CHECK(cudaStreamEndCapture(sends, &graph));
  CHECK(cudaGraphInstantiate(&exec, graph, 0));
  unsigned number = 0;
  for (const bool in_graph : {true, false}) {
    CHECK(cudaSetDevice(1));
    CHECK(cudaMemset(found, 0, sizeof *found));
    for (int i = 0; i < kRuns; ++i) {
      number += kNumbersOfRun;
      CHECK(cudaSetDevice(0));
      NextRun<<<1, 1, 0, sends>>>(run);
      CHECK(cudaSetDevice(1));
      Watch<<<1, 32, 0, watches>>>(memory, number, found);
      CHECK(cudaSetDevice(0));
      if (in_graph) {
        CHECK(cudaGraphLaunch(exec, sends));
      } else {
        launch();
      }
      CHECK(cudaStreamSynchronize(sends));
      CHECK(cudaSetDevice(1));
      CHECK(cudaStreamSynchronize(watches));
    }
    Found seen;
    CHECK(cudaMemcpy(&seen, found, sizeof seen, cudaMemcpyDeviceToHost));
    std::printf("%s: %u of %d rows came behind the flag of the next kernel, by %llu ns at most\n",
                in_graph ? "graph" : "stream", seen.late, kRuns * kPairs, seen.most_ns);
  }
}
