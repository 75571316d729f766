// A host with two ranks in one process: what it launches, and where that hangs, is known exactly.
//
// usage: collective_host MODE SECONDS
#include <cuda.h>
#include <cuda_runtime.h>
#include <dlfcn.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "rank.cuh"

namespace {

void Stall(void*) {
  for (;;) pause();
}

void BeLate(void*) { std::this_thread::sleep_for(std::chrono::milliseconds(2500)); }

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

// 1.5 s of work, of which none is done while the process is stopped. Sleeps, as a busy machine puts
// those off least of all.
void Work(void*) {
  for (int step = 0; step < 150; ++step) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void BeStopped(Rank* ranks) {
  CHECK(cudaLaunchHostFunc(ranks[1].stream, Work, nullptr));
  ReplayWithoutWaiting(ranks);
  for (int rank = 0; rank < 2; ++rank) CHECK(cudaStreamSynchronize(ranks[rank].stream));
}

// The context goes, with all that was ours in it, before anybody has asked for the replays.
void DestroyTheContext(Rank* ranks) {
  ReplayWithoutWaiting(ranks);
  for (int rank = 0; rank < 2; ++rank) CHECK(cudaStreamSynchronize(ranks[rank].stream));
  auto* driver = dlopen("libcuda.so.1", RTLD_LAZY);
  auto* current = reinterpret_cast<CUresult (*)(CUcontext*)>(dlsym(driver, "cuCtxGetCurrent"));
  auto* destroy = reinterpret_cast<CUresult (*)(CUcontext)>(dlsym(driver, "cuCtxDestroy_v2"));
  CUcontext context = nullptr;
  if (current(&context) != CUDA_SUCCESS || destroy(context) != CUDA_SUCCESS) std::exit(2);
}

// Behind a kernel that spins, for long enough that the simulated device knows it: what is set up
// for the new context, ours too, stands still for ever.
void MakeAContextTooLate(Rank* ranks) {
  ranks[0].Run(0, kMaxTokens);
  std::thread([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    LeaveThePrimaryContext();
    cudaStream_t stream = nullptr;
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  }).detach();
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
  if (mode == "apart" || mode == "destroyed") LeaveThePrimaryContext();
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
  if (mode == "eager-stopped") HoldUpAnEagerCall(ranks, Work);
  if (mode == "stopped") BeStopped(ranks);
  if (mode == "destroyed") DestroyTheContext(ranks);
  if (mode == "late-context") MakeAContextTooLate(ranks);
  if (mode == "apart") ReplayFromThePrimaryContext(ranks);
  std::this_thread::sleep_for(std::chrono::duration<double>(std::atof(argv[2])));
  std::puts("done");
  std::fflush(stdout);
  if (mode != "no-sync" && mode != "apart") _exit(0);  // kernels still spin
  return 0;
}
