// Graphs after capture: instantiate, update, launch, destroy, node parameters. Called by
// preload.cc, and in halves, around a real call that is made elsewhere, by driver/ and cupti/.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <memory>

#include "shim/resolver.h"
#include "shim/trace_format.h"

namespace lamplight::shim {
class Session;
struct Exec;
}  // namespace lamplight::shim

namespace lamplight::shim::hooks {

// cudaGraphInstantiate and cudaGraphInstantiateWithFlags.
cudaError_t Instantiate(RealFunction<decltype(&cudaGraphInstantiate)>& real, cudaGraphExec_t* exec,
                        cudaGraph_t graph, unsigned long long flags);
cudaError_t InstantiateWithParams(RealFunction<decltype(&cudaGraphInstantiateWithParams)>& real,
                                  cudaGraphExec_t* exec, cudaGraph_t graph,
                                  cudaGraphInstantiateParams* parameters);
cudaError_t ExecUpdate(RealFunction<decltype(&cudaGraphExecUpdate)>& real, cudaGraphExec_t exec,
                       cudaGraph_t graph, cudaGraphExecUpdateResultInfo* result);
cudaError_t SetNodeParams(RealFunction<decltype(&cudaGraphExecKernelNodeSetParams)>& real,
                          cudaGraphExec_t exec, cudaGraphNode_t node,
                          const cudaKernelNodeParams* parameters);
cudaError_t SetAnyNodeParams(RealFunction<decltype(&cudaGraphExecNodeSetParams)>& real,
                             cudaGraphExec_t exec, cudaGraphNode_t node,
                             cudaGraphNodeParams* parameters);
cudaError_t SetChild(RealFunction<decltype(&cudaGraphExecChildGraphNodeSetParams)>& real,
                     cudaGraphExec_t exec, cudaGraphNode_t node, cudaGraph_t child);
cudaError_t SetNodeEnabled(RealFunction<decltype(&cudaGraphNodeSetEnabled)>& real,
                           cudaGraphExec_t exec, cudaGraphNode_t node, unsigned enabled);
cudaError_t GraphUpload(RealFunction<decltype(&cudaGraphUpload)>& real, cudaGraphExec_t exec,
                        cudaStream_t stream);
cudaError_t GraphLaunch(RealFunction<decltype(&cudaGraphLaunch)>& real, cudaGraphExec_t exec,
                        cudaStream_t stream, bool per_thread);
cudaError_t ExecDestroy(RealFunction<decltype(&cudaGraphExecDestroy)>& real, cudaGraphExec_t exec);
cudaError_t GraphDestroy(RealFunction<decltype(&cudaGraphDestroy)>& real, cudaGraph_t graph);

// Around a real call that instantiates: our nodes are in the graph from the constructor to Commit.
class InstantiateCall {
 public:
  InstantiateCall(CUgraph graph, unsigned long long flags) noexcept;
  ~InstantiateCall();
  InstantiateCall(const InstantiateCall&) = delete;
  InstantiateCall& operator=(const InstantiateCall&) = delete;

  // True: `status` may be our nodes' fault; they are out of the graph, and the real call is to be
  // made again.
  bool Withdraw(cudaError_t status) noexcept;
  // After the last real call. `exec` may be null.
  void Commit(cudaError_t status, const CUgraphExec* exec) noexcept;

 private:
  class Plan;
  std::unique_ptr<Plan> plan_;  // null: nothing to do
};

// Around a real call that updates a whole exec.
class UpdateCall {
 public:
  UpdateCall(CUgraphExec exec, CUgraph graph) noexcept;
  ~UpdateCall();
  UpdateCall(const UpdateCall&) = delete;
  UpdateCall& operator=(const UpdateCall&) = delete;

  void Commit(cudaError_t status, const cudaGraphExecUpdateResultInfo* result) noexcept;

 private:
  class Plan;
  std::unique_ptr<Plan> plan_;
};

// Around a real launch. The hot path: no heap, no log, no lock.
class GraphLaunchCall {
 public:
  GraphLaunchCall(CUgraphExec exec, CUstream stream) noexcept;
  void Returned(cudaError_t status) noexcept;

 private:
  void RecordBehind() noexcept;

  Session* session_ = nullptr;
  Exec* exec_ = nullptr;  // null: not ours to count
  CUstream stream_ = nullptr;
  trace::GraphLaunch record_;
};

// After a successful real call.
void GraphUploaded(CUgraphExec exec) noexcept;
void NodeEnabled(CUgraphExec exec, CUgraphNode node, bool enabled) noexcept;
// A child graph of the exec's was given for another.
void ChildTaken(CUgraphExec exec) noexcept;
// The same, with parameters that were the host's own, so that the node journals no more.
void NodeParamsTaken(CUgraphExec exec, CUgraphNode node,
                     const cudaKernelNodeParams& parameters) noexcept;

// Before the real call: another thread may get the same handle as soon as it returns.
void ExecDestroying(CUgraphExec exec) noexcept;
void GraphDestroying(CUgraph graph) noexcept;

}  // namespace lamplight::shim::hooks
