// Both ranks of an all-reduce in one process, on a device each. One thread launches the first half,
// which spins, and a while later the second half.
//
// usage: two_devices_host
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "lamplight/collective.h"

namespace {

constexpr uint32_t kWorld = 2, kTokens = 4, kHidden = 64;
constexpr size_t kBytes = 1 << 16;

void Check(bool well, const char* call) {
  if (well) return;
  std::fprintf(stderr, "two_devices_host: %s\n", call);
  std::_Exit(1);
}
#define CHECK(call) Check((call) == cudaSuccess, #call)
#define CHECK_OURS(call) Check((call) == LAMPLIGHT_OK, #call)

pthread_barrier_t barrier;
unsigned char board[kWorld][8192];

struct Half {
  int rank = 0;
  lamplight_workspace* workspace = nullptr;
  cudaStream_t stream = nullptr;
  void* input = nullptr;
  void* output = nullptr;

  static int AllGather(void* half, const void* send, size_t bytes, void* receive) {
    std::memcpy(board[static_cast<Half*>(half)->rank], send, bytes);
    pthread_barrier_wait(&barrier);
    for (uint32_t rank = 0; rank < kWorld; ++rank) {
      std::memcpy(static_cast<char*>(receive) + rank * bytes, board[rank], bytes);
    }
    pthread_barrier_wait(&barrier);
    return 0;
  }

  void Make() {
    CHECK(cudaSetDevice(rank));
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    lamplight_workspace_options options = LAMPLIGHT_WORKSPACE_OPTIONS_INIT;
    options.world = kWorld;
    options.rank = static_cast<uint32_t>(rank);
    options.all_gather = AllGather;
    options.all_gather_context = this;
    options.max_tokens = kTokens;
    options.max_hidden = kHidden;
    options.dtype = LAMPLIGHT_FP32;
    options.protocol = LAMPLIGHT_PROTOCOL_MNNVL;
    options.generation_bytes = kBytes;
    CHECK_OURS(lamplight_workspace_create(&options, &workspace));
    for (void** memory : {&input, &output}) {
      CHECK(cudaMalloc(memory, kBytes));
      CHECK(cudaMemset(*memory, 0, kBytes));
    }
    CHECK(cudaDeviceSynchronize());
  }

  void Launch() {
    CHECK(cudaSetDevice(rank));
    lamplight_call call = LAMPLIGHT_CALL_INIT;
    call.input = input;
    call.output = output;
    call.tokens = kTokens;
    call.hidden = kHidden;
    call.dtype = LAMPLIGHT_FP32;
    call.algorithm = LAMPLIGHT_ALGORITHM_ONE_SHOT;
    CHECK_OURS(lamplight_all_reduce(workspace, &call, stream));
  }
};

}  // namespace

int main() {
  alarm(30);
  pthread_barrier_init(&barrier, nullptr, kWorld);
  std::array<Half, kWorld> halves;
  std::array<std::thread, kWorld> threads;
  for (uint32_t rank = 0; rank < kWorld; ++rank) {
    halves[rank].rank = static_cast<int>(rank);
    threads[rank] = std::thread([&half = halves[rank]] { half.Make(); });
  }
  for (std::thread& thread : threads) thread.join();
  for (Half& half : halves) {
    half.Launch();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  for (const Half& half : halves) CHECK(cudaStreamSynchronize(half.stream));
  std::puts("done");
  std::fflush(stdout);
  std::_Exit(0);
}
