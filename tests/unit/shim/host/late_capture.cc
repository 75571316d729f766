// A library for python_host.py to load: captures after a while, so that another Python thread can
// take the GIL meanwhile. Any thread; the caller has released the GIL.
#include <cuda_runtime_api.h>

#include <chrono>
#include <thread>

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED int lamplight_end_capture_late(cudaStream_t stream, cudaGraph_t* graph, int delay_ms,
                                        int* took_ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
  const auto begin = std::chrono::steady_clock::now();
  const cudaError_t status = cudaStreamEndCapture(stream, graph);
  const auto took = std::chrono::steady_clock::now() - begin;
  *took_ms = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  return status;
}

EXPORTED int lamplight_capture_late(cudaStream_t stream, void* memory, int delay_ms, int captures) {
  std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
  cudaError_t status = cudaSuccess;
  for (int i = 0; i < captures && status == cudaSuccess; ++i) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    status = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    if (status == cudaSuccess) status = cudaMemsetAsync(memory, 1, 64, stream);
    if (status == cudaSuccess) status = cudaStreamEndCapture(stream, &graph);
    if (status == cudaSuccess) status = cudaGraphInstantiate(&executable, graph, 0);
  }
  return status;
}
