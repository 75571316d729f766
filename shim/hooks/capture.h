// Stream capture: begin, begin into a graph, end. Called by preload.cc; capture-safe.
#pragma once

#include <cuda_runtime_api.h>

#include "shim/resolver.h"

namespace lamplight::shim::hooks {

cudaError_t BeginCapture(RealFunction<decltype(&cudaStreamBeginCapture)>& real, cudaStream_t stream,
                         cudaStreamCaptureMode mode, bool per_thread) noexcept;
cudaError_t BeginCaptureToGraph(RealFunction<decltype(&cudaStreamBeginCaptureToGraph)>& real,
                                cudaStream_t stream, cudaGraph_t graph,
                                const cudaGraphNode_t* dependencies, const cudaGraphEdgeData* edges,
                                size_t count, cudaStreamCaptureMode mode, bool per_thread) noexcept;
cudaError_t EndCapture(RealFunction<decltype(&cudaStreamEndCapture)>& real, cudaStream_t stream,
                       cudaGraph_t* graph, bool per_thread) noexcept;

}  // namespace lamplight::shim::hooks
