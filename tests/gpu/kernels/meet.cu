#include "tests/gpu/kernels/meet.h"

#include <thread>

#include "tests/gpu/kernels/check.h"

extern "C" __global__ void lamplight_gpu_test_meet(lamplight::kernels::gpu::Meeting* meeting,
                                                   uint32_t count, uint64_t patience_ns) {
  const auto time = [] {
    uint64_t now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    return now;
  };
  atomicAdd(&meeting->arrived, 1u);
  const uint64_t begin = time();
  while (atomicAdd(&meeting->arrived, 0u) < count) {
    if (time() - begin < patience_ns) continue;
    atomicAdd(&meeting->alone, 1u);
    return;
  }
}

namespace lamplight::kernels::gpu {
namespace {

constexpr uint32_t kMostAttempts = 8;

}  // namespace

MeetingStreams::MeetingStreams(uint32_t count) {
  Check(cudaMalloc(reinterpret_cast<void**>(&meeting_), sizeof *meeting_), "cudaMalloc");
  for (uint32_t attempt = 0; attempt < kMostAttempts; ++attempt) {
    refused_.insert(refused_.end(), streams_.begin(), streams_.end());
    streams_.assign(count, nullptr);
    for (cudaStream_t& stream : streams_) {
      Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
    }
    if (Meet()) return;
  }
  throw std::runtime_error("no streams found on which ranks of one device run beside each other");
}

MeetingStreams::~MeetingStreams() {
  for (cudaStream_t stream : streams_) cudaStreamDestroy(stream);
  for (cudaStream_t stream : refused_) cudaStreamDestroy(stream);
  cudaFree(meeting_);
}

// As the ranks will: each stream's first kernel is launched by a thread of its own.
bool MeetingStreams::Meet() {
  int device = 0;
  Check(cudaGetDevice(&device), "cudaGetDevice");
  Check(cudaMemset(meeting_, 0, sizeof *meeting_), "cudaMemset");
  Check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  std::vector<std::thread> threads;
  std::vector<cudaError_t> codes(streams_.size(), cudaSuccess);
  const auto count = static_cast<uint32_t>(streams_.size());
  for (uint32_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      cudaSetDevice(device);
      lamplight_gpu_test_meet<<<1, 1, 0, streams_[i]>>>(meeting_, count, kPatienceNs);
      codes[i] = cudaGetLastError();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const cudaError_t code : codes) Check(code, "launch of the meeting");
  Check(cudaDeviceSynchronize(), "the meeting");
  Meeting found{};
  Check(cudaMemcpy(&found, meeting_, sizeof found, cudaMemcpyDeviceToHost), "cudaMemcpy");
  return found.alone == 0;
}

}  // namespace lamplight::kernels::gpu
