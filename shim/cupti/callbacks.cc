// One table, by callback id, of what to do at the enter and at the exit of a driver function.
#include "shim/cupti/callbacks.h"

#include <array>
#include <cstddef>
#include <new>
#include <type_traits>
#include <variant>
#include <vector>

#include "shim/arguments.h"
#include "shim/cupti/driver_launch.h"
#include "shim/hooks/capture.h"
#include "shim/hooks/graph.h"
#include "shim/hooks/guard.h"
#include "shim/hooks/launch.h"
#include "shim/hooks/order.h"
#include "shim/recorder/origin.h"

namespace lamplight::shim::cupti {
namespace {

using hooks::CaptureStart;
using hooks::EagerCall;
using hooks::GraphLaunchCall;
using hooks::InstantiateCall;
using hooks::UpdateCall;

// What a call keeps between its callbacks. Trivial, so that a thread that ends leaves nothing to
// do; the driver's calls do not nest.
struct KeptCall {
  uint64_t serial = 0;  // of the call under way
  std::variant<std::monostate, CaptureStart, EagerCall, GraphLaunchCall, InstantiateCall*,
               UpdateCall*>
      call;
};
static_assert(std::is_trivially_destructible_v<KeptCall>);
constinit thread_local KeptCall kept;

struct Call {
  const abi::CallbackData& callback;
  bool per_thread;  // the null stream is the thread's own

  template <class P>
  const P& As() const {
    return *static_cast<const P*>(callback.parameters);
  }
  CUstream On(CUstream stream) const { return DriverStream(stream, per_thread); }
  // At the exit. The driver's codes are the runtime's.
  cudaError_t status() const {
    return static_cast<cudaError_t>(*static_cast<const CUresult*>(callback.return_value));
  }
  bool succeeded() const { return status() == cudaSuccess; }

  template <class T>
  void Keep(const T& state) const {
    kept.call = state;
    *callback.shared = ++kept.serial;
  }
  // Null where the enter was not seen.
  template <class T>
  T* Kept() const {
    const bool this_one = *callback.shared != 0 && *callback.shared == kept.serial;
    return this_one ? std::get_if<T>(&kept.call) : nullptr;
  }
};

using Part = void (*)(const Call&);

struct Entry {
  abi::CallId id;
  Part enter;
  Part exit;
  bool needed = false;
};

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
    *static_cast<CUresult*>(call.callback.return_value) = again();
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
  const auto& p = call.As<abi::ExecUpdateParams>();
  call.Keep(new (std::nothrow) UpdateCall(p.exec, p.graph));
}

// The driver's result is the runtime's, field by field (driver_types.h, cuda.h).
static_assert(sizeof(cudaGraphExecUpdateResultInfo) == sizeof(CUgraphExecUpdateResultInfo));
static_assert(offsetof(cudaGraphExecUpdateResultInfo, result) ==
              offsetof(CUgraphExecUpdateResultInfo, result));

void ExitUpdate(const Call& call) {
  auto* state = call.Kept<UpdateCall*>();
  if (state == nullptr || *state == nullptr) return;
  (*state)->Commit(call.status(), reinterpret_cast<const cudaGraphExecUpdateResultInfo*>(
                                      call.As<abi::ExecUpdateParams>().result));
  delete *state;
  *state = nullptr;
}

template <class Driver>
cudaKernelNodeParams RuntimeParams(const Driver& from) {
  cudaKernelNodeParams to{};
  to.func = from.func != nullptr ? static_cast<void*>(from.func) : static_cast<void*>(from.kern);
  to.gridDim = dim3(from.gridDimX, from.gridDimY, from.gridDimZ);
  to.blockDim = dim3(from.blockDimX, from.blockDimY, from.blockDimZ);
  to.sharedMemBytes = from.sharedMemBytes;
  to.kernelParams = from.kernelParams;
  to.extra = from.extra;
  return to;
}

void ExitKernelNodeParams(const Call& call) {
  const auto& p = call.As<abi::KernelNodeParams>();
  if (!call.succeeded() || p.parameters == nullptr) return;
  hooks::NodeParamsTaken(p.exec, p.node, RuntimeParams(*p.parameters));
}

void ExitAnyNodeParams(const Call& call) {
  const auto& p = call.As<abi::AnyNodeParams>();
  if (!call.succeeded() || p.parameters == nullptr) return;
  if (p.parameters->type != CU_GRAPH_NODE_TYPE_KERNEL) return;
  hooks::NodeParamsTaken(p.exec, p.node, RuntimeParams(p.parameters->kernel));
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

// ---- kernel launches

void EnterEager(const Call& call, const DriverLaunch& launch) {
  const Function* function = KernelOf(launch);
  if (function == nullptr || !function->decoded()) [[likely]]
    return;
  Arguments arguments(*function, launch.arguments, launch.extra);
  EagerCall eager;
  eager.Begin(*function, arguments.get(), launch.Shape(), call.On(launch.stream), false);
  call.Keep(eager);
}

void EnterLaunch(const Call& call) {
  const auto& p = call.As<abi::LaunchParams>();
  EnterEager(call, {.function = p.function,
                    .grid = dim3(p.grid[0], p.grid[1], p.grid[2]),
                    .block = dim3(p.block[0], p.block[1], p.block[2]),
                    .stream = p.stream,
                    .arguments = p.arguments,
                    .extra = p.extra});
}

void EnterLaunchCooperative(const Call& call) {
  const auto& p = call.As<abi::LaunchCooperativeParams>();
  EnterEager(call, {.function = p.function,
                    .grid = dim3(p.grid[0], p.grid[1], p.grid[2]),
                    .block = dim3(p.block[0], p.block[1], p.block[2]),
                    .stream = p.stream,
                    .arguments = p.arguments,
                    .cooperative = true});
}

void EnterLaunchEx(const Call& call) {
  const auto& p = call.As<abi::LaunchExParams>();
  if (p.config == nullptr) return;
  EnterEager(call, {.function = p.function,
                    .grid = dim3(p.config->gridDimX, p.config->gridDimY, p.config->gridDimZ),
                    .block = dim3(p.config->blockDimX, p.config->blockDimY, p.config->blockDimZ),
                    .stream = p.config->hStream,
                    .arguments = p.arguments,
                    .extra = p.extra,
                    .attributes = p.config->attrs,
                    .attribute_count = p.config->numAttrs});
}

void ExitLaunch(const Call& call) {
  if (auto* eager = call.Kept<EagerCall>()) eager->End(call.status());
}

void EnterUnload(const Call&) { hooks::CodeUnloaded(); }

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

constexpr Entry kEntries[] = {
    {abi::kStreamBeginCapture, EnterBeginCapture, ExitBegin, true},
    {abi::kStreamBeginCaptureToGraph, EnterBeginToGraph, ExitBegin},
    {abi::kStreamEndCapture, nullptr, ExitEndCapture, true},
    {abi::kGraphInstantiateV2, EnterInstantiateLog, ExitInstantiateLog},
    {abi::kGraphInstantiateFlags, EnterInstantiateFlags, ExitInstantiateFlags, true},
    {abi::kGraphInstantiateWithParams, EnterInstantiateParams, ExitInstantiateParams, true},
    {abi::kGraphExecUpdate, EnterUpdate, ExitUpdate},
    {abi::kGraphExecKernelNodeSetParams, nullptr, ExitKernelNodeParams},
    {abi::kGraphExecNodeSetParams, nullptr, ExitAnyNodeParams},
    {abi::kGraphNodeSetEnabled, nullptr, ExitNodeEnabled},
    {abi::kGraphUpload, nullptr, ExitUpload},
    {abi::kGraphLaunch, EnterGraphLaunch, ExitGraphLaunch, true},
    {abi::kGraphExecDestroy, EnterExecDestroy, nullptr},
    {abi::kGraphDestroy, EnterGraphDestroy, nullptr},
    {abi::kLaunchKernel, EnterLaunch, ExitLaunch, true},
    {abi::kLaunchKernelEx, EnterLaunchEx, ExitLaunch, true},
    {abi::kLaunchCooperativeKernel, EnterLaunchCooperative, ExitLaunch},
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

struct Slot {
  const Entry* entry = nullptr;
  bool per_thread = false;
};
constinit std::array<Slot, abi::kIds> slots{};

std::vector<CallbackId>& Ids() {
  static auto* ids = new std::vector<CallbackId>();
  return *ids;
}

}  // namespace

void PrepareCallbacks() {
  if (!Ids().empty()) return;
  for (const Entry& entry : kEntries) {
    slots[entry.id.plain] = {&entry, false};
    Ids().push_back({entry.id.plain, entry.needed});
    if (entry.id.per_thread == 0) continue;
    slots[entry.id.per_thread] = {&entry, true};
    Ids().push_back({entry.id.per_thread, entry.needed});
  }
}

std::span<const CallbackId> CallbackIds() { return Ids(); }

void OnCallback(void*, int domain, uint32_t id, const void* data) noexcept {
  if (Inside::Now() || domain != abi::kDriverApi || id >= slots.size()) return;
  const Slot slot = slots[id];
  if (slot.entry == nullptr || data == nullptr) return;
  const KeepErrno keep;
  const Inside inside;
  const ThroughCupti origin;
  const auto& callback = *static_cast<const abi::CallbackData*>(data);
  const bool enter = callback.site == abi::kEnter;
  if (enter) *callback.shared = 0;  // nothing kept
  const Part part = enter ? slot.entry->enter : slot.entry->exit;
  if (part != nullptr) part({callback, slot.per_thread});
}

}  // namespace lamplight::shim::cupti
