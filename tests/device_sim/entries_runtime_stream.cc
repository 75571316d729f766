// libcudart: everything that names a stream. Compiled twice: with
// CUDA_API_PER_THREAD_DEFAULT_STREAM the headers rename the entries to their _ptsz and _ptds forms.
// Thread-safe.
#include <cuda.h>
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

// The runtime hands the driver a CUkernel in the place of a CUfunction.
template <class Launch>
cudaError_t LaunchOf(const void* function, Launch launch) {
  return Runtime([&]() -> Status {
    Kernel* kernel = LookUpKernel(function);
    if (kernel == nullptr) return kInvalidDeviceFunction;
    return launch(reinterpret_cast<CUfunction>(kernel->kernel_handle()));
  });
}

cudaError_t LaunchPlain(const void* function, dim3 grid, dim3 block, void** arguments,
                        size_t shared_bytes, CUstream stream) {
  return LaunchOf(function, [&](CUfunction kernel) {
    return cuLaunchKernel(kernel, grid.x, grid.y, grid.z, block.x, block.y, block.z,
                          static_cast<unsigned>(shared_bytes), stream, arguments, nullptr);
  });
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
  return LaunchPlain(kernel, grid, block, arguments, shared_bytes, stream);
}

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             size_t shared_bytes, cudaStream_t stream) {
  return LaunchPlain(function, grid, block, arguments, shared_bytes, stream);
}

cudaError_t cudaMallocAsync(void** out, size_t bytes, cudaStream_t stream) {
  return RuntimeOn(stream, [&](Stream& on) {
    return AllocateInOrder(on, reinterpret_cast<uintptr_t*>(out), bytes);
  });
}

cudaError_t cudaFreeAsync(void* address, cudaStream_t stream) {
  return RuntimeOn(stream, [&](Stream& on) { return FreeInOrder(on, AddressOf(address)); });
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function,
                                void** arguments) {
  if (config == nullptr) return Runtime([] { return CUDA_ERROR_INVALID_VALUE; });
  return LaunchOf(function, [&](CUfunction kernel) {
    CUlaunchConfig driver{};
    driver.gridDimX = config->gridDim.x, driver.gridDimY = config->gridDim.y;
    driver.gridDimZ = config->gridDim.z;
    driver.blockDimX = config->blockDim.x, driver.blockDimY = config->blockDim.y;
    driver.blockDimZ = config->blockDim.z;
    driver.sharedMemBytes = static_cast<unsigned>(config->dynamicSmemBytes);
    driver.hStream = config->stream;
    driver.attrs = reinterpret_cast<CUlaunchAttribute*>(config->attrs);
    driver.numAttrs = config->numAttrs;
    return cuLaunchKernelEx(&driver, kernel, arguments, nullptr);
  });
}

cudaError_t cudaLaunchCooperativeKernel(const void* function, dim3 grid, dim3 block,
                                        void** arguments, size_t shared_bytes,
                                        cudaStream_t stream) {
  return LaunchOf(function, [&](CUfunction kernel) {
    return cuLaunchCooperativeKernel(kernel, grid.x, grid.y, grid.z, block.x, block.y, block.z,
                                     static_cast<unsigned>(shared_bytes), stream, arguments);
  });
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
  return Runtime([&] { return cuStreamQuery(stream); });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return Runtime([&] { return cuStreamSynchronize(stream); });
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
  return Runtime([&] { return cuStreamWaitEvent(stream, event, flags); });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return Runtime([&] { return cuEventRecord(event, stream); });
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  return Runtime([&] { return cuEventRecordWithFlags(event, stream, flags); });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return Runtime(
      [&] { return cuStreamBeginCapture(stream, static_cast<CUstreamCaptureMode>(mode)); });
}

cudaError_t cudaStreamBeginCaptureToGraph(cudaStream_t stream, cudaGraph_t graph,
                                          const cudaGraphNode_t* dependencies,
                                          const cudaGraphEdgeData* edges, size_t count,
                                          cudaStreamCaptureMode mode) {
  return Runtime([&] {
    return cuStreamBeginCaptureToGraph(stream, graph, dependencies,
                                       reinterpret_cast<const CUgraphEdgeData*>(edges), count,
                                       static_cast<CUstreamCaptureMode>(mode));
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return Runtime([&] { return cuStreamEndCapture(stream, graph); });
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
  return Runtime([&] { return cuGraphLaunch(exec, stream); });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  return Runtime([&] { return cuGraphUpload(exec, stream); });
}

// The driver's parameters are the runtime's, field by field.
static_assert(sizeof(cudaGraphInstantiateParams) == sizeof(CUDA_GRAPH_INSTANTIATE_PARAMS));

cudaError_t cudaGraphInstantiateWithParams(cudaGraphExec_t* exec, cudaGraph_t graph,
                                           cudaGraphInstantiateParams* params) {
  return Runtime([&] {
    return cuGraphInstantiateWithParams(exec, graph,
                                        reinterpret_cast<CUDA_GRAPH_INSTANTIATE_PARAMS*>(params));
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
