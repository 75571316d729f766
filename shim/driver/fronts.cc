// One table of the fronts, by callback id: CUPTI numbers the driver's functions, each form apart.
#include "shim/driver/fronts.h"

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "shim/arguments.h"
#include "shim/driver/calls.h"
#include "shim/driver/launch.h"
#include "shim/hooks/guard.h"
#include "shim/recorder/origin.h"
#include "shim/resolver.h"

namespace lamplight::shim::driver {
namespace {

using GetProcAddress = CUresult(const char*, void**, int, cuuint64_t,
                                CUdriverProcAddressQueryResult*);
using GetProcAddressOf11 = CUresult(const char*, void**, int, cuuint64_t);

struct Front {
  void* real = nullptr;
  const Watched* watched = nullptr;  // of kernel launches: none
  bool per_thread = false;
};

// What is known of the driver. Immutable once published.
class Table {
 public:
  Table();
  // What stands in front of it; itself: nothing.
  void* FrontOf(void* real) const noexcept;
  bool empty() const noexcept { return pairs_.empty(); }
  const Front& front(uint32_t id) const noexcept { return fronts_[id]; }
  GetProcAddress* get_proc_address() const noexcept { return get_proc_address_; }
  GetProcAddressOf11* get_proc_address_of_11() const noexcept { return get_proc_address_of_11_; }

 private:
  struct Pair {
    void* real;
    void* ours;
  };

  template <class F>
  void AddQuestion(const char* name, std::type_identity_t<F>* ours, F** real);
  void AddFronts();
  template <class F, class P, const abi::CallId& kCall>
  void Add();
  template <class F>
  void AddOne(const std::string& name, uint32_t id, F* ours);

  std::array<Front, abi::kIds> fronts_;
  std::vector<Pair> pairs_;
  GetProcAddress* get_proc_address_ = nullptr;
  GetProcAddressOf11* get_proc_address_of_11_ = nullptr;
};

// Set before the first front is given away.
constinit std::atomic<const Table*> published{nullptr};
const Table& TheTable() noexcept { return *published.load(std::memory_order_acquire); }

std::atomic<bool> given{false};

void Do(Part part, const Call& call) noexcept {
  if (part == nullptr) return;
  const KeepErrno keep;
  const Inside inside;
  const NoCancel no_cancel;
  const Through origin(trace::kRecordThroughDriver);
  part(call);
}

template <class F>
struct Around;
template <class... A>
struct Around<CUresult(A...)> {
  // P: the struct of the arguments.
  template <class P, uint32_t kId>
  static CUresult Call(A... arguments) {
    const Front& front = TheTable().front(kId);
    auto* real = reinterpret_cast<CUresult (*)(A...)>(front.real);
    if (Inside::Now()) return real(arguments...);
    const P parameters{arguments...};
    CUresult result = CUDA_SUCCESS;
    uint64_t shared = 0;
    const driver::Call call{&parameters, &result, &shared, front.per_thread};
    Do(front.watched->enter, call);
    {
      const Inside inside;
      result = real(arguments...);
    }
    Do(front.watched->exit, call);
    return result;
  }
};

// ---- kernel launches

// `real` takes the arguments, and the extra list, that are to be used.
template <class Real>
CUresult LaunchAround(const Launch& launch, bool per_thread, Real real) {
  const Through origin(trace::kRecordThroughDriver);
  const Function* function = KernelOf(launch.function);
  if (function == nullptr || !function->decoded()) [[likely]]
    return real(launch.arguments, launch.extra);
  Arguments host(*function, launch.arguments, launch.extra);
  // The driver's codes are the runtime's.
  return static_cast<CUresult>(hooks::LaunchDecoded(
      *function, host.get(), launch.Shape(), launch.attributes,
      DriverStream(launch.stream, per_thread), [&](void** arguments) {
        const bool hosts_own = arguments == host.get();  // packed ones stay packed
        return static_cast<cudaError_t>(hosts_own ? real(launch.arguments, launch.extra)
                                                  : real(arguments, nullptr));
      }));
}

template <uint32_t kId>
CUresult LaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                      unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                      CUstream stream, void** arguments, void** extra) {
  const Front& front = TheTable().front(kId);
  const auto real = [&](void** own, void** own_extra) {
    const Inside inside;
    return reinterpret_cast<decltype(&LaunchKernel<kId>)>(front.real)(
        function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream, own,
        own_extra);
  };
  if (Inside::Now()) return real(arguments, extra);
  const abi::LaunchParams launch{function,
                                 {grid_x, grid_y, grid_z},
                                 {block_x, block_y, block_z},
                                 shared_bytes,
                                 stream,
                                 arguments,
                                 extra};
  return LaunchAround(Launch(launch), front.per_thread, real);
}

template <uint32_t kId>
CUresult LaunchCooperative(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                           unsigned block_x, unsigned block_y, unsigned block_z,
                           unsigned shared_bytes, CUstream stream, void** arguments) {
  const Front& front = TheTable().front(kId);
  const auto real = [&](void** own, void**) {
    const Inside inside;
    return reinterpret_cast<decltype(&LaunchCooperative<kId>)>(front.real)(
        function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream, own);
  };
  if (Inside::Now()) return real(arguments, nullptr);
  const abi::LaunchCooperativeParams launch{
      function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, stream,
      arguments};
  return LaunchAround(Launch(launch), front.per_thread, real);
}

template <uint32_t kId>
CUresult LaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** arguments,
                        void** extra) {
  const Front& front = TheTable().front(kId);
  const auto real = [&](void** own, void** own_extra) {
    const Inside inside;
    return reinterpret_cast<decltype(&LaunchKernelEx<kId>)>(front.real)(config, function, own,
                                                                        own_extra);
  };
  if (config == nullptr || Inside::Now()) return real(arguments, extra);
  return LaunchAround(Launch(abi::LaunchExParams{config, function, arguments, extra}),
                      front.per_thread, real);
}

// ---- the question for functions itself

void GiveFront(CUresult result, void** function) noexcept {
  if (result == CUDA_SUCCESS && function != nullptr) *function = FrontOf(*function);
}

CUresult GetProcAddressInFront(const char* symbol, void** function, int version, cuuint64_t flags,
                               CUdriverProcAddressQueryResult* status) {
  const CUresult result = TheTable().get_proc_address()(symbol, function, version, flags, status);
  GiveFront(result, function);
  return result;
}

CUresult GetProcAddressOf11InFront(const char* symbol, void** function, int version,
                                   cuuint64_t flags) {
  const CUresult result = TheTable().get_proc_address_of_11()(symbol, function, version, flags);
  GiveFront(result, function);
  return result;
}

// ---- the table

Table::Table() {
  AddQuestion("cuGetProcAddress_v2", GetProcAddressInFront, &get_proc_address_);
  AddQuestion("cuGetProcAddress", GetProcAddressOf11InFront, &get_proc_address_of_11_);
  AddFronts();
}

void* Table::FrontOf(void* real) const noexcept {
  for (const Pair& pair : pairs_) {
    if (pair.real == real) return pair.ours;
  }
  return real;
}

template <class F>
void Table::AddQuestion(const char* name, std::type_identity_t<F>* ours, F** real) {
  void* found = ResolveLoadedDriver(name);
  if (found == nullptr) return;
  *real = reinterpret_cast<F*>(found);
  pairs_.push_back({found, reinterpret_cast<void*>(ours)});
}

void Table::AddFronts() {
  using namespace abi;  // NOLINT
  Add<decltype(::cuStreamBeginCapture), BeginCaptureParams, kStreamBeginCapture>();
  Add<decltype(::cuStreamBeginCaptureToGraph), BeginToGraphParams, kStreamBeginCaptureToGraph>();
  Add<decltype(::cuStreamEndCapture), EndCaptureParams, kStreamEndCapture>();
  Add<CUresult(CUgraphExec*, CUgraph, CUgraphNode*, char*, size_t), InstantiateLogParams,
      kGraphInstantiateV2>();
  Add<decltype(::cuGraphInstantiateWithFlags), InstantiateParams, kGraphInstantiateFlags>();
  Add<decltype(::cuGraphInstantiateWithParams), InstantiateWithParams,
      kGraphInstantiateWithParams>();
  Add<decltype(::cuGraphExecUpdate), ExecUpdateParams, kGraphExecUpdate>();
  Add<CUresult(CUgraphExec, CUgraph, CUgraphNode*, CUgraphExecUpdateResult*), ExecUpdateOf11Params,
      kGraphExecUpdateOf11>();
  Add<decltype(::cuGraphExecKernelNodeSetParams), KernelNodeParams,
      kGraphExecKernelNodeSetParams>();
  Add<CUresult(CUgraphExec, CUgraphNode, const CUDA_KERNEL_NODE_PARAMS_v1*), KernelNodeOf11Params,
      kGraphExecKernelNodeSetParamsOf11>();
  Add<decltype(::cuGraphExecChildGraphNodeSetParams), ChildParams, kGraphExecChildSetParams>();
  Add<decltype(::cuGraphExecNodeSetParams), AnyNodeParams, kGraphExecNodeSetParams>();
  Add<decltype(::cuGraphNodeSetEnabled), NodeEnabledParams, kGraphNodeSetEnabled>();
  Add<decltype(::cuGraphUpload), ExecOnStreamParams, kGraphUpload>();
  Add<decltype(::cuGraphLaunch), ExecOnStreamParams, kGraphLaunch>();
  Add<decltype(::cuGraphExecDestroy), ExecParams, kGraphExecDestroy>();
  Add<decltype(::cuGraphDestroy), GraphParams, kGraphDestroy>();
  Add<decltype(::cuCtxDestroy), CtxParams, kCtxDestroy>();
  Add<decltype(::cuDevicePrimaryCtxRelease), DeviceParams, kPrimaryCtxRelease>();
  Add<decltype(::cuDevicePrimaryCtxReset), DeviceParams, kPrimaryCtxReset>();
  Add<decltype(::cuModuleUnload), ModuleParams, kModuleUnload>();
  Add<decltype(::cuLibraryUnload), LibraryParams, kLibraryUnload>();
  Add<decltype(::cuStreamCreate), StreamCreateParams, kStreamCreate>();
  Add<decltype(::cuStreamCreateWithPriority), StreamCreatePriorityParams,
      kStreamCreateWithPriority>();
  Add<decltype(::cuStreamDestroy), StreamParams, kStreamDestroy>();
  Add<decltype(::cuEventRecord), EventRecordParams, kEventRecord>();
  Add<decltype(::cuEventRecordWithFlags), EventRecordFlagsParams, kEventRecordWithFlags>();
  Add<decltype(::cuEventDestroy), EventParams, kEventDestroy>();
  Add<decltype(::cuEventQuery), EventParams, kEventQuery>();
  Add<decltype(::cuEventSynchronize), EventParams, kEventSynchronize>();
  Add<decltype(::cuStreamWaitEvent), StreamWaitParams, kStreamWaitEvent>();
  Add<decltype(::cuStreamQuery), StreamParams, kStreamQuery>();
  Add<decltype(::cuStreamSynchronize), StreamParams, kStreamSynchronize>();
  Add<CUresult(), CtxParams, kCtxSynchronize>();
  Add<CUresult(CUcontext), CtxParams, kCtxSynchronizeV2>();
#define LAMPLIGHT_ADD_LAUNCH(id, Front)       \
  AddOne(id.name, id.plain, Front<id.plain>); \
  AddOne(std::string(id.name) + "_ptsz", id.per_thread, Front<id.per_thread>)
  LAMPLIGHT_ADD_LAUNCH(kLaunchKernel, LaunchKernel);
  LAMPLIGHT_ADD_LAUNCH(kLaunchKernelEx, LaunchKernelEx);
  LAMPLIGHT_ADD_LAUNCH(kLaunchCooperativeKernel, LaunchCooperative);
#undef LAMPLIGHT_ADD_LAUNCH
}

template <class F, class P, const abi::CallId& kCall>
void Table::Add() {
  AddOne(kCall.name, kCall.plain, Around<F>::template Call<P, kCall.plain>);
  if constexpr (kCall.per_thread != 0) {
    AddOne(std::string(kCall.name) + "_ptsz", kCall.per_thread,
           Around<F>::template Call<P, kCall.per_thread>);
  }
}

template <class F>
void Table::AddOne(const std::string& name, uint32_t id, F* ours) {
  Front& front = fronts_[id];
  for (const Watched& watched : Calls()) {
    if (watched.id.plain == id || watched.id.per_thread == id) front.watched = &watched;
  }
  front.per_thread = name.ends_with("_ptsz");
  front.real = ResolveLoadedDriver(name.c_str());
  if (front.real != nullptr) pairs_.push_back({front.real, reinterpret_cast<void*>(ours)});
}

// No lock, and no guard of a static: the dynamic linker's lock may be held around this in one
// thread and be wanted in here by another. Two threads may build a table; one is kept.
const Table* Publish() noexcept {
  const Table* known = published.load(std::memory_order_acquire);
  if (known != nullptr) return known;
  try {
    auto table = std::make_unique<const Table>();
    // What was found is no function of the driver's: the process has not loaded it yet.
    if (table->empty()) return nullptr;
    if (published.compare_exchange_strong(known, table.get())) return table.release();
    return known;
  } catch (...) {
    return nullptr;
  }
}

}  // namespace

void* FrontOf(void* real) noexcept {
  const Table* table = real == nullptr ? nullptr : Publish();
  void* front = table == nullptr ? real : table->FrontOf(real);
  if (front != real) given.store(true, std::memory_order_release);
  return front;
}

bool Given() noexcept { return given.load(std::memory_order_acquire); }

}  // namespace lamplight::shim::driver
