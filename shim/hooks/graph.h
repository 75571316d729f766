// Graphs after capture: instantiate, update, launch, destroy, node parameters. Called by
// preload.cc.
#pragma once

#include <cuda_runtime_api.h>

#include "shim/resolver.h"

namespace lamplight::shim::hooks {

// cudaGraphInstantiate and cudaGraphInstantiateWithFlags.
cudaError_t Instantiate(RealFunction<decltype(&cudaGraphInstantiate)>& real, cudaGraphExec_t* exec,
                        cudaGraph_t graph, unsigned long long flags) noexcept;
cudaError_t InstantiateWithParams(RealFunction<decltype(&cudaGraphInstantiateWithParams)>& real,
                                  cudaGraphExec_t* exec, cudaGraph_t graph,
                                  cudaGraphInstantiateParams* parameters) noexcept;
cudaError_t ExecUpdate(RealFunction<decltype(&cudaGraphExecUpdate)>& real, cudaGraphExec_t exec,
                       cudaGraph_t graph, cudaGraphExecUpdateResultInfo* result) noexcept;
cudaError_t SetNodeParams(RealFunction<decltype(&cudaGraphExecKernelNodeSetParams)>& real,
                          cudaGraphExec_t exec, cudaGraphNode_t node,
                          const cudaKernelNodeParams* parameters) noexcept;
cudaError_t SetAnyNodeParams(RealFunction<decltype(&cudaGraphExecNodeSetParams)>& real,
                             cudaGraphExec_t exec, cudaGraphNode_t node,
                             cudaGraphNodeParams* parameters) noexcept;
cudaError_t SetNodeEnabled(RealFunction<decltype(&cudaGraphNodeSetEnabled)>& real,
                           cudaGraphExec_t exec, cudaGraphNode_t node, unsigned enabled) noexcept;
cudaError_t GraphUpload(RealFunction<decltype(&cudaGraphUpload)>& real, cudaGraphExec_t exec,
                        cudaStream_t stream) noexcept;
cudaError_t GraphLaunch(RealFunction<decltype(&cudaGraphLaunch)>& real, cudaGraphExec_t exec,
                        cudaStream_t stream, bool per_thread) noexcept;
cudaError_t ExecDestroy(RealFunction<decltype(&cudaGraphExecDestroy)>& real,
                        cudaGraphExec_t exec) noexcept;
cudaError_t GraphDestroy(RealFunction<decltype(&cudaGraphDestroy)>& real,
                         cudaGraph_t graph) noexcept;

}  // namespace lamplight::shim::hooks
