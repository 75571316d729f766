// Recognises Lamport launches. Captured ones are read from the finished graph; eager ones are
// recorded here.
#include "shim/hooks/launch.h"

#include <cstddef>
#include <cstring>
#include <span>

#include "shim/hooks/guard.h"
#include "shim/journals.h"

namespace lamplight::shim::hooks {
namespace {

lamport::LaunchShape ShapeOf(dim3 grid, dim3 block, bool cooperative) {
  lamport::LaunchShape shape{};
  shape.grid[0] = grid.x;
  shape.grid[1] = grid.y;
  shape.grid[2] = grid.z;
  shape.block = block.x * block.y * block.z;
  shape.cluster = 1;
  shape.cooperative = cooperative;
  return shape;
}

lamport::LaunchShape ShapeOf(const cudaLaunchConfig_t& config) {
  lamport::LaunchShape shape = ShapeOf(config.gridDim, config.blockDim, false);
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    const cudaLaunchAttribute& attribute = config.attrs[i];
    if (attribute.id == cudaLaunchAttributeClusterDimension) {
      const auto& cluster = attribute.val.clusterDim;
      shape.cluster = cluster.x * cluster.y * cluster.z;
    } else if (attribute.id == cudaLaunchAttributeProgrammaticStreamSerialization) {
      shape.pdl = attribute.val.programmaticStreamSerializationAllowed != 0;
    } else if (attribute.id == cudaLaunchAttributeCooperative) {
      shape.cooperative = attribute.val.cooperative != 0;
    }
  }
  return shape;
}

// The runtime's launch attributes are the driver's, bit for bit (driver_types.h, cuda.h).
static_assert(sizeof(cudaLaunchAttribute) == sizeof(CUlaunchAttribute));
static_assert(offsetof(cudaLaunchAttribute, val) == offsetof(CUlaunchAttribute, value));
std::span<const CUlaunchAttribute> AttributesOf(const cudaLaunchConfig_t& config) {
  return {reinterpret_cast<const CUlaunchAttribute*>(config.attrs), config.numAttrs};
}

// One eager launch of a decoded Lamport kernel.
struct EagerCall {
  Workspace* workspace = nullptr;
  trace::EagerLaunch record{};
  lamport::DecodedCall decoded{};
  // The only argument, with a journal, where the kernel is one of ours.
  kernels::CollectiveCall own{};
  void* argument = nullptr;
};

// The host's argument is copied, never written to: it may be in use by other threads.
void FillJournal(const Session& session, const Function& function, void** arguments,
                 const Device* device, EagerCall* call) {
  if (!session.config().journal || device == nullptr || arguments[0] == nullptr) return;
  if (!CanJournal(function, call->decoded)) return;
  std::memcpy(&call->own, arguments[0], sizeof(call->own));
  call->own.journal = EagerJournal(*device, call->workspace->id, call->record.op);
  call->argument = &call->own;
  call->record.call.flags |= trace::kCallJournals;
}

// Counts the call in; leaves `call.workspace` null where it cannot be decoded.
void Prepare(Session& session, const Function& function, void** arguments,
             const lamport::LaunchShape& shape, CUstream stream, EagerCall* call) {
  if (arguments == nullptr || session.streams().IsCapturing(stream)) return;
  if (!lamport::Decode(function.recognition, arguments, shape, &call->decoded)) return;
  const Device* device = session.CurrentDevice();
  call->workspace = session.workspaces().Resolve(
      function.recognition, device == nullptr ? trace::kNoId : device->ordinal(), &call->decoded);
  if (call->workspace == nullptr) return;
  call->decoded.call.kernel_id = function.kernel_id;
  call->record.call = call->decoded.call;
  call->record.stream_id = session.streams().Id(stream);
  call->record.header.time_ns = Recorder::NowNs();
  const bool advances = (call->decoded.call.flags & trace::kCallAdvances) != 0;
  call->record.op = call->workspace->ops.fetch_add(advances, std::memory_order_relaxed);
  FillJournal(session, function, arguments, device, call);
}

void Record(Session& session, EagerCall& call, cudaError_t status) {
  if (call.workspace == nullptr) return;
  call.record.status = status;
  if (status == cudaSuccess) {
    call.workspace->NoteEager(call.decoded, call.record.stream_id, call.record.header.time_ns,
                              call.record.op);
  } else if ((call.record.call.flags & trace::kCallAdvances) != 0) {
    call.workspace->ops.fetch_sub(1, std::memory_order_relaxed);
  }
  session.recorder().Emit(trace::RecordType::kEagerLaunch, call.record);
}

const Function* Known(const void* launched) noexcept {
  const Session* session = Session::Running();
  return session == nullptr ? nullptr : const_cast<Session*>(session)->functions().Find(launched);
}

// A first launch names the kernel, with the shim's own set-up done before it: behind a spinning
// kernel it could not be done any more.
const Function* Learn(const void* launched, const void* caller) noexcept {
  const Function* function = nullptr;
  Guarded([&] {
    Session* session = Session::Current();
    if (session == nullptr) return;
    session->CurrentDevice();
    function = session->functions().Learn(launched, caller);
  });
  return function;
}

// `real` takes the arguments that are to be used.
template <class Real>
cudaError_t RecordAround(const Function& function, void** arguments,
                         const lamport::LaunchShape& shape, CUstream stream, Real real) noexcept {
  EagerCall call;
  Guarded([&] { Prepare(*Session::Running(), function, arguments, shape, stream, &call); });
  const cudaError_t status = real(call.argument != nullptr ? &call.argument : arguments);
  Guarded([&] {
    if (Session* session = Session::Running()) Record(*session, call, status);
  });
  return status;
}

// True with `status` set where a kernel of ours was launched instead.
bool LaunchSwapped(const Function& function, void** arguments, const lamport::LaunchShape& shape,
                   std::span<const CUlaunchAttribute> attributes, CUstream stream,
                   cudaError_t* status) noexcept {
  Session* session = Session::Running();
  Swap* swap = session == nullptr ? nullptr : session->swap();
  if (swap == nullptr) return false;
  SwappedCall swapped;
  bool replaced = false;
  Guarded([&] { replaced = swap->Replace(function, arguments, &swapped); });
  if (!replaced) return false;
  void* argument = &swapped.call;
  // The driver's codes are the runtime's.
  *status = RecordAround(
      *swapped.kernel->function, &argument, swapped.Shape(shape.pdl), stream, [&](void** own) {
        return static_cast<cudaError_t>(swap->Launch(swapped, own, attributes, stream));
      });
  return true;
}

template <class ShapeFunction, class Real>
cudaError_t LaunchAround(const void* launched, void** arguments, CUstream stream,
                         const void* caller, ShapeFunction shape,
                         std::span<const CUlaunchAttribute> attributes, Real real) noexcept {
  const Function* function = Known(launched);
  if (function == nullptr) [[unlikely]]
    function = Learn(launched, caller);
  if (function == nullptr || !function->decoded()) [[likely]]
    return real(arguments);
  const lamport::LaunchShape launch_shape = shape();
  cudaError_t status = cudaSuccess;
  if (LaunchSwapped(*function, arguments, launch_shape, attributes, stream, &status)) {
    return status;
  }
  return RecordAround(*function, arguments, launch_shape, stream, real);
}

}  // namespace

cudaError_t Launch(RealFunction<LaunchFunction>& real, const void* function, dim3 grid, dim3 block,
                   void** arguments, size_t shared_bytes, cudaStream_t stream, bool cooperative,
                   bool per_thread, const void* caller) noexcept {
  return LaunchAround(
      function, arguments, DriverStream(stream, per_thread), caller,
      [&] { return ShapeOf(grid, block, cooperative); }, {},
      [&](void** own) { return CallReal(real, function, grid, block, own, shared_bytes, stream); });
}

cudaError_t LaunchHandle(RealFunction<KernelLaunchFunction>& real, cudaKernel_t kernel, dim3 grid,
                         dim3 block, void** arguments, size_t shared_bytes, cudaStream_t stream,
                         bool per_thread, const void* caller) noexcept {
  return LaunchAround(
      kernel, arguments, DriverStream(stream, per_thread), caller,
      [&] { return ShapeOf(grid, block, false); }, {},
      [&](void** own) { return CallReal(real, kernel, grid, block, own, shared_bytes, stream); });
}

cudaError_t LaunchEx(RealFunction<decltype(&cudaLaunchKernelExC)>& real,
                     const cudaLaunchConfig_t* config, const void* function, void** arguments,
                     bool per_thread, const void* caller) noexcept {
  if (config == nullptr) return CallReal(real, config, function, arguments);
  return LaunchAround(
      function, arguments, DriverStream(config->stream, per_thread), caller,
      [&] { return ShapeOf(*config); }, AttributesOf(*config),
      [&](void** own) { return CallReal(real, config, function, own); });
}

void CodeUnloaded() noexcept {
  Guarded([] {
    if (Session* session = Session::Running()) session->functions().ForgetLaunches();
  });
}

}  // namespace lamplight::shim::hooks
