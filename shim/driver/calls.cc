// One table of the halves of what hooks/ does.
#include "shim/driver/calls.h"

#include <cstddef>
#include <new>

#include "shim/hooks/order.h"
#include "shim/resolver.h"
#include "shim/streams.h"

namespace lamplight::shim::driver {
namespace {

using hooks::CaptureStart;
using hooks::GraphLaunchCall;
using hooks::InstantiateCall;
using hooks::UpdateCall;

// ---- capture

void EnterBeginCapture(const Call& call) {
  const auto& p = call.As<abi::BeginCaptureParams>();
  call.Keep(CaptureStart(call.On(p.stream), p.mode, trace::GraphOrigin::kCapture));
}

void EnterBeginToGraph(const Call& call) {
  const auto& p = call.As<abi::BeginToGraphParams>();
  call.Keep(CaptureStart(call.On(p.stream), p.mode, trace::GraphOrigin::kCaptureToGraph));
}

void ExitBegin(const Call& call) {
  if (auto* start = call.Kept<CaptureStart>()) start->Answered(call.status());
}

void ExitEndCapture(const Call& call) {
  const auto& p = call.As<abi::EndCaptureParams>();
  hooks::CaptureEnded(call.On(p.stream), call.status(), p.graph);
}

// ---- graphs

void EnterInstantiate(const Call& call, CUgraph graph, unsigned long long flags) {
  call.Keep(new (std::nothrow) InstantiateCall(graph, flags));
}

// `again` makes the real call once more, without our nodes: the host is given what it answers.
template <class Again>
void ExitInstantiate(const Call& call, const CUgraphExec* exec, Again again) {
  auto* state = call.Kept<InstantiateCall*>();
  if (state == nullptr || *state == nullptr) return;
  if ((*state)->Withdraw(call.status())) {
    *call.result = again();
  }
  (*state)->Commit(call.status(), exec);
  delete *state;
  *state = nullptr;
}

// The driver's function of this name with these arguments.
template <class... Arguments>
CUresult CallDriver(const char* name, Arguments... arguments) {
  auto* function = reinterpret_cast<CUresult (*)(Arguments...)>(ResolveDriver(name));
  return function == nullptr ? CUDA_ERROR_NOT_FOUND : function(arguments...);
}

void EnterInstantiateFlags(const Call& call) {
  const auto& p = call.As<abi::InstantiateParams>();
  EnterInstantiate(call, p.graph, p.flags);
}

void ExitInstantiateFlags(const Call& call) {
  const auto& p = call.As<abi::InstantiateParams>();
  ExitInstantiate(call, p.exec, [&] {
    return CallDriver("cuGraphInstantiateWithFlags", p.exec, p.graph, p.flags);
  });
}

void EnterInstantiateParams(const Call& call) {
  const auto& p = call.As<abi::InstantiateWithParams>();
  EnterInstantiate(call, p.graph, p.parameters == nullptr ? 0 : p.parameters->flags);
}

void ExitInstantiateParams(const Call& call) {
  const auto& p = call.As<abi::InstantiateWithParams>();
  ExitInstantiate(call, p.exec, [&] {
    return CallDriver(
        call.per_thread ? "cuGraphInstantiateWithParams_ptsz" : "cuGraphInstantiateWithParams",
        p.exec, p.graph, p.parameters);
  });
}

void EnterInstantiateLog(const Call& call) {
  EnterInstantiate(call, call.As<abi::InstantiateLogParams>().graph, 0);
}

void ExitInstantiateLog(const Call& call) {
  const auto& p = call.As<abi::InstantiateLogParams>();
  ExitInstantiate(call, p.exec, [&] {
    return CallDriver("cuGraphInstantiate_v2", p.exec, p.graph, p.error_node, p.log, p.log_bytes);
  });
}

void EnterUpdate(const Call& call) {
  const auto& p = call.As<abi::ExecUpdateParams>();  // the other form's begin alike
  call.Keep(new (std::nothrow) UpdateCall(p.exec, p.graph));
}

// The driver's result is the runtime's, field by field (driver_types.h, cuda.h).
static_assert(sizeof(cudaGraphExecUpdateResultInfo) == sizeof(CUgraphExecUpdateResultInfo));
static_assert(offsetof(cudaGraphExecUpdateResultInfo, result) ==
              offsetof(CUgraphExecUpdateResultInfo, result));

const cudaGraphExecUpdateResultInfo* ResultOf(const abi::ExecUpdateParams& call) {
  return reinterpret_cast<const cudaGraphExecUpdateResultInfo*>(call.result);
}

// Its first field is what the form of CUDA 11 gives alone, and all that is looked at.
static_assert(offsetof(cudaGraphExecUpdateResultInfo, result) == 0);
const cudaGraphExecUpdateResultInfo* ResultOf(const abi::ExecUpdateOf11Params& call) {
  return reinterpret_cast<const cudaGraphExecUpdateResultInfo*>(call.result);
}

template <class P>
void ExitUpdate(const Call& call) {
  auto* state = call.Kept<UpdateCall*>();
  if (state == nullptr || *state == nullptr) return;
  (*state)->Commit(call.status(), ResultOf(call.As<P>()));
  delete *state;
  *state = nullptr;
}

template <class Driver>
cudaKernelNodeParams RuntimeParams(const Driver& from) {
  cudaKernelNodeParams to{};
  to.func = from.func;
  if constexpr (requires { from.kern; }) {
    if (to.func == nullptr) to.func = from.kern;
  }
  to.gridDim = dim3(from.gridDimX, from.gridDimY, from.gridDimZ);
  to.blockDim = dim3(from.blockDimX, from.blockDimY, from.blockDimZ);
  to.sharedMemBytes = from.sharedMemBytes;
  to.kernelParams = from.kernelParams;
  to.extra = from.extra;
  return to;
}

template <class P>
void ExitKernelNodeParams(const Call& call) {
  const auto& p = call.As<P>();
  if (!call.succeeded() || p.parameters == nullptr) return;
  hooks::NodeParamsTaken(p.exec, p.node, RuntimeParams(*p.parameters));
}

void ExitAnyNodeParams(const Call& call) {
  const auto& p = call.As<abi::AnyNodeParams>();
  if (!call.succeeded() || p.parameters == nullptr) return;
  if (p.parameters->type == CU_GRAPH_NODE_TYPE_GRAPH) return hooks::ChildTaken(p.exec);
  if (p.parameters->type != CU_GRAPH_NODE_TYPE_KERNEL) return;
  hooks::NodeParamsTaken(p.exec, p.node, RuntimeParams(p.parameters->kernel));
}

void ExitChildParams(const Call& call) {
  if (call.succeeded()) hooks::ChildTaken(call.As<abi::ChildParams>().exec);
}

void ExitNodeEnabled(const Call& call) {
  const auto& p = call.As<abi::NodeEnabledParams>();
  if (call.succeeded()) hooks::NodeEnabled(p.exec, p.node, p.enabled != 0);
}

void ExitUpload(const Call& call) {
  if (call.succeeded()) hooks::GraphUploaded(call.As<abi::ExecOnStreamParams>().exec);
}

void EnterGraphLaunch(const Call& call) {
  const auto& p = call.As<abi::ExecOnStreamParams>();
  call.Keep(GraphLaunchCall(p.exec, call.On(p.stream)));
}

void ExitGraphLaunch(const Call& call) {
  if (auto* launch = call.Kept<GraphLaunchCall>()) launch->Returned(call.status());
}

void EnterExecDestroy(const Call& call) { hooks::ExecDestroying(call.As<abi::ExecParams>().exec); }
void EnterGraphDestroy(const Call& call) {
  hooks::GraphDestroying(call.As<abi::GraphParams>().graph);
}

// ---- code

void EnterUnload(const Call&) { hooks::CodeUnloaded(); }

void EnterContextEnd(const Call& call) { call.Keep(hooks::ContextEnd()); }
void ExitContextEnd(const Call& call) {
  if (auto* end = call.Kept<hooks::ContextEnd>()) end->Returned();
}

// ---- order

void ExitStreamCreate(const Call& call) {
  const auto& p = call.As<abi::StreamCreateParams>();  // the other form's begin alike
  if (call.succeeded() && p.stream != nullptr) hooks::StreamCreated(*p.stream, p.flags);
}

void EnterStreamDestroy(const Call& call) {
  hooks::StreamDestroying(call.As<abi::StreamParams>().stream);
}

void ExitEventRecord(const Call& call) {
  const auto& p = call.As<abi::EventRecordParams>();  // the other form's begin alike
  if (call.succeeded()) hooks::EventRecorded(p.event, p.stream, call.per_thread);
}

void EnterEventDestroy(const Call& call) {
  hooks::EventDestroying(call.As<abi::EventParams>().event);
}

void ExitStreamWait(const Call& call) {
  const auto& p = call.As<abi::StreamWaitParams>();
  if (call.succeeded()) hooks::StreamWaits(p.stream, p.event, call.per_thread);
}

void ExitStreamDone(const Call& call) {
  if (call.succeeded()) hooks::StreamDone(call.As<abi::StreamParams>().stream, call.per_thread);
}

void ExitEventDone(const Call& call) {
  if (call.succeeded()) hooks::EventDone(call.As<abi::EventParams>().event);
}

void ExitDeviceDone(const Call& call) {
  if (call.succeeded()) hooks::DeviceDone();
}

constexpr Watched kCalls[] = {
    {abi::kStreamBeginCapture, EnterBeginCapture, ExitBegin, true},
    {abi::kStreamBeginCaptureToGraph, EnterBeginToGraph, ExitBegin},
    {abi::kStreamEndCapture, nullptr, ExitEndCapture, true},
    {abi::kGraphInstantiateV2, EnterInstantiateLog, ExitInstantiateLog},
    {abi::kGraphInstantiateFlags, EnterInstantiateFlags, ExitInstantiateFlags, true},
    {abi::kGraphInstantiateWithParams, EnterInstantiateParams, ExitInstantiateParams, true},
    {abi::kGraphExecUpdate, EnterUpdate, ExitUpdate<abi::ExecUpdateParams>},
    {abi::kGraphExecUpdateOf11, EnterUpdate, ExitUpdate<abi::ExecUpdateOf11Params>},
    {abi::kGraphExecKernelNodeSetParams, nullptr, ExitKernelNodeParams<abi::KernelNodeParams>},
    {abi::kGraphExecKernelNodeSetParamsOf11, nullptr,
     ExitKernelNodeParams<abi::KernelNodeOf11Params>},
    {abi::kGraphExecChildSetParams, nullptr, ExitChildParams},
    {abi::kGraphExecNodeSetParams, nullptr, ExitAnyNodeParams},
    {abi::kGraphNodeSetEnabled, nullptr, ExitNodeEnabled},
    {abi::kGraphUpload, nullptr, ExitUpload},
    {abi::kGraphLaunch, EnterGraphLaunch, ExitGraphLaunch, true},
    {abi::kGraphExecDestroy, EnterExecDestroy, nullptr},
    {abi::kGraphDestroy, EnterGraphDestroy, nullptr},
    {abi::kCtxDestroy, EnterContextEnd, ExitContextEnd},
    {abi::kPrimaryCtxRelease, EnterContextEnd, ExitContextEnd},
    {abi::kPrimaryCtxReset, EnterContextEnd, ExitContextEnd},
    {abi::kModuleUnload, EnterUnload, nullptr},
    {abi::kLibraryUnload, EnterUnload, nullptr},
    {abi::kStreamCreate, nullptr, ExitStreamCreate},
    {abi::kStreamCreateWithPriority, nullptr, ExitStreamCreate},
    {abi::kStreamDestroy, EnterStreamDestroy, nullptr},
    {abi::kEventRecord, nullptr, ExitEventRecord},
    {abi::kEventRecordWithFlags, nullptr, ExitEventRecord},
    {abi::kEventDestroy, EnterEventDestroy, nullptr},
    {abi::kStreamWaitEvent, nullptr, ExitStreamWait},
    {abi::kStreamSynchronize, nullptr, ExitStreamDone},
    {abi::kStreamQuery, nullptr, ExitStreamDone},
    {abi::kEventSynchronize, nullptr, ExitEventDone},
    {abi::kEventQuery, nullptr, ExitEventDone},
    {abi::kCtxSynchronize, nullptr, ExitDeviceDone},
    {abi::kCtxSynchronizeV2, nullptr, ExitDeviceDone},
};

}  // namespace

std::span<const Watched> Calls() { return kCalls; }

}  // namespace lamplight::shim::driver
