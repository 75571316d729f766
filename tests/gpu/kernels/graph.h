// An instantiated graph of one stream's capture; owns it. To be made and destroyed while no kernel
// of the group polls. One thread at a time.
#pragma once

#include <cuda_runtime_api.h>

#include <utility>

#include "tests/gpu/kernels/check.h"

namespace lamplight::kernels::gpu {

class Graph {
 public:
  // `body()` launches into `stream`, whose device is current.
  template <class Body>
  Graph(cudaStream_t stream, Body body) {
    cudaGraph_t graph = nullptr;
    Check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "begin of a capture");
    body();
    Check(cudaStreamEndCapture(stream, &graph), "end of a capture");
    const cudaError_t code = cudaGraphInstantiate(&exec_, graph, 0);
    cudaGraphDestroy(graph);
    Check(code, "cudaGraphInstantiate");
    Check(cudaGraphUpload(exec_, stream), "cudaGraphUpload");
    Check(cudaStreamSynchronize(stream), "cudaGraphUpload");
  }
  ~Graph() {
    if (exec_ != nullptr) cudaGraphExecDestroy(exec_);
  }
  Graph(Graph&& other) noexcept : exec_(std::exchange(other.exec_, nullptr)) {}
  Graph& operator=(Graph&&) = delete;

  void Launch(cudaStream_t stream) const {
    Check(cudaGraphLaunch(exec_, stream), "cudaGraphLaunch");
  }

 private:
  cudaGraphExec_t exec_ = nullptr;
};

}  // namespace lamplight::kernels::gpu
