// A second process for process_test.cc. Prints what it saw on stdout; exit 0 unless the mode says
// else.
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>

#include "test_kernels.h"
#include "tests/device_sim/kernel_launch.h"

namespace device_sim_test {
namespace {

cudaIpcMemHandle_t ParseHandle(const char* hex) {
  cudaIpcMemHandle_t handle;
  for (size_t i = 0; i < sizeof handle.reserved; ++i) {
    unsigned byte = 0;
    std::sscanf(hex + 2 * i, "%2x", &byte);
    handle.reserved[i] = static_cast<char>(byte);
  }
  return handle;
}

// Maps word 0 and 1 of the parent: waits for 1, answers with 2.
int AnswerThroughIpc(const char* hex) {
  void* mapped = nullptr;
  const cudaError_t opened =
      cudaIpcOpenMemHandle(&mapped, ParseHandle(hex), cudaIpcMemLazyEnablePeerAccess);
  std::printf("%s\n", cudaGetErrorName(opened));
  if (opened != cudaSuccess) return 0;
  auto* words = static_cast<uint32_t*>(mapped);
  LaunchAwait(cudaStreamPerThread, words);
  LaunchStore(cudaStreamPerThread, words + 1, 2);
  const cudaError_t done = cudaStreamSynchronize(cudaStreamPerThread);
  std::printf("%s\n", cudaGetErrorName(done));
  std::printf("%s\n", cudaGetErrorName(cudaIpcCloseMemHandle(mapped)));
  return 0;
}

// Prints the handle of a fresh allocation and leaves at once.
int ExportAndExit(const char*) {
  void* memory = nullptr;
  cudaIpcMemHandle_t handle;
  cudaMalloc(&memory, 64);
  cudaIpcGetMemHandle(&handle, memory);
  for (const char byte : handle.reserved) std::printf("%02x", static_cast<unsigned char>(byte));
  std::printf("\n");
  return 0;
}

uint32_t* HangAStream() {
  void* memory = nullptr;
  cudaMalloc(&memory, 64);
  cudaMemset(memory, 0, 64);
  auto* words = static_cast<uint32_t*>(memory);
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  LaunchAwait(stream, words);
  while (!device_sim::AnyKernelPolls()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return words;
}

// Until `done()` or for as long as the test says.
template <class Done>
void WaitAtMost(const char* milliseconds, Done done) {
  for (int left = std::atoi(milliseconds); left > 0 && !done(); --left) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

int ExitWithAStuckKernel(const char*) {
  HangAStream();
  std::printf("leaving\n");
  return 7;
}

// Copies on another stream while a kernel has polled for long.
int ReadThroughTheSideChannel(const char* milliseconds) {
  uint32_t* words = HangAStream();
  cudaStream_t side = nullptr;
  cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking);
  void* host = nullptr;
  cudaMallocHost(&host, 64);
  const cudaError_t copy = cudaMemcpyAsync(host, words, 64, cudaMemcpyDeviceToHost, side);
  std::printf("%s\n", cudaGetErrorName(copy));
  WaitAtMost(milliseconds, [side] { return cudaStreamQuery(side) == cudaSuccess; });
  std::printf("%s\n", cudaGetErrorName(cudaStreamQuery(side)));
  return 0;
}

// Whether the first use of a kernel behind a polling one ends.
int LoadBehindAKernel(const char* milliseconds) {
  uint32_t* words = HangAStream();
  static std::atomic<bool> loaded{false};
  std::thread([words] {
    LaunchStore(cudaStreamPerThread, words + 1, 1);
    loaded = true;
  }).detach();
  WaitAtMost(milliseconds, [] { return loaded.load(); });
  std::printf("%s\n", loaded ? "loaded" : "blocked");
  std::fflush(stdout);
  _exit(0);
}

int OpenTwice(const char* hex) {
  void* first = nullptr;
  void* second = nullptr;
  cudaIpcOpenMemHandle(&first, ParseHandle(hex), cudaIpcMemLazyEnablePeerAccess);
  cudaIpcOpenMemHandle(&second, ParseHandle(hex), cudaIpcMemLazyEnablePeerAccess);
  cudaIpcCloseMemHandle(first);
  uint32_t value = 0;
  const cudaError_t copy = cudaMemcpy(&value, second, sizeof value, cudaMemcpyDeviceToHost);
  cudaIpcCloseMemHandle(second);
  std::printf("%d %s %u %s\n", first == second, cudaGetErrorName(copy), value,
              cudaGetErrorName(cudaIpcCloseMemHandle(second)));
  return 0;
}

int CountDevices(const char*) {
  int count = -1;
  const cudaError_t status = cudaGetDeviceCount(&count);
  std::printf("%s %d\n", cudaGetErrorName(status), count);
  return 0;
}

int UseAfterFork(const char*) {
  cudaFree(nullptr);
  std::fflush(stdout);
  if (fork() == 0) {
    void* memory = nullptr;
    std::printf("%s\n", cudaGetErrorName(cudaMalloc(&memory, 16)));
    std::fflush(stdout);
    _exit(0);
  }
  wait(nullptr);
  return 0;
}

int ForkBeforeUse(const char*) {
  if (fork() == 0) {
    void* memory = nullptr;
    std::printf("%s\n", cudaGetErrorName(cudaMalloc(&memory, 16)));
    std::fflush(stdout);
    _exit(0);
  }
  wait(nullptr);
  return 0;
}

// Each device has memory of its own; work on both.
int UseTwoDevices(const char*) {
  uint32_t total = 0;
  for (int device = 0; device < 2; ++device) {
    cudaSetDevice(device);
    void* memory = nullptr;
    cudaMalloc(&memory, 4);
    cudaMemset(memory, 0, 4);
    LaunchAdd(nullptr, static_cast<uint32_t*>(memory), 5);
    uint32_t value = 0;
    cudaMemcpy(&value, memory, 4, cudaMemcpyDeviceToHost);
    cudaPointerAttributes attributes;
    cudaPointerGetAttributes(&attributes, memory);
    total += value * (attributes.device == device ? 1 : 100);
  }
  int peer = 0;
  cudaDeviceCanAccessPeer(&peer, 0, 1);
  std::printf("%u %d\n", total, peer);
  return 0;
}

}  // namespace
}  // namespace device_sim_test

int main(int argc, char** argv) {
  using namespace device_sim_test;  // NOLINT(google-build-using-namespace): the program's own
  const std::map<std::string, int (*)(const char*)> modes = {
      {"answer", AnswerThroughIpc},
      {"export", ExportAndExit},
      {"exit-stuck", ExitWithAStuckKernel},
      {"side-channel", ReadThroughTheSideChannel},
      {"devices", CountDevices},
      {"load", LoadBehindAKernel},
      {"open-twice", OpenTwice},
      {"use-after-fork", UseAfterFork},
      {"fork-before-use", ForkBeforeUse},
      {"two-devices", UseTwoDevices}};
  const auto mode = argc < 2 ? modes.end() : modes.find(argv[1]);
  if (mode == modes.end()) {
    std::fprintf(stderr, "usage: device_sim_probe MODE [HANDLE]\n");
    return 64;
  }
  return mode->second(argc > 2 ? argv[2] : nullptr);
}
