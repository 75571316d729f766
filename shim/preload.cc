// The runtime's entry points that the shim stands in front of: extern "C", one call each.
//
// Two forms each where the runtime has them: the plain one, whose null stream is the legacy stream,
// and
// `_ptsz`, whose null stream is the thread's own. Everything else is in hooks/.
#include <cuda_runtime_api.h>

#include "shim/cupti/source.h"
#include "shim/hooks/capture.h"
#include "shim/hooks/graph.h"
#include "shim/hooks/guard.h"
#include "shim/hooks/launch.h"
#include "shim/hooks/order.h"

#define LAMPLIGHT_EXPORT extern "C" __attribute__((visibility("default")))
#define LAMPLIGHT_CALLER __builtin_return_address(0)

namespace {

namespace hooks = lamplight::shim::hooks;
using lamplight::shim::CallReal;
using lamplight::shim::RealFunctions;

// Real functions, one per entry point and runtime; `Real<decltype(f)>` is a pointer to f's type.
template <class F>
using Real = RealFunctions<F*>;

Real<decltype(cudaStreamBeginCapture)> begin_capture{"cudaStreamBeginCapture"};
Real<decltype(cudaStreamBeginCapture)> begin_capture_ptsz{"cudaStreamBeginCapture_ptsz"};
Real<decltype(cudaStreamBeginCaptureToGraph)> begin_to_graph{"cudaStreamBeginCaptureToGraph"};
Real<decltype(cudaStreamBeginCaptureToGraph)> begin_to_graph_ptsz{
    "cudaStreamBeginCaptureToGraph_ptsz"};
Real<decltype(cudaStreamEndCapture)> end_capture{"cudaStreamEndCapture"};
Real<decltype(cudaStreamEndCapture)> end_capture_ptsz{"cudaStreamEndCapture_ptsz"};

Real<decltype(cudaGraphInstantiate)> instantiate{"cudaGraphInstantiate"};
Real<decltype(cudaGraphInstantiate)> instantiate_flags{"cudaGraphInstantiateWithFlags"};
Real<decltype(cudaGraphInstantiateWithParams)> instantiate_params{"cudaGraphInstantiateWithParams"};
Real<decltype(cudaGraphInstantiateWithParams)> instantiate_params_ptsz{
    "cudaGraphInstantiateWithParams_ptsz"};
Real<decltype(cudaGraphExecUpdate)> exec_update{"cudaGraphExecUpdate"};
Real<decltype(cudaGraphExecKernelNodeSetParams)> set_node_params{
    "cudaGraphExecKernelNodeSetParams"};
Real<decltype(cudaGraphExecNodeSetParams)> set_any_node_params{"cudaGraphExecNodeSetParams"};
Real<decltype(cudaGraphExecChildGraphNodeSetParams)> set_child{
    "cudaGraphExecChildGraphNodeSetParams"};
Real<decltype(cudaGraphNodeSetEnabled)> set_node_enabled{"cudaGraphNodeSetEnabled"};
Real<decltype(cudaGraphUpload)> graph_upload{"cudaGraphUpload"};
Real<decltype(cudaGraphUpload)> graph_upload_ptsz{"cudaGraphUpload_ptsz"};
Real<decltype(cudaGraphLaunch)> graph_launch{"cudaGraphLaunch"};
Real<decltype(cudaGraphLaunch)> graph_launch_ptsz{"cudaGraphLaunch_ptsz"};
Real<decltype(cudaGraphExecDestroy)> exec_destroy{"cudaGraphExecDestroy"};
Real<decltype(cudaGraphDestroy)> graph_destroy{"cudaGraphDestroy"};

RealFunctions<hooks::LaunchFunction> launch{"cudaLaunchKernel"};
RealFunctions<hooks::LaunchFunction> launch_ptsz{"cudaLaunchKernel_ptsz"};
RealFunctions<hooks::LaunchFunction> launch_cooperative{"cudaLaunchCooperativeKernel"};
RealFunctions<hooks::LaunchFunction> launch_cooperative_ptsz{"cudaLaunchCooperativeKernel_ptsz"};
RealFunctions<hooks::KernelLaunchFunction> launch_handle{"__cudaLaunchKernel"};
RealFunctions<hooks::KernelLaunchFunction> launch_handle_ptsz{"__cudaLaunchKernel_ptsz"};
Real<decltype(cudaLaunchKernelExC)> launch_ex{"cudaLaunchKernelExC"};
Real<decltype(cudaLaunchKernelExC)> launch_ex_ptsz{"cudaLaunchKernelExC_ptsz"};
Real<decltype(cudaDeviceReset)> device_reset{"cudaDeviceReset"};
RealFunctions<cudaError_t (*)(void*)> library_unload{"cudaLibraryUnload"};
RealFunctions<void (*)(void**)> unregister_binary{"__cudaUnregisterFatBinary"};

Real<decltype(cudaStreamCreate)> stream_create{"cudaStreamCreate"};
Real<decltype(cudaStreamCreateWithFlags)> stream_create_flags{"cudaStreamCreateWithFlags"};
Real<decltype(cudaStreamCreateWithPriority)> stream_create_priority{"cudaStreamCreateWithPriority"};
Real<decltype(cudaStreamDestroy)> stream_destroy{"cudaStreamDestroy"};
Real<decltype(cudaEventRecord)> event_record{"cudaEventRecord"};
Real<decltype(cudaEventRecord)> event_record_ptsz{"cudaEventRecord_ptsz"};
Real<decltype(cudaEventRecordWithFlags)> event_record_flags{"cudaEventRecordWithFlags"};
Real<decltype(cudaEventRecordWithFlags)> event_record_flags_ptsz{"cudaEventRecordWithFlags_ptsz"};
Real<decltype(cudaEventDestroy)> event_destroy{"cudaEventDestroy"};
RealFunctions<cudaError_t (*)(cudaStream_t, cudaEvent_t, unsigned)> stream_wait{
    "cudaStreamWaitEvent"};
RealFunctions<cudaError_t (*)(cudaStream_t, cudaEvent_t, unsigned)> stream_wait_ptsz{
    "cudaStreamWaitEvent_ptsz"};
Real<decltype(cudaStreamSynchronize)> stream_sync{"cudaStreamSynchronize"};
Real<decltype(cudaStreamSynchronize)> stream_sync_ptsz{"cudaStreamSynchronize_ptsz"};
Real<decltype(cudaStreamQuery)> stream_query{"cudaStreamQuery"};
Real<decltype(cudaStreamQuery)> stream_query_ptsz{"cudaStreamQuery_ptsz"};
Real<decltype(cudaEventSynchronize)> event_sync{"cudaEventSynchronize"};
Real<decltype(cudaEventQuery)> event_query{"cudaEventQuery"};
Real<decltype(cudaDeviceSynchronize)> device_sync{"cudaDeviceSynchronize"};

template <class F>
cudaError_t Then(cudaError_t status, F note) {
  if (status == cudaSuccess) note();
  return status;
}

}  // namespace

// ---- capture

LAMPLIGHT_EXPORT cudaError_t cudaStreamBeginCapture(cudaStream_t stream,
                                                    cudaStreamCaptureMode mode) {
  return hooks::BeginCapture(begin_capture.For(LAMPLIGHT_CALLER), stream, mode, false);
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamBeginCapture_ptsz(cudaStream_t stream,
                                                         cudaStreamCaptureMode mode) {
  return hooks::BeginCapture(begin_capture_ptsz.For(LAMPLIGHT_CALLER), stream, mode, true);
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamBeginCaptureToGraph(cudaStream_t stream, cudaGraph_t graph,
                                                           const cudaGraphNode_t* dependencies,
                                                           const cudaGraphEdgeData* edges,
                                                           size_t count,
                                                           cudaStreamCaptureMode mode) {
  return hooks::BeginCaptureToGraph(begin_to_graph.For(LAMPLIGHT_CALLER), stream, graph,
                                    dependencies, edges, count, mode, false);
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamBeginCaptureToGraph_ptsz(
    cudaStream_t stream, cudaGraph_t graph, const cudaGraphNode_t* dependencies,
    const cudaGraphEdgeData* edges, size_t count, cudaStreamCaptureMode mode) {
  return hooks::BeginCaptureToGraph(begin_to_graph_ptsz.For(LAMPLIGHT_CALLER), stream, graph,
                                    dependencies, edges, count, mode, true);
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return hooks::EndCapture(end_capture.For(LAMPLIGHT_CALLER), stream, graph, false);
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamEndCapture_ptsz(cudaStream_t stream, cudaGraph_t* graph) {
  return hooks::EndCapture(end_capture_ptsz.For(LAMPLIGHT_CALLER), stream, graph, true);
}

// ---- graphs

LAMPLIGHT_EXPORT cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                                  unsigned long long flags) {
  return hooks::Instantiate(instantiate.For(LAMPLIGHT_CALLER), exec, graph, flags);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph,
                                                           unsigned long long flags) {
  return hooks::Instantiate(instantiate_flags.For(LAMPLIGHT_CALLER), exec, graph, flags);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphInstantiateWithParams(
    cudaGraphExec_t* exec, cudaGraph_t graph, cudaGraphInstantiateParams* parameters) {
  return hooks::InstantiateWithParams(instantiate_params.For(LAMPLIGHT_CALLER), exec, graph,
                                      parameters);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphInstantiateWithParams_ptsz(
    cudaGraphExec_t* exec, cudaGraph_t graph, cudaGraphInstantiateParams* parameters) {
  return hooks::InstantiateWithParams(instantiate_params_ptsz.For(LAMPLIGHT_CALLER), exec, graph,
                                      parameters);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                                 cudaGraphExecUpdateResultInfo* result) {
  return hooks::ExecUpdate(exec_update.For(LAMPLIGHT_CALLER), exec, graph, result);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphExecKernelNodeSetParams(
    cudaGraphExec_t exec, cudaGraphNode_t node, const cudaKernelNodeParams* parameters) {
  return hooks::SetNodeParams(set_node_params.For(LAMPLIGHT_CALLER), exec, node, parameters);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphExecNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                                        cudaGraphNodeParams* parameters) {
  return hooks::SetAnyNodeParams(set_any_node_params.For(LAMPLIGHT_CALLER), exec, node, parameters);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphExecChildGraphNodeSetParams(cudaGraphExec_t exec,
                                                                  cudaGraphNode_t node,
                                                                  cudaGraph_t child) {
  return hooks::SetChild(set_child.For(LAMPLIGHT_CALLER), exec, node, child);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphNodeSetEnabled(cudaGraphExec_t exec, cudaGraphNode_t node,
                                                     unsigned enabled) {
  return hooks::SetNodeEnabled(set_node_enabled.For(LAMPLIGHT_CALLER), exec, node, enabled);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  return hooks::GraphUpload(graph_upload.For(LAMPLIGHT_CALLER), exec, stream);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphUpload_ptsz(cudaGraphExec_t exec, cudaStream_t stream) {
  return hooks::GraphUpload(graph_upload_ptsz.For(LAMPLIGHT_CALLER), exec, stream);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return hooks::GraphLaunch(graph_launch.For(LAMPLIGHT_CALLER), exec, stream, false);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphLaunch_ptsz(cudaGraphExec_t exec, cudaStream_t stream) {
  return hooks::GraphLaunch(graph_launch_ptsz.For(LAMPLIGHT_CALLER), exec, stream, true);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return hooks::ExecDestroy(exec_destroy.For(LAMPLIGHT_CALLER), exec);
}
LAMPLIGHT_EXPORT cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return hooks::GraphDestroy(graph_destroy.For(LAMPLIGHT_CALLER), graph);
}

// ---- launches

LAMPLIGHT_EXPORT cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block,
                                              void** arguments, size_t shared_bytes,
                                              cudaStream_t stream) {
  return hooks::Launch(launch.For(LAMPLIGHT_CALLER), function, grid, block, arguments, shared_bytes,
                       stream, false, false, LAMPLIGHT_CALLER);
}
LAMPLIGHT_EXPORT cudaError_t cudaLaunchKernel_ptsz(const void* function, dim3 grid, dim3 block,
                                                   void** arguments, size_t shared_bytes,
                                                   cudaStream_t stream) {
  return hooks::Launch(launch_ptsz.For(LAMPLIGHT_CALLER), function, grid, block, arguments,
                       shared_bytes, stream, false, true, LAMPLIGHT_CALLER);
}
LAMPLIGHT_EXPORT cudaError_t cudaLaunchCooperativeKernel(const void* function, dim3 grid,
                                                         dim3 block, void** arguments,
                                                         size_t shared_bytes, cudaStream_t stream) {
  return hooks::Launch(launch_cooperative.For(LAMPLIGHT_CALLER), function, grid, block, arguments,
                       shared_bytes, stream, true, false, LAMPLIGHT_CALLER);
}
LAMPLIGHT_EXPORT cudaError_t cudaLaunchCooperativeKernel_ptsz(const void* function, dim3 grid,
                                                              dim3 block, void** arguments,
                                                              size_t shared_bytes,
                                                              cudaStream_t stream) {
  return hooks::Launch(launch_cooperative_ptsz.For(LAMPLIGHT_CALLER), function, grid, block,
                       arguments, shared_bytes, stream, true, true, LAMPLIGHT_CALLER);
}
LAMPLIGHT_EXPORT cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block,
                                                void** arguments, size_t shared_bytes,
                                                cudaStream_t stream) {
  return hooks::LaunchHandle(launch_handle.For(LAMPLIGHT_CALLER), kernel, grid, block, arguments,
                             shared_bytes, stream, false, LAMPLIGHT_CALLER);
}
LAMPLIGHT_EXPORT cudaError_t __cudaLaunchKernel_ptsz(cudaKernel_t kernel, dim3 grid, dim3 block,
                                                     void** arguments, size_t shared_bytes,
                                                     cudaStream_t stream) {
  return hooks::LaunchHandle(launch_handle_ptsz.For(LAMPLIGHT_CALLER), kernel, grid, block,
                             arguments, shared_bytes, stream, true, LAMPLIGHT_CALLER);
}
LAMPLIGHT_EXPORT cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config,
                                                 const void* function, void** arguments) {
  return hooks::LaunchEx(launch_ex.For(LAMPLIGHT_CALLER), config, function, arguments, false,
                         LAMPLIGHT_CALLER);
}
LAMPLIGHT_EXPORT cudaError_t cudaLaunchKernelExC_ptsz(const cudaLaunchConfig_t* config,
                                                      const void* function, void** arguments) {
  return hooks::LaunchEx(launch_ex_ptsz.For(LAMPLIGHT_CALLER), config, function, arguments, true,
                         LAMPLIGHT_CALLER);
}
LAMPLIGHT_EXPORT cudaError_t cudaDeviceReset() {
  return hooks::DeviceReset(device_reset.For(LAMPLIGHT_CALLER));
}
// cudaLibraryUnload, of which the headers know from CUDA 12.8 on.
LAMPLIGHT_EXPORT cudaError_t LamplightLibraryUnload(void* library) __asm__("cudaLibraryUnload");
LAMPLIGHT_EXPORT cudaError_t LamplightLibraryUnload(void* library) {
  hooks::CodeUnloaded();
  return CallReal(library_unload.For(LAMPLIGHT_CALLER), library);
}
LAMPLIGHT_EXPORT void __cudaUnregisterFatBinary(void** handle) {
  hooks::CodeUnloaded();
  if (auto* real = unregister_binary.For(LAMPLIGHT_CALLER).get()) real(handle);
}

// ---- order

LAMPLIGHT_EXPORT cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return Then(CallReal(stream_create.For(LAMPLIGHT_CALLER), stream),
              [=] { hooks::StreamCreated(*stream, 0); });
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return Then(CallReal(stream_create_flags.For(LAMPLIGHT_CALLER), stream, flags),
              [=] { hooks::StreamCreated(*stream, flags); });
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags,
                                                          int priority) {
  return Then(CallReal(stream_create_priority.For(LAMPLIGHT_CALLER), stream, flags, priority),
              [=] { hooks::StreamCreated(*stream, flags); });
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  hooks::StreamDestroying(stream);
  return CallReal(stream_destroy.For(LAMPLIGHT_CALLER), stream);
}
LAMPLIGHT_EXPORT cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return Then(CallReal(event_record.For(LAMPLIGHT_CALLER), event, stream),
              [=] { hooks::EventRecorded(event, stream, false); });
}
LAMPLIGHT_EXPORT cudaError_t cudaEventRecord_ptsz(cudaEvent_t event, cudaStream_t stream) {
  return Then(CallReal(event_record_ptsz.For(LAMPLIGHT_CALLER), event, stream),
              [=] { hooks::EventRecorded(event, stream, true); });
}
LAMPLIGHT_EXPORT cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream,
                                                      unsigned flags) {
  return Then(CallReal(event_record_flags.For(LAMPLIGHT_CALLER), event, stream, flags),
              [=] { hooks::EventRecorded(event, stream, false); });
}
LAMPLIGHT_EXPORT cudaError_t cudaEventRecordWithFlags_ptsz(cudaEvent_t event, cudaStream_t stream,
                                                           unsigned flags) {
  return Then(CallReal(event_record_flags_ptsz.For(LAMPLIGHT_CALLER), event, stream, flags),
              [=] { hooks::EventRecorded(event, stream, true); });
}
LAMPLIGHT_EXPORT cudaError_t cudaEventDestroy(cudaEvent_t event) {
  hooks::EventDestroying(event);
  return CallReal(event_destroy.For(LAMPLIGHT_CALLER), event);
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event,
                                                 unsigned flags) {
  return Then(CallReal(stream_wait.For(LAMPLIGHT_CALLER), stream, event, flags),
              [=] { hooks::StreamWaits(stream, event, false); });
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamWaitEvent_ptsz(cudaStream_t stream, cudaEvent_t event,
                                                      unsigned flags) {
  return Then(CallReal(stream_wait_ptsz.For(LAMPLIGHT_CALLER), stream, event, flags),
              [=] { hooks::StreamWaits(stream, event, true); });
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return Then(CallReal(stream_sync.For(LAMPLIGHT_CALLER), stream),
              [=] { hooks::StreamDone(stream, false); });
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamSynchronize_ptsz(cudaStream_t stream) {
  return Then(CallReal(stream_sync_ptsz.For(LAMPLIGHT_CALLER), stream),
              [=] { hooks::StreamDone(stream, true); });
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return Then(CallReal(stream_query.For(LAMPLIGHT_CALLER), stream),
              [=] { hooks::StreamDone(stream, false); });
}
LAMPLIGHT_EXPORT cudaError_t cudaStreamQuery_ptsz(cudaStream_t stream) {
  return Then(CallReal(stream_query_ptsz.For(LAMPLIGHT_CALLER), stream),
              [=] { hooks::StreamDone(stream, true); });
}
LAMPLIGHT_EXPORT cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return Then(CallReal(event_sync.For(LAMPLIGHT_CALLER), event), [=] { hooks::EventDone(event); });
}
LAMPLIGHT_EXPORT cudaError_t cudaEventQuery(cudaEvent_t event) {
  return Then(CallReal(event_query.For(LAMPLIGHT_CALLER), event), [=] { hooks::EventDone(event); });
}
LAMPLIGHT_EXPORT cudaError_t cudaDeviceSynchronize() {
  return Then(CallReal(device_sync.For(LAMPLIGHT_CALLER)), [] { hooks::DeviceDone(); });
}

// ---- the process

// Called by the driver from cuInit, where CUDA_INJECTION64_PATH names this library.
LAMPLIGHT_EXPORT int InitializeInjection() {
  lamplight::shim::cupti::Start(true);
  return 1;
}

__attribute__((constructor)) static void LamplightLoaded() {
  lamplight::shim::cupti::AskForInjection();
}

// The last moment at which staged records can reach the file.
__attribute__((destructor)) static void LamplightFinish() { lamplight::shim::Session::Finish(); }
