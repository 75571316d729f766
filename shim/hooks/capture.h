// Stream capture: begin, begin into a graph, end. Called by preload.cc, and in halves by driver/
// and cupti/; capture-safe.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include "shim/resolver.h"
#include "shim/streams.h"
#include "shim/trace_format.h"

namespace lamplight::shim::hooks {

cudaError_t BeginCapture(RealFunction<decltype(&cudaStreamBeginCapture)>& real, cudaStream_t stream,
                         cudaStreamCaptureMode mode, bool per_thread);
cudaError_t BeginCaptureToGraph(RealFunction<decltype(&cudaStreamBeginCaptureToGraph)>& real,
                                cudaStream_t stream, cudaGraph_t graph,
                                const cudaGraphNode_t* dependencies, const cudaGraphEdgeData* edges,
                                size_t count, cudaStreamCaptureMode mode, bool per_thread);
cudaError_t EndCapture(RealFunction<decltype(&cudaStreamEndCapture)>& real, cudaStream_t stream,
                       cudaGraph_t* graph, bool per_thread);

// What is done around the real call that begins a capture: made before it, told its answer.
class CaptureStart {
 public:
  CaptureStart(CUstream stream, CUstreamCaptureMode mode, trace::GraphOrigin origin) noexcept;
  void Answered(cudaError_t status) noexcept;

 private:
  CUstream stream_;
  uint16_t mode_;
  trace::GraphOrigin origin_;
  Streams* announced_ = nullptr;
};

// After the real call; `graph` may be null, or point to null.
void CaptureEnded(CUstream stream, cudaError_t status, const CUgraph* graph) noexcept;

}  // namespace lamplight::shim::hooks
