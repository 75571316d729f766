// Thread-safe.
#include "tests/device_sim/submit.h"

#include "tests/device_sim/capture.h"
#include "tests/device_sim/config.h"
#include "tests/device_sim/context.h"
#include "tests/device_sim/memory.h"

namespace device_sim {
namespace {

const std::function<void()>& NothingElseToRun() {
  static const auto& nothing = *new std::function<void()>([] {});
  return nothing;
}

bool IsKnown(CUlaunchAttributeID id) {
  switch (id) {
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      return true;
    default:
      return false;
  }
}

// The memory of a copy end, checked: device ends must be live device memory.
Status CheckEnd(uintptr_t address, size_t bytes, CUmemorytype type) {
  if (type == CU_MEMORYTYPE_DEVICE && !IsDeviceRange(address, bytes) && !IsPinnedHost(address)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return address == 0 ? CUDA_ERROR_INVALID_VALUE : kOk;
}

bool IsPageable(uintptr_t address) { return !FindAllocation(address); }

std::shared_ptr<const std::vector<std::byte>> Stage(uintptr_t from, size_t bytes) {
  const auto* first = reinterpret_cast<const std::byte*>(from);
  return std::make_shared<const std::vector<std::byte>>(first, first + bytes);
}

Status CheckSideChannel(const CopyCall& copy, bool wait) {
  const bool fails = !wait && copy.device_to_host && AnyKernelPolls() &&
                     TheConfig()->side_channel == SideChannel::kFails;
  return fails ? CUDA_ERROR_UNKNOWN : kOk;
}

MarkerRef Enqueue(Stream& stream, Operation operation) {
  return stream.Submit({}, [shared = std::make_shared<const Operation>(std::move(operation))] {
    return Execute(*shared, NothingElseToRun());
  });
}

}  // namespace

Status Submit(Stream& stream, Operation operation) {
  if (stream.capturing) return CaptureOperation(stream, std::move(operation));
  SIM_TRY(CheckLegacyUse(stream));
  SIM_TRY(stream.device().failure());
  Enqueue(stream, std::move(operation));
  return kOk;
}

Status SubmitAndWait(Stream& stream, Operation operation) {
  SIM_TRY(CheckNotCapturing(stream));
  SIM_TRY(CheckUnsafeCall());
  SIM_TRY(stream.device().failure());
  const MarkerRef done = Enqueue(stream, std::move(operation));
  done->Wait();
  return done->status();
}

Status BuildKernelCall(const LaunchRequest& request, KernelCall* call) {
  Kernel* kernel = LookUpKernel(request.function);
  if (kernel == nullptr) return kInvalidDeviceFunction;
  SIM_TRY(MakeRunnable(*kernel));
  call->kernel = kernel;
  call->context = request.context != nullptr ? request.context : CurrentContext();
  call->grid = request.grid;
  call->block = request.block;
  call->shared_bytes = static_cast<unsigned>(request.shared_bytes);
  if (request.attributes == nullptr && request.attribute_count > 0) return CUDA_ERROR_INVALID_VALUE;
  call->attributes.clear();
  for (size_t i = 0; i < request.attribute_count; ++i) {
    if (!IsKnown(request.attributes[i].id)) return CUDA_ERROR_INVALID_VALUE;
    call->attributes.push_back(request.attributes[i]);
  }
  SIM_TRY(CheckShape(*call));
  return CopyParameters(*kernel, request.arguments, request.extra, &call->parameters);
}

Status Launch(Stream& stream, const LaunchRequest& request) {
  KernelCall call;
  SIM_TRY(BuildKernelCall(request, &call));
  call.context = &stream.context();
  return Submit(stream, std::move(call));
}

Status Copy(Stream& stream, uintptr_t to, uintptr_t from, size_t bytes, CUmemorytype to_type,
            CUmemorytype from_type, bool wait) {
  if (bytes == 0) return kOk;
  SIM_TRY(CheckEnd(to, bytes, to_type));
  SIM_TRY(CheckEnd(from, bytes, from_type));
  CopyCall copy{.to = to, .from = from, .bytes = bytes, .staged = nullptr};
  copy.device_to_host = IsDeviceRange(from, bytes) && !IsDeviceRange(to, bytes);
  SIM_TRY(CheckSideChannel(copy, wait));
  if (wait) return SubmitAndWait(stream, std::move(copy));
  if (stream.capturing) return Submit(stream, std::move(copy));
  // Pageable memory: the source may change after the call, the target is complete at its end.
  if (IsPageable(from)) copy.staged = Stage(from, bytes);
  const bool to_pageable = IsPageable(to);
  SIM_TRY(Submit(stream, std::move(copy)));
  return to_pageable ? stream.Synchronize() : kOk;
}

Status Fill(Stream& stream, const FillCall& fill, bool wait) {
  const size_t row = fill.width * fill.element_bytes;
  if (row == 0 || fill.rows == 0) return kOk;
  const size_t bytes = fill.rows == 1 ? row : fill.pitch * (fill.rows - 1) + row;
  if (fill.to % fill.element_bytes != 0) return CUDA_ERROR_INVALID_VALUE;
  if (!IsDeviceRange(fill.to, bytes) && !IsPinnedHost(fill.to)) return CUDA_ERROR_INVALID_VALUE;
  return wait ? SubmitAndWait(stream, fill) : Submit(stream, fill);
}

}  // namespace device_sim
