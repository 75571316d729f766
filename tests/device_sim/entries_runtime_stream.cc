// libcudart: everything that names a stream. Compiled twice: with
// CUDA_API_PER_THREAD_DEFAULT_STREAM the headers rename the entries to their _ptsz and _ptds forms.
// Thread-safe.
#include <cuda_runtime_api.h>

#include "tests/device_sim/capture.h"
#include "tests/device_sim/driver_lookup.h"
#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/event.h"
#include "tests/device_sim/exec.h"
#include "tests/device_sim/submit.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

namespace {

CUmemorytype ToType(cudaMemcpyKind kind) {
  const bool device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  return device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_UNIFIED;
}

CUmemorytype FromType(cudaMemcpyKind kind) {
  const bool device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_UNIFIED;
}

cudaError_t CopyOn(CUstream stream, void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                   bool wait) {
  return RuntimeOn(stream, [&](Stream& on) -> Status {
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) {
      return static_cast<Status>(cudaErrorInvalidMemcpyDirection);
    }
    return Copy(on, AddressOf(to), AddressOf(from), bytes, ToType(kind), FromType(kind), wait);
  });
}

cudaError_t FillOn(CUstream stream, void* to, int value, size_t bytes, bool wait) {
  return RuntimeOn(stream, [&](Stream& on) {
    const FillCall fill{.to = AddressOf(to), .value = static_cast<unsigned>(value), .width = bytes};
    return Fill(on, fill, wait);
  });
}

cudaError_t LaunchOn(CUstream stream, const LaunchRequest& request) {
  return RuntimeOn(stream, [&](Stream& on) { return Launch(on, request); });
}

LaunchRequest Request(const void* function, dim3 grid, dim3 block, void** arguments,
                      size_t shared_bytes) {
  return {.function = function,
          .grid = ToDim3(grid),
          .block = ToDim3(block),
          .shared_bytes = shared_bytes,
          .arguments = arguments};
}

cudaError_t EntryPoint(const char* symbol, void** out, unsigned version, unsigned long long flags,
                       cudaDriverEntryPointQueryResult* found) {
  return Runtime([&]() -> Status {
    if (symbol == nullptr || out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const bool per_thread =
        (flags & cudaEnablePerThreadDefaultStream) != 0 ||
        ((flags & cudaEnableLegacyStream) == 0 && kDefaultStream == DefaultStream::kPerThread);
    *out = FindDriverEntry(symbol, static_cast<int>(version), per_thread);
    if (found != nullptr) {
      *found = *out != nullptr ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    }
    return *out != nullptr || found != nullptr ? kOk : CUDA_ERROR_NOT_FOUND;
  });
}

}  // namespace

// The compiler's own launch entries; only crt headers that need nvcc declare them.
#ifdef CUDA_API_PER_THREAD_DEFAULT_STREAM
#define __cudaLaunchKernel __cudaLaunchKernel_ptsz
#endif

extern "C" {

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               size_t shared_bytes, cudaStream_t stream) {
  return LaunchOn(stream, Request(kernel, grid, block, arguments, shared_bytes));
}

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             size_t shared_bytes, cudaStream_t stream) {
  return LaunchOn(stream, Request(function, grid, block, arguments, shared_bytes));
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function,
                                void** arguments) {
  if (config == nullptr) return Runtime([] { return CUDA_ERROR_INVALID_VALUE; });
  LaunchRequest request =
      Request(function, config->gridDim, config->blockDim, arguments, config->dynamicSmemBytes);
  request.attributes = reinterpret_cast<const CUlaunchAttribute*>(config->attrs);
  request.attribute_count = config->numAttrs;
  return LaunchOn(config->stream, request);
}

cudaError_t cudaLaunchCooperativeKernel(const void* function, dim3 grid, dim3 block,
                                        void** arguments, size_t shared_bytes,
                                        cudaStream_t stream) {
  CUlaunchAttribute cooperative{};
  cooperative.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
  cooperative.value.cooperative = 1;
  LaunchRequest request = Request(function, grid, block, arguments, shared_bytes);
  request.attributes = &cooperative;
  request.attribute_count = 1;
  return LaunchOn(stream, request);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* argument) {
  return RuntimeOn(stream, [&](Stream& on) -> Status {
    if (function == nullptr) return CUDA_ERROR_INVALID_VALUE;
    return Submit(on, HostCall{function, argument});
  });
}

cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t callback,
                                  void* argument, unsigned flags) {
  return RuntimeOn(stream, [&](Stream& on) -> Status {
    if (callback == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    if (on.capturing) return CheckNotCapturing(on);
    SIM_TRY(CheckLegacyUse(on));
    on.Submit({}, [callback, stream, argument] {
      callback(stream, cudaSuccess, argument);
      return kOk;
    });
    return kOk;
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return CopyOn(nullptr, to, from, bytes, kind, true);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return CopyOn(stream, to, from, bytes, kind, false);
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return FillOn(nullptr, to, value, bytes, true);
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  return FillOn(stream, to, value, bytes, false);
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return RuntimeOn(stream, [](Stream& on) { return StreamQuery(on); });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return RuntimeOn(stream, [](Stream& on) { return StreamSynchronize(on); });
}

cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned* flags) {
  return RuntimeOn(stream, [&](Stream& on) {
    return on.capturing ? CheckNotCapturing(on) : Store(flags, on.flags());
  });
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int* priority) {
  return RuntimeOn(stream, [&](Stream& on) { return Store(priority, on.priority()); });
}

cudaError_t cudaStreamGetId(cudaStream_t stream, unsigned long long* id) {
  return RuntimeOn(stream, [&](Stream& on) { return Store(id, on.id()); });
}

cudaError_t cudaStreamGetDevice(cudaStream_t stream, int* device) {
  return RuntimeOn(stream, [&](Stream& on) { return Store(device, on.device().ordinal); });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  return RuntimeOn(stream, [&](Stream& on) -> Status {
    if ((flags & ~static_cast<unsigned>(cudaEventWaitExternal)) != 0) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    return WaitEvent(on, event, (flags & cudaEventWaitExternal) != 0);
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return RuntimeOn(stream, [&](Stream& on) { return RecordEvent(event, on, false); });
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  return RuntimeOn(stream, [&](Stream& on) -> Status {
    if ((flags & ~static_cast<unsigned>(cudaEventRecordExternal)) != 0) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    return RecordEvent(event, on, (flags & cudaEventRecordExternal) != 0);
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return RuntimeOn(
      stream, [&](Stream& on) { return BeginCapture(on, static_cast<CUstreamCaptureMode>(mode)); });
}

cudaError_t cudaStreamBeginCaptureToGraph(cudaStream_t stream, cudaGraph_t graph,
                                          const cudaGraphNode_t* dependencies,
                                          const cudaGraphEdgeData* edges, size_t count,
                                          cudaStreamCaptureMode mode) {
  return RuntimeOn(stream, [&](Stream& on) {
    return BeginCaptureToGraph(on, graph, {dependencies, count},
                               reinterpret_cast<const CUgraphEdgeData*>(edges),
                               static_cast<CUstreamCaptureMode>(mode));
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return RuntimeOn(stream, [&](Stream& on) { return EndCapture(on, graph); });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return RuntimeOn(stream, [&](Stream& on) -> Status {
    CaptureReport report;
    SIM_TRY(ReportCapture(on, &report));
    return Store(status, static_cast<int>(report.status));
  });
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status,
                                     unsigned long long* id, cudaGraph_t* graph,
                                     const cudaGraphNode_t** dependencies,
                                     const cudaGraphEdgeData** edges, size_t* count) {
  return RuntimeOn(stream, [&](Stream& on) -> Status {
    CaptureReport report;
    SIM_TRY(ReportCapture(on, &report));
    SIM_TRY(Store(status, static_cast<int>(report.status)));
    if (id != nullptr) *id = report.id;
    if (graph != nullptr) *graph = report.graph;
    if (dependencies != nullptr) *dependencies = report.tips;
    if (edges != nullptr) *edges = reinterpret_cast<const cudaGraphEdgeData*>(report.edges);
    if (count != nullptr) *count = report.count;
    return kOk;
  });
}

cudaError_t cudaStreamUpdateCaptureDependencies(cudaStream_t stream, cudaGraphNode_t* nodes,
                                                const cudaGraphEdgeData* edges, size_t count,
                                                unsigned flags) {
  return RuntimeOn(stream, [&](Stream& on) {
    return UpdateTips(on, {nodes, count}, reinterpret_cast<const CUgraphEdgeData*>(edges),
                      flags == cudaStreamSetCaptureDependencies);
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return RuntimeOn(stream, [&](Stream& on) { return LaunchExec(exec, on); });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  return RuntimeOn(stream, [&](Stream& on) { return UploadExec(exec, on); });
}

cudaError_t cudaGraphInstantiateWithParams(cudaGraphExec_t* exec, cudaGraph_t graph,
                                           cudaGraphInstantiateParams* params) {
  if (params == nullptr) return Runtime([] { return CUDA_ERROR_INVALID_VALUE; });
  return RuntimeOn(params->uploadStream, [&](Stream& on) -> Status {
    params->errNode_out = nullptr;
    const Status status = Instantiate(exec, graph, params->flags);
    params->result_out = status == kOk ? cudaGraphInstantiateSuccess : cudaGraphInstantiateError;
    const bool upload = (params->flags & cudaGraphInstantiateFlagUpload) != 0;
    return status == kOk && upload ? UploadExec(*exec, on) : status;
  });
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** out, unsigned version,
                                             unsigned long long flags,
                                             cudaDriverEntryPointQueryResult* found) {
  return EntryPoint(symbol, out, version, flags, found);
}

// Deprecated, and still what binaries of CUDA 12 ask for.
cudaError_t cudaGetDriverEntryPoint(const char* symbol, void** out, unsigned long long flags,
                                    cudaDriverEntryPointQueryResult* found) {
  return EntryPoint(symbol, out, CUDART_VERSION, flags, found);
}

}  // extern "C"
