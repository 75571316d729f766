// libcudart: parameters of graph nodes, in graphs and in execs; execs. Thread-safe.
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/exec.h"
#include "tests/device_sim/node_params.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

namespace {

template <class Call, class Params>
Status GetParams(CUgraphNode node, Params* params, void (*convert)(const Call&, Params*)) {
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return WithNode<Call>(node, [&](const Call& call) {
    convert(call, params);
    return kOk;
  });
}

Status KernelOf(CUgraphNode node, const cudaKernelNodeParams* params, Operation* operation) {
  SIM_TRY(FromRuntime(params, operation));
  return ReplaceKernel(node, operation);
}

template <class Call>
Status Replace(CUgraphNode node, Operation operation) {
  return WithNode<Call>(node, [&](Call& call) {
    call = std::get<Call>(std::move(operation));
    return kOk;
  });
}

template <class Call>
cudaError_t EventOf(CUgraphNode node, cudaEvent_t* event) {
  return Runtime([&] {
    return WithNode<Call>(node, [&](const Call& call) {
      return Store(event, EventTable::HandleOf(call.event.get()));
    });
  });
}

}  // namespace

extern "C" {

cudaError_t cudaGraphKernelNodeGetParams(cudaGraphNode_t node, cudaKernelNodeParams* params) {
  return Runtime([&] { return GetParams<KernelCall>(node, params, ToRuntime); });
}

cudaError_t cudaGraphKernelNodeSetParams(cudaGraphNode_t node, const cudaKernelNodeParams* params) {
  return Runtime([&]() -> Status {
    Operation operation;
    SIM_TRY(KernelOf(node, params, &operation));
    return Replace<KernelCall>(node, std::move(operation));
  });
}

cudaError_t cudaGraphKernelNodeGetAttribute(cudaGraphNode_t node, cudaKernelNodeAttrID id,
                                            cudaKernelNodeAttrValue* value) {
  return Runtime([&] {
    return WithNode<KernelCall>(node, [&](const KernelCall& call) {
      return GetAttribute(call, static_cast<CUkernelNodeAttrID>(id),
                          reinterpret_cast<CUkernelNodeAttrValue*>(value));
    });
  });
}

cudaError_t cudaGraphKernelNodeSetAttribute(cudaGraphNode_t node, cudaKernelNodeAttrID id,
                                            const cudaKernelNodeAttrValue* value) {
  return Runtime([&] {
    return WithNode<KernelCall>(node, [&](KernelCall& call) {
      return SetAttribute(&call, static_cast<CUkernelNodeAttrID>(id),
                          reinterpret_cast<const CUkernelNodeAttrValue*>(value));
    });
  });
}

cudaError_t cudaGraphMemsetNodeGetParams(cudaGraphNode_t node, cudaMemsetParams* params) {
  return Runtime([&] {
    return GetParams<FillCall>(node, reinterpret_cast<CUDA_MEMSET_NODE_PARAMS*>(params), ToMemset);
  });
}

cudaError_t cudaGraphEventRecordNodeGetEvent(cudaGraphNode_t node, cudaEvent_t* event) {
  return EventOf<EventRecordCall>(node, event);
}

cudaError_t cudaGraphEventWaitNodeGetEvent(cudaGraphNode_t node, cudaEvent_t* event) {
  return EventOf<EventWaitCall>(node, event);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                 unsigned long long flags) {
  return Runtime([&] { return cuGraphInstantiate(exec, graph, flags); });
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph,
                                          unsigned long long flags) {
  return Runtime([&] { return cuGraphInstantiate(exec, graph, flags); });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return Runtime([&] { return cuGraphExecDestroy(exec); });
}

cudaError_t cudaGraphExecGetFlags(cudaGraphExec_t exec, unsigned long long* flags) {
  return Runtime([&]() -> Status {
    uint64_t value = 0;
    SIM_TRY(ExecFlags(exec, &value));
    return Store(flags, value);
  });
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo* outcome) {
  return Runtime([&] {
    return cuGraphExecUpdate(exec, graph, reinterpret_cast<CUgraphExecUpdateResultInfo*>(outcome));
  });
}

cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* params) {
  return Runtime([&]() -> Status {
    if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
    Kernel* kernel = LookUpKernel(params->func);
    if (kernel == nullptr) return kInvalidDeviceFunction;
    CUDA_KERNEL_NODE_PARAMS driver{};
    driver.func = kernel->function_handle();
    driver.gridDimX = params->gridDim.x, driver.gridDimY = params->gridDim.y;
    driver.gridDimZ = params->gridDim.z;
    driver.blockDimX = params->blockDim.x, driver.blockDimY = params->blockDim.y;
    driver.blockDimZ = params->blockDim.z;
    driver.sharedMemBytes = params->sharedMemBytes;
    driver.kernelParams = params->kernelParams;
    driver.extra = params->extra;
    return cuGraphExecKernelNodeSetParams(exec, node, &driver);
  });
}

cudaError_t cudaGraphExecEventRecordNodeSetEvent(cudaGraphExec_t exec, cudaGraphNode_t node,
                                                 cudaEvent_t event) {
  return Runtime([&]() -> Status {
    Operation operation;
    SIM_TRY(FromEvent(event, true, &operation));
    return SetExecNode(exec, node, std::move(operation));
  });
}

cudaError_t cudaGraphExecHostNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                           const cudaHostNodeParams* params) {
  return Runtime([&]() -> Status {
    Operation operation;
    SIM_TRY(FromHost(reinterpret_cast<const CUDA_HOST_NODE_PARAMS*>(params), &operation));
    return SetExecNode(exec, node, std::move(operation));
  });
}

cudaError_t cudaGraphExecChildGraphNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                                 cudaGraph_t child) {
  return Runtime([&] { return cuGraphExecChildGraphNodeSetParams(exec, node, child); });
}

cudaError_t cudaGraphExecNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                       cudaGraphNodeParams* params) {
  return Runtime([&] {
    return cuGraphExecNodeSetParams(exec, node, reinterpret_cast<CUgraphNodeParams*>(params));
  });
}

cudaError_t cudaGraphNodeSetEnabled(cudaGraphExec_t exec, cudaGraphNode_t node, unsigned enabled) {
  return Runtime([&] { return cuGraphNodeSetEnabled(exec, node, enabled); });
}

cudaError_t cudaGraphNodeGetEnabled(cudaGraphExec_t exec, cudaGraphNode_t node, unsigned* enabled) {
  return Runtime([&]() -> Status {
    bool value = false;
    SIM_TRY(ExecNodeEnabled(exec, node, &value));
    return Store(enabled, value ? 1u : 0u);
  });
}

}  // extern "C"
