// libcuda: parameters of graph nodes, in graphs and in execs; execs. Thread-safe.
#include <cuda.h>

#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/exec.h"
#include "tests/device_sim/node_params.h"
#include "tests/device_sim/tool_callbacks.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

namespace {

template <class Call, class Params>
CUresult GetParams(CUgraphNode node, Params* params, void (*convert)(const Call&, Params*)) {
  return Driver([&]() -> Status {
    if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
    return WithNode<Call>(node, [&](const Call& call) {
      convert(call, params);
      return kOk;
    });
  });
}

Status KernelOf(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS* params, Operation* operation) {
  SIM_TRY(FromDriver(params, operation));
  return ReplaceKernel(node, operation);
}

template <class Call>
CUresult EventOf(CUgraphNode node, CUevent* event) {
  return Driver([&] {
    return WithNode<Call>(node, [&](const Call& call) {
      return Store(event, EventTable::HandleOf(call.event.get()));
    });
  });
}

}  // namespace

extern "C" {

CUresult cuGraphKernelNodeGetParams(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS* params) {
  return GetParams<KernelCall>(node, params, ToDriver);
}

CUresult cuGraphKernelNodeSetParams(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS* params) {
  return DriverInContext([&]() -> Status {
    Operation operation;
    SIM_TRY(KernelOf(node, params, &operation));
    return WithNode<KernelCall>(node, [&](KernelCall& call) {
      call = std::get<KernelCall>(std::move(operation));
      return kOk;
    });
  });
}

CUresult cuGraphKernelNodeGetAttribute(CUgraphNode node, CUkernelNodeAttrID id,
                                       CUkernelNodeAttrValue* value) {
  return Driver([&] {
    return WithNode<KernelCall>(
        node, [&](const KernelCall& call) { return GetAttribute(call, id, value); });
  });
}

CUresult cuGraphKernelNodeSetAttribute(CUgraphNode node, CUkernelNodeAttrID id,
                                       const CUkernelNodeAttrValue* value) {
  return Driver([&] {
    return WithNode<KernelCall>(node,
                                [&](KernelCall& call) { return SetAttribute(&call, id, value); });
  });
}

CUresult cuGraphMemcpyNodeGetParams(CUgraphNode node, CUDA_MEMCPY3D* params) {
  return GetParams<CopyCall>(node, params, ToCopy3D);
}

CUresult cuGraphMemsetNodeGetParams(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS* params) {
  return GetParams<FillCall>(node, params, ToMemset);
}

CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode node, CUevent* event) {
  return EventOf<EventRecordCall>(node, event);
}

CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode node, CUevent* event) {
  return EventOf<EventWaitCall>(node, event);
}

CUresult cuGraphInstantiate(CUgraphExec* exec, CUgraph graph, unsigned long long flags) {
  const cupti::InstantiateParams told{exec, graph, flags};
  return Told(cupti::kGraphInstantiateFlags, "cuGraphInstantiateWithFlags", told,
              [&]() -> CUresult {
                return DriverInContext([&] { return Instantiate(exec, graph, flags); });
              });
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
  const cupti::ExecParams told{exec};
  return Told(cupti::kGraphExecDestroy, "cuGraphExecDestroy", told,
              [&]() -> CUresult { return Driver([&] { return DestroyExec(exec); }); });
}

CUresult cuGraphExecGetFlags(CUgraphExec exec, cuuint64_t* flags) {
  return Driver([&]() -> Status {
    uint64_t value = 0;
    SIM_TRY(ExecFlags(exec, &value));
    return Store(flags, value);
  });
}

CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo* outcome) {
  const cupti::ExecUpdateParams told{exec, graph, outcome};
  return Told(cupti::kGraphExecUpdate, "cuGraphExecUpdate_v2", told, [&]() -> CUresult {
    return Driver([&] { return UpdateExec(exec, graph, outcome); });
  });
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                        const CUDA_KERNEL_NODE_PARAMS* params) {
  const cupti::KernelNodeParams told{exec, node, params};
  return Told(cupti::kGraphExecKernelNodeSetParams, "cuGraphExecKernelNodeSetParams_v2", told,
              [&]() -> CUresult {
                return DriverInContext([&]() -> Status {
                  Operation operation;
                  SIM_TRY(KernelOf(node, params, &operation));
                  return SetExecNode(exec, node, std::move(operation));
                });
              });
}

CUresult cuGraphExecEventRecordNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event) {
  return Driver([&]() -> Status {
    Operation operation;
    SIM_TRY(FromEvent(event, true, &operation));
    return SetExecNode(exec, node, std::move(operation));
  });
}

CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams* params) {
  const cupti::AnyNodeParams told{exec, node, params};
  return Told(cupti::kGraphExecNodeSetParams, "cuGraphExecNodeSetParams", told, [&]() -> CUresult {
    return DriverInContext([&]() -> Status {
      Operation operation;
      SIM_TRY(FromGeneric(params, &operation));
      if (std::holds_alternative<KernelCall>(operation)) SIM_TRY(ReplaceKernel(node, &operation));
      return SetExecNode(exec, node, std::move(operation));
    });
  });
}

CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child) {
  const cupti::ChildParams told{exec, node, child};
  return Told(cupti::kGraphExecChildSetParams, "cuGraphExecChildGraphNodeSetParams", told,
              [&]() -> CUresult {
                return DriverInContext([&] { return SetExecChild(exec, node, child); });
              });
}

CUresult cuGraphNodeSetEnabled(CUgraphExec exec, CUgraphNode node, unsigned enabled) {
  const cupti::NodeEnabledParams told{exec, node, enabled};
  return Told(cupti::kGraphNodeSetEnabled, "cuGraphNodeSetEnabled", told, [&]() -> CUresult {
    return Driver([&] { return SetExecNodeEnabled(exec, node, enabled != 0); });
  });
}

CUresult cuGraphNodeGetEnabled(CUgraphExec exec, CUgraphNode node, unsigned* enabled) {
  return Driver([&]() -> Status {
    bool value = false;
    SIM_TRY(ExecNodeEnabled(exec, node, &value));
    return Store(enabled, value ? 1u : 0u);
  });
}

}  // extern "C"
