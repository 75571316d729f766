// libcuda: contexts beside and inside the primary one, and the resources of green ones. Thin C
// entries; thread-safe.
#include <cuda.h>

#include <algorithm>

#include "tests/device_sim/context.h"
#include "tests/device_sim/entry_guard.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

namespace {

constexpr unsigned kProcessors = 132;
constexpr unsigned kPartition = 8;

CUdevResource Processors(unsigned count) {
  CUdevResource resource{};
  resource.type = CU_DEV_RESOURCE_TYPE_SM;
  resource.sm = {count, kPartition, kPartition};
  return resource;
}

CUresult Create(CUcontext* out, unsigned flags, CUdevice ordinal) {
  return Driver([&]() -> Status {
    Device* device = DeviceAt(ordinal);
    if (device == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    if (out == nullptr || (flags & ~unsigned{CU_CTX_FLAGS_MASK}) != 0) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    Context* context = CreateContext(*device, Context::Kind::kOrdinary);
    *out = context->handle();
    return PushCurrentContext(context);
  });
}

// `body(Context&)`.
template <class Body>
CUresult InGreen(CUgreenCtx handle, Body body) {
  return Driver([&]() -> Status {
    Context* context = FindGreenContext(handle);
    return context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : body(*context);
  });
}

}  // namespace

#undef cuCtxCreate
#undef cuCtxCreate_v2

extern "C" {

CUresult cuCtxCreate_v2(CUcontext* out, unsigned flags, CUdevice device) {
  return Create(out, flags, device);
}

CUresult cuCtxCreate_v4(CUcontext* out, CUctxCreateParams* parameters, unsigned flags,
                        CUdevice device) {
  return parameters != nullptr ? CUDA_ERROR_NOT_SUPPORTED : Create(out, flags, device);
}

CUresult cuCtxDestroy(CUcontext handle) {
  return Driver([&]() -> Status {
    Context* context = FindContext(handle);
    if (context == nullptr || context->kind() != Context::Kind::kOrdinary) {
      return CUDA_ERROR_INVALID_CONTEXT;
    }
    if (CurrentContext() == context) SIM_TRY(PopCurrentContext(nullptr));
    ForgetContext(context);
    return kOk;
  });
}

CUresult cuCtxGetId(CUcontext handle, unsigned long long* id) {
  return Driver([&]() -> Status {
    Context* context = handle == nullptr ? CurrentContext() : FindContext(handle);
    return context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : Store(id, context->id());
  });
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
  return DriverInContext([&]() -> Status {
    Context* context = FindContext(peer);
    if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    if (&context->device() == CurrentDevice()) return CUDA_ERROR_INVALID_DEVICE;
    return CurrentDevice()->EnablePeer(context->device().ordinal);
  });
}

CUresult cuDeviceGetDevResource(CUdevice device, CUdevResource* out, CUdevResourceType type) {
  return Driver([&]() -> Status {
    if (DeviceAt(device) == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (type != CU_DEV_RESOURCE_TYPE_SM) return CUDA_ERROR_INVALID_RESOURCE_TYPE;
    *out = Processors(kProcessors);
    return kOk;
  });
}

CUresult cuDevSmResourceSplitByCount(CUdevResource* out, unsigned* groups,
                                     const CUdevResource* from, CUdevResource* remaining, unsigned,
                                     unsigned least) {
  return Driver([&]() -> Status {
    if (groups == nullptr || from == nullptr || from->type != CU_DEV_RESOURCE_TYPE_SM) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    const unsigned share = (std::max(least, 1u) + kPartition - 1) / kPartition * kPartition;
    const unsigned possible = from->sm.smCount / share;
    *groups = out == nullptr ? possible : std::min(*groups, possible);
    if (out != nullptr) std::fill_n(out, *groups, Processors(share));
    if (remaining != nullptr) *remaining = Processors(from->sm.smCount - *groups * share);
    return kOk;
  });
}

CUresult cuDevResourceGenerateDesc(CUdevResourceDesc* out, CUdevResource* resources,
                                   unsigned count) {
  return Driver([&]() -> Status {
    if (resources == nullptr || count != 1 || resources->type != CU_DEV_RESOURCE_TYPE_SM) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    // Kernels run alike in all: it is no more than the number.
    return Store(out, reinterpret_cast<CUdevResourceDesc>(uintptr_t{resources->sm.smCount}));
  });
}

CUresult cuGreenCtxCreate(CUgreenCtx* out, CUdevResourceDesc description, CUdevice ordinal,
                          unsigned flags) {
  return Driver([&]() -> Status {
    Device* device = DeviceAt(ordinal);
    if (device == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    if (out == nullptr || description == nullptr || flags != CU_GREEN_CTX_DEFAULT_STREAM) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    const auto processors = static_cast<unsigned>(reinterpret_cast<uintptr_t>(description));
    *out = CreateContext(*device, Context::Kind::kGreen, processors)->green_handle();
    return kOk;
  });
}

CUresult cuGreenCtxDestroy(CUgreenCtx handle) {
  return InGreen(handle, [](Context& context) {
    ForgetContext(&context);
    return kOk;
  });
}

CUresult cuGreenCtxGetDevResource(CUgreenCtx handle, CUdevResource* out, CUdevResourceType type) {
  return InGreen(handle, [&](Context& context) -> Status {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (type != CU_DEV_RESOURCE_TYPE_SM) return CUDA_ERROR_INVALID_RESOURCE_TYPE;
    *out = Processors(context.processors());
    return kOk;
  });
}

CUresult cuCtxFromGreenCtx(CUcontext* out, CUgreenCtx handle) {
  return InGreen(handle, [&](Context& context) -> Status {
    SIM_TRY(Store(out, context.handle()));
    context.GiveName();
    return kOk;
  });
}

CUresult cuGreenCtxStreamCreate(CUstream* out, CUgreenCtx handle, unsigned flags, int priority) {
  return InGreen(handle, [&](Context& context) -> Status {
    if (flags != CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
    return CreateStream(out, context, flags, priority);
  });
}

}  // extern "C"
