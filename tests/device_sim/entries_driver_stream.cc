// libcuda: everything that names a stream. Compiled twice: with CUDA_API_PER_THREAD_DEFAULT_STREAM
// the headers rename the entries to their _ptsz and _ptds forms. Thread-safe.
#include <cuda.h>

#include "tests/device_sim/capture.h"
#include "tests/device_sim/context.h"
#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/event.h"
#include "tests/device_sim/exec.h"
#include "tests/device_sim/submit.h"
#include "tests/device_sim/tool_callbacks.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

namespace {

constexpr CUmemorytype kDevice = CU_MEMORYTYPE_DEVICE;
constexpr CUmemorytype kAny = CU_MEMORYTYPE_UNIFIED;

CUresult CopyOn(CUstream stream, uintptr_t to, CUmemorytype to_type, uintptr_t from,
                CUmemorytype from_type, size_t bytes, bool wait) {
  return DriverOn(stream,
                  [&](Stream& on) { return Copy(on, to, from, bytes, to_type, from_type, wait); });
}

CUresult FillOn(CUstream stream, CUdeviceptr to, unsigned value, unsigned element_bytes,
                size_t count, bool wait) {
  return DriverOn(stream, [&](Stream& on) {
    const FillCall fill{.to = to, .value = value, .element_bytes = element_bytes, .width = count};
    return Fill(on, fill, wait);
  });
}

CUresult Report(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id, CUgraph* graph,
                const CUgraphNode** dependencies, const CUgraphEdgeData** edges, size_t* count) {
  return DriverOn(stream, [&](Stream& on) -> Status {
    CaptureReport report;
    SIM_TRY(ReportCapture(on, &report));
    SIM_TRY(Store(status, report.status));
    if (id != nullptr) *id = report.id;
    if (graph != nullptr) *graph = report.graph;
    if (dependencies != nullptr) *dependencies = report.tips;
    if (edges != nullptr) *edges = report.edges;
    if (count != nullptr) *count = report.count;
    return kOk;
  });
}

}  // namespace

extern "C" {

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                        unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                        CUstream stream, void** arguments, void** extra) {
  const cupti::LaunchParams told{function,
                                 {grid_x, grid_y, grid_z},
                                 {block_x, block_y, block_z},
                                 shared_bytes,
                                 stream,
                                 arguments,
                                 extra};
  return Told(cupti::kLaunchKernel, "cuLaunchKernel", told, [&]() -> CUresult {
    return DriverOn(stream, [&](Stream& on) {
      return Launch(on, {.function = function,
                         .grid = {grid_x, grid_y, grid_z},
                         .block = {block_x, block_y, block_z},
                         .shared_bytes = shared_bytes,
                         .arguments = arguments,
                         .extra = extra});
    });
  });
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** arguments,
                          void** extra) {
  const cupti::LaunchExParams told{config, function, arguments, extra};
  return Told(cupti::kLaunchKernelEx, "cuLaunchKernelEx", told, [&]() -> CUresult {
    if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;
    return DriverOn(config->hStream, [&](Stream& on) {
      return Launch(on, {.function = function,
                         .grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
                         .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
                         .shared_bytes = config->sharedMemBytes,
                         .attributes = config->attrs,
                         .attribute_count = config->numAttrs,
                         .arguments = arguments,
                         .extra = extra});
    });
  });
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y,
                                   unsigned grid_z, unsigned block_x, unsigned block_y,
                                   unsigned block_z, unsigned shared_bytes, CUstream stream,
                                   void** arguments) {
  const cupti::LaunchCooperativeParams told{
      function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, stream,
      arguments};
  return Told(cupti::kLaunchCooperativeKernel, "cuLaunchCooperativeKernel", told,
              [&]() -> CUresult {
                CUlaunchAttribute cooperative{};
                cooperative.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
                cooperative.value.cooperative = 1;
                return DriverOn(stream, [&](Stream& on) {
                  return Launch(on, {.function = function,
                                     .grid = {grid_x, grid_y, grid_z},
                                     .block = {block_x, block_y, block_z},
                                     .shared_bytes = shared_bytes,
                                     .attributes = &cooperative,
                                     .attribute_count = 1,
                                     .arguments = arguments});
                });
              });
}

CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void* argument) {
  return DriverOn(stream, [&](Stream& on) -> Status {
    if (function == nullptr) return CUDA_ERROR_INVALID_VALUE;
    return Submit(on, HostCall{function, argument});
  });
}

CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return CopyOn(nullptr, to, kAny, from, kAny, bytes, true);
}

CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return CopyOn(stream, to, kAny, from, kAny, bytes, false);
}

CUresult cuMemcpyHtoD(CUdeviceptr to, const void* from, size_t bytes) {
  return CopyOn(nullptr, to, kDevice, AddressOf(from), kAny, bytes, true);
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  return CopyOn(stream, to, kDevice, AddressOf(from), kAny, bytes, false);
}

CUresult cuMemcpyDtoH(void* to, CUdeviceptr from, size_t bytes) {
  return CopyOn(nullptr, AddressOf(to), kAny, from, kDevice, bytes, true);
}

CUresult cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return CopyOn(stream, AddressOf(to), kAny, from, kDevice, bytes, false);
}

CUresult cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return CopyOn(nullptr, to, kDevice, from, kDevice, bytes, true);
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return CopyOn(stream, to, kDevice, from, kDevice, bytes, false);
}

CUresult cuMemsetD8(CUdeviceptr to, unsigned char value, size_t count) {
  return FillOn(nullptr, to, value, 1, count, true);
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  return FillOn(stream, to, value, 1, count, false);
}

CUresult cuMemsetD32(CUdeviceptr to, unsigned value, size_t count) {
  return FillOn(nullptr, to, value, 4, count, true);
}

CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  return FillOn(stream, to, value, 4, count, false);
}

CUresult cuMemAllocAsync(CUdeviceptr* out, size_t bytes, CUstream stream) {
  return DriverOn(stream, [&](Stream& on) -> Status {
    uintptr_t address = 0;
    SIM_TRY(AllocateInOrder(on, &address, bytes));
    return Store(out, address);
  });
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
  return DriverOn(stream, [&](Stream& on) { return FreeInOrder(on, address); });
}

CUresult cuStreamQuery(CUstream stream) {
  const cupti::StreamParams told{stream};
  return Told(cupti::kStreamQuery, "cuStreamQuery", told, [&]() -> CUresult {
    return DriverOn(stream, [](Stream& on) { return StreamQuery(on); });
  });
}

CUresult cuStreamSynchronize(CUstream stream) {
  const cupti::StreamParams told{stream};
  return Told(cupti::kStreamSynchronize, "cuStreamSynchronize", told, [&]() -> CUresult {
    return DriverOn(stream, [](Stream& on) { return StreamSynchronize(on); });
  });
}

CUresult cuStreamGetFlags(CUstream stream, unsigned* flags) {
  // Seen with driver 580: it breaks a capture as a query does.
  return DriverOn(stream, [&](Stream& on) {
    return on.capturing ? CheckNotCapturing(on) : Store(flags, on.flags());
  });
}

CUresult cuStreamGetPriority(CUstream stream, int* priority) {
  return DriverOn(stream, [&](Stream& on) { return Store(priority, on.priority()); });
}

CUresult cuStreamGetId(CUstream stream, unsigned long long* id) {
  return DriverOn(stream, [&](Stream& on) { return Store(id, on.id()); });
}

CUresult cuStreamGetCtx(CUstream stream, CUcontext* context) {
  return DriverOn(stream, [&](Stream& on) { return Store(context, on.context().handle()); });
}

CUresult cuStreamGetCtx_v2(CUstream stream, CUcontext* context, CUgreenCtx* green) {
  return DriverOn(stream, [&](Stream& on) -> Status {
    // Not known of a driver, but of its cousin, the query of flags.
    if (on.capturing) return CheckNotCapturing(on);
    SIM_TRY(Store(context, on.context().memory().handle()));
    return Store(green, on.context().green_handle());
  });
}

CUresult cuStreamGetDevice(CUstream stream, CUdevice* device) {
  return DriverOn(stream, [&](Stream& on) { return Store(device, on.device().ordinal); });
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
  const cupti::StreamWaitParams told{stream, event, flags};
  return Told(cupti::kStreamWaitEvent, "cuStreamWaitEvent", told, [&]() -> CUresult {
    return DriverOn(stream, [&](Stream& on) -> Status {
      if ((flags & ~static_cast<unsigned>(CU_EVENT_WAIT_EXTERNAL)) != 0) {
        return CUDA_ERROR_INVALID_VALUE;
      }
      return WaitEvent(on, event, (flags & CU_EVENT_WAIT_EXTERNAL) != 0);
    });
  });
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
  const cupti::EventRecordParams told{event, stream};
  return Told(cupti::kEventRecord, "cuEventRecord", told, [&]() -> CUresult {
    return DriverOn(stream, [&](Stream& on) { return RecordEvent(event, on, false); });
  });
}

CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned flags) {
  const cupti::EventRecordFlagsParams told{event, stream, flags};
  return Told(cupti::kEventRecordWithFlags, "cuEventRecordWithFlags", told, [&]() -> CUresult {
    return DriverOn(stream, [&](Stream& on) -> Status {
      if ((flags & ~static_cast<unsigned>(CU_EVENT_RECORD_EXTERNAL)) != 0) {
        return CUDA_ERROR_INVALID_VALUE;
      }
      return RecordEvent(event, on, (flags & CU_EVENT_RECORD_EXTERNAL) != 0);
    });
  });
}

CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
  const cupti::BeginCaptureParams told{stream, mode};
  return Told(cupti::kStreamBeginCapture, "cuStreamBeginCapture_v2", told, [&]() -> CUresult {
    return DriverOn(stream, [&](Stream& on) { return BeginCapture(on, mode); });
  });
}

CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph,
                                     const CUgraphNode* dependencies, const CUgraphEdgeData* edges,
                                     size_t count, CUstreamCaptureMode mode) {
  const cupti::BeginToGraphParams told{stream, graph, dependencies, edges, count, mode};
  return Told(cupti::kStreamBeginCaptureToGraph, "cuStreamBeginCaptureToGraph", told,
              [&]() -> CUresult {
                return DriverOn(stream, [&](Stream& on) {
                  return BeginCaptureToGraph(on, graph, {dependencies, count}, edges, mode);
                });
              });
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  const cupti::EndCaptureParams told{stream, graph};
  return Told(cupti::kStreamEndCapture, "cuStreamEndCapture", told, [&]() -> CUresult {
    return DriverOn(stream, [&](Stream& on) { return EndCapture(on, graph); });
  });
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  return Report(stream, status, nullptr, nullptr, nullptr, nullptr, nullptr);
}

CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id,
                                CUgraph* graph, const CUgraphNode** dependencies,
                                const CUgraphEdgeData** edges, size_t* count) {
  return Report(stream, status, id, graph, dependencies, edges, count);
}

#ifdef CUDA_API_PER_THREAD_DEFAULT_STREAM
#define cuStreamGetCaptureInfo_v2 cuStreamGetCaptureInfo_v2_ptsz
#endif
// The form of CUDA 11.3 to 12.2, which cannot tell edges apart.
CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id,
                                   CUgraph* graph, const CUgraphNode** dependencies,
                                   size_t* count) {
  return Report(stream, status, id, graph, dependencies, nullptr, count);
}

CUresult cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode* nodes,
                                           const CUgraphEdgeData* edges, size_t count,
                                           unsigned flags) {
  return DriverOn(stream, [&](Stream& on) {
    return UpdateTips(on, {nodes, count}, edges, flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES);
  });
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  const cupti::ExecOnStreamParams told{exec, stream};
  return Told(cupti::kGraphLaunch, "cuGraphLaunch", told, [&]() -> CUresult {
    return DriverOn(stream, [&](Stream& on) { return LaunchExec(exec, on); });
  });
}

CUresult cuGraphUpload(CUgraphExec exec, CUstream stream) {
  const cupti::ExecOnStreamParams told{exec, stream};
  return Told(cupti::kGraphUpload, "cuGraphUpload", told, [&]() -> CUresult {
    return DriverOn(stream, [&](Stream& on) { return UploadExec(exec, on); });
  });
}

CUresult cuGraphInstantiateWithParams(CUgraphExec* exec, CUgraph graph,
                                      CUDA_GRAPH_INSTANTIATE_PARAMS* params) {
  const cupti::InstantiateWithParams told{exec, graph, params};
  return Told(cupti::kGraphInstantiateWithParams, "cuGraphInstantiateWithParams", told,
              [&]() -> CUresult {
                if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
                return DriverOn(params->hUploadStream, [&](Stream& on) -> Status {
                  params->hErrNode_out = nullptr;
                  const Status status = Instantiate(exec, graph, params->flags);
                  params->result_out =
                      status == kOk ? CUDA_GRAPH_INSTANTIATE_SUCCESS : CUDA_GRAPH_INSTANTIATE_ERROR;
                  const bool upload = (params->flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD) != 0;
                  return status == kOk && upload ? UploadExec(*exec, on) : status;
                });
              });
}

}  // extern "C"
