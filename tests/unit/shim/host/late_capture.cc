// A library for python_host.py to load: ends a capture after a while, so that another Python thread
// can take the GIL meanwhile. Any thread; the caller has released the GIL.
#include <cuda_runtime_api.h>

#include <chrono>
#include <thread>

extern "C" __attribute__((visibility("default"))) int lamplight_end_capture_late(
    cudaStream_t stream, cudaGraph_t* graph, int delay_ms, int* took_ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
  const auto begin = std::chrono::steady_clock::now();
  const cudaError_t status = cudaStreamEndCapture(stream, graph);
  const auto took = std::chrono::steady_clock::now() - begin;
  *took_ms = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  return status;
}
