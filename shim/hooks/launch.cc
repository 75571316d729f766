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
  lamport::LaunchShape shape = hooks::ShapeOf(grid, block, nullptr, 0);
  shape.cooperative = cooperative;
  return shape;
}

// The runtime's launch attributes are the driver's, bit for bit (driver_types.h, cuda.h).
static_assert(sizeof(cudaLaunchAttribute) == sizeof(CUlaunchAttribute));
static_assert(offsetof(cudaLaunchAttribute, val) == offsetof(CUlaunchAttribute, value));
std::span<const CUlaunchAttribute> AttributesOf(const cudaLaunchConfig_t& config) {
  return {reinterpret_cast<const CUlaunchAttribute*>(config.attrs), config.numAttrs};
}

const Function* Known(const void* launched) noexcept {
  Session* session = Session::Standing();
  return session == nullptr ? nullptr : session->functions().Find(launched);
}

// A first launch names the kernel, with the shim's own set-up done before it: behind a spinning
// kernel it could not be done any more.
const Function* Learn(const void* launched, const void* caller) noexcept {
  const Function* function = nullptr;
  Guarded([&] {
    Session* session = Session::ForLaunches();
    if (session == nullptr) return;
    session->CurrentDevice();
    function = session->functions().Learn(launched, caller);
  });
  return function;
}

template <class ShapeFunction, class Real>
cudaError_t LaunchAround(const void* launched, void** arguments, CUstream stream,
                         const void* caller, ShapeFunction shape,
                         std::span<const CUlaunchAttribute> attributes, Real real) {
  const Function* function = Known(launched);
  if (function == nullptr) [[unlikely]]
    function = Learn(launched, caller);
  if (function == nullptr || !function->decoded()) [[likely]]
    return real(arguments);
  return LaunchDecoded(*function, arguments, shape(), attributes, stream, real);
}

}  // namespace

bool LaunchSwapped(const Function& function, void** arguments, const lamport::LaunchShape& shape,
                   std::span<const CUlaunchAttribute> attributes, CUstream stream,
                   cudaError_t* status) noexcept {
  Session* session = Session::Standing();
  Swap* swap = session == nullptr ? nullptr : session->swap();
  if (swap == nullptr) return false;
  const NoCancel no_cancel;  // the launch is the shim's own
  SwappedCall swapped;
  bool replaced = false;
  Guarded([&] {
    const Device* device = session->CurrentDevice();
    const uint32_t share = session->streams().Share(stream);
    replaced =
        device != nullptr && swap->Replace(device->context(), function, arguments, share, &swapped);
  });
  if (!replaced) return false;
  void* argument = &swapped.call;
  const Inside inside;  // the launch is recorded here, under our kernel's name
  // The driver's codes are the runtime's.
  *status =
      RecordAround(*swapped.function, &argument, swapped.Shape(shape.pdl), stream, [&](void** own) {
        return static_cast<cudaError_t>(swap->Launch(swapped, own, attributes, stream));
      });
  return true;
}

lamport::LaunchShape ShapeOf(dim3 grid, dim3 block, const CUlaunchAttribute* attributes,
                             size_t count) noexcept {
  lamport::LaunchShape shape{};
  shape.grid[0] = grid.x;
  shape.grid[1] = grid.y;
  shape.grid[2] = grid.z;
  shape.block = block.x * block.y * block.z;
  shape.cluster = 1;
  for (size_t i = 0; attributes != nullptr && i < count; ++i) {
    const CUlaunchAttributeValue& value = attributes[i].value;
    if (attributes[i].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION) {
      shape.cluster = value.clusterDim.x * value.clusterDim.y * value.clusterDim.z;
    } else if (attributes[i].id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION) {
      shape.pdl = value.programmaticStreamSerializationAllowed != 0;
    } else if (attributes[i].id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE) {
      shape.cooperative = value.cooperative != 0;
    }
  }
  return shape;
}

void EagerCall::Begin(const Function& function, void** arguments, const lamport::LaunchShape& shape,
                      CUstream stream, bool may_fill) noexcept {
  Guarded([&] {
    Session* session = Session::Running();
    if (session == nullptr || arguments == nullptr) return;
    if (session->streams().IsCapturing(stream)) return;
    Count(*session, function, arguments, shape, stream);
    if (workspace_ != nullptr && may_fill) FillJournal(*session, function, arguments);
  });
}

void EagerCall::Count(Session& session, const Function& function, void** arguments,
                      const lamport::LaunchShape& shape, CUstream stream) {
  if (!lamport::Decode(function.recognition, arguments, shape, &decoded_)) return;
  device_ = session.CurrentDevice();
  workspace_ = session.workspaces().Resolve(
      function.recognition, device_ == nullptr ? trace::kNoId : device_->ordinal(), &decoded_);
  if (workspace_ == nullptr) return;
  decoded_.call.kernel_id = function.kernel_id;
  record_.call = decoded_.call;
  record_.stream_id = session.streams().Id(stream);
  record_.header.time_ns = Recorder::NowNs();
  const bool advances = (decoded_.call.flags & trace::kCallAdvances) != 0;
  record_.op = workspace_->ops.fetch_add(advances, std::memory_order_relaxed);
}

// The host's argument is copied, never written to: it may be in use by other threads.
void EagerCall::FillJournal(const Session& session, const Function& function, void** arguments) {
  if (!session.config().journal || device_ == nullptr || arguments[0] == nullptr) return;
  if (!CanJournal(function, decoded_)) return;
  std::memcpy(&own_, arguments[0], sizeof(own_));
  own_.journal = EagerJournal(*device_, workspace_->id, record_.op);
  argument_ = &own_;
  record_.call.flags |= trace::kCallJournals;
}

void EagerCall::End(cudaError_t status) noexcept {
  Guarded([&] {
    Session* session = Session::Running();
    if (session == nullptr || workspace_ == nullptr) return;
    record_.status = status;
    if (status == cudaSuccess) {
      workspace_->NoteEager(decoded_, record_.stream_id, record_.header.time_ns, record_.op);
    } else if ((record_.call.flags & trace::kCallAdvances) != 0) {
      workspace_->ops.fetch_sub(1, std::memory_order_relaxed);
    }
    session->recorder().Emit(trace::RecordType::kEagerLaunch, record_);
  });
}

cudaError_t Launch(RealFunction<LaunchFunction>& real, const void* function, dim3 grid, dim3 block,
                   void** arguments, size_t shared_bytes, cudaStream_t stream, bool cooperative,
                   bool per_thread, const void* caller) {
  return LaunchAround(
      function, arguments, DriverStream(stream, per_thread), caller,
      [&] { return ShapeOf(grid, block, cooperative); }, {},
      [&](void** own) { return CallReal(real, function, grid, block, own, shared_bytes, stream); });
}

cudaError_t LaunchHandle(RealFunction<KernelLaunchFunction>& real, cudaKernel_t kernel, dim3 grid,
                         dim3 block, void** arguments, size_t shared_bytes, cudaStream_t stream,
                         bool per_thread, const void* caller) {
  return LaunchAround(
      kernel, arguments, DriverStream(stream, per_thread), caller,
      [&] { return ShapeOf(grid, block, false); }, {},
      [&](void** own) { return CallReal(real, kernel, grid, block, own, shared_bytes, stream); });
}

cudaError_t LaunchEx(RealFunction<decltype(&cudaLaunchKernelExC)>& real,
                     const cudaLaunchConfig_t* config, const void* function, void** arguments,
                     bool per_thread, const void* caller) {
  if (config == nullptr) return CallReal(real, config, function, arguments);
  return LaunchAround(
      function, arguments, DriverStream(config->stream, per_thread), caller,
      [&] {
        const std::span<const CUlaunchAttribute> attributes = AttributesOf(*config);
        return ShapeOf(config->gridDim, config->blockDim, attributes.data(), attributes.size());
      },
      AttributesOf(*config), [&](void** own) { return CallReal(real, config, function, own); });
}

ContextEnd::ContextEnd() noexcept {
  CodeUnloaded();
  Guarded([&] {
    Session* session = Session::Standing();
    if (session == nullptr) return;
    session->streams().HoldQueries();
    session_ = session;
  });
}

void ContextEnd::Returned() noexcept {
  if (session_ != nullptr) session_->streams().ReleaseQueries();
}

cudaError_t DeviceReset(RealFunction<decltype(&cudaDeviceReset)>& real) {
  ContextEnd end;
  const cudaError_t status = CallReal(real);
  end.Returned();
  return status;
}

void CodeUnloaded() noexcept {
  Guarded([] {
    if (Session* session = Session::Standing()) session->functions().ForgetLaunches();
  });
}

}  // namespace lamplight::shim::hooks
