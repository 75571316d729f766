// The part of CUPTI's callback interface that is used here, as its headers declare it
// (cupti_callbacks.h, cupti_driver_cbid.h, generated_cuda_meta.h), so that no build needs them.
//
// Plain data, the same in CUPTI 12.4, 12.6, 12.8, 12.9 and 13.0: a unit test compares it with the
// headers where they are, and was compiled against those of each.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <cstdint>

namespace lamplight::cupti {

using Result = int;
inline constexpr Result kSuccess = 0;
inline constexpr Result kInvalidParameter = 1;
inline constexpr Result kMultipleSubscribers = 39;

using Subscriber = struct CUpti_Subscriber_st*;
inline constexpr int kDriverApi = 1;  // a domain of callbacks

enum Site : int { kEnter = 0, kExit = 1 };

struct CallbackData {
  int site;  // Site
  const char* function_name;
  const void* parameters;  // one of the structs below
  void* return_value;      // at the exit: a CUresult
  const char* symbol_name;
  CUcontext context;
  uint32_t context_id;
  uint64_t* shared;  // between the enter and the exit of one call
  uint32_t correlation;
};

using Callback = void (*)(void* user, int domain, uint32_t id, const void* data);

// A driver function: its exported name, its callback id, and that of its form whose null stream is
// the thread's own, exported as `name`_ptsz.
struct CallId {
  const char* name;
  uint32_t plain;
  uint32_t per_thread = 0;  // 0: there is none
};

inline constexpr CallId kCtxSynchronize{"cuCtxSynchronize", 17};
inline constexpr CallId kCtxSynchronizeV2{"cuCtxSynchronize_v2", 800};
inline constexpr CallId kCtxDestroy{"cuCtxDestroy_v2", 322};
inline constexpr CallId kPrimaryCtxRelease{"cuDevicePrimaryCtxRelease_v2", 544};
inline constexpr CallId kPrimaryCtxReset{"cuDevicePrimaryCtxReset_v2", 545};
inline constexpr CallId kModuleUnload{"cuModuleUnload", 22};
inline constexpr CallId kLibraryUnload{"cuLibraryUnload", 680};
inline constexpr CallId kEventRecord{"cuEventRecord", 119, 441};
inline constexpr CallId kEventRecordWithFlags{"cuEventRecordWithFlags", 587, 588};
inline constexpr CallId kEventQuery{"cuEventQuery", 120};
inline constexpr CallId kEventSynchronize{"cuEventSynchronize", 121};
inline constexpr CallId kEventDestroy{"cuEventDestroy_v2", 325};
inline constexpr CallId kStreamCreate{"cuStreamCreate", 124};
inline constexpr CallId kStreamCreateWithPriority{"cuStreamCreateWithPriority", 367};
inline constexpr CallId kStreamDestroy{"cuStreamDestroy_v2", 326};
inline constexpr CallId kStreamQuery{"cuStreamQuery", 125, 439};
inline constexpr CallId kStreamSynchronize{"cuStreamSynchronize", 126, 440};
inline constexpr CallId kStreamWaitEvent{"cuStreamWaitEvent", 295, 436};
inline constexpr CallId kStreamBeginCapture{"cuStreamBeginCapture_v2", 539, 540};
inline constexpr CallId kStreamBeginCaptureToGraph{"cuStreamBeginCaptureToGraph", 720, 721};
inline constexpr CallId kStreamEndCapture{"cuStreamEndCapture", 497, 498};
inline constexpr CallId kLaunchKernel{"cuLaunchKernel", 307, 442};
inline constexpr CallId kLaunchKernelEx{"cuLaunchKernelEx", 652, 653};
inline constexpr CallId kLaunchCooperativeKernel{"cuLaunchCooperativeKernel", 477, 478};
inline constexpr CallId kGraphInstantiateV2{"cuGraphInstantiate_v2", 578};  // of CUDA 11
inline constexpr CallId kGraphInstantiateFlags{"cuGraphInstantiateWithFlags", 643};
inline constexpr CallId kGraphInstantiateWithParams{"cuGraphInstantiateWithParams", 656, 657};
inline constexpr CallId kGraphExecUpdate{"cuGraphExecUpdate_v2", 696};
inline constexpr CallId kGraphExecKernelNodeSetParams{"cuGraphExecKernelNodeSetParams_v2", 692};
inline constexpr CallId kGraphExecNodeSetParams{"cuGraphExecNodeSetParams", 714};
// Their forms of CUDA 11, whose clients get execs with our nodes in them, too.
inline constexpr CallId kGraphExecUpdateOf11{"cuGraphExecUpdate", 561};
inline constexpr CallId kGraphExecKernelNodeSetParamsOf11{"cuGraphExecKernelNodeSetParams", 538};
inline constexpr CallId kGraphExecChildSetParams{"cuGraphExecChildGraphNodeSetParams", 586};
inline constexpr CallId kGraphNodeSetEnabled{"cuGraphNodeSetEnabled", 650};
inline constexpr CallId kGraphUpload{"cuGraphUpload", 580, 581};
inline constexpr CallId kGraphLaunch{"cuGraphLaunch", 514, 515};
inline constexpr CallId kGraphExecDestroy{"cuGraphExecDestroy", 516};
inline constexpr CallId kGraphDestroy{"cuGraphDestroy", 517};
inline constexpr uint32_t kIds = 801;  // all are below

// Parameters, in the driver's order. Several functions have the same ones.
struct CtxParams {
  CUcontext context;
};
struct DeviceParams {
  CUdevice device;
};
struct ModuleParams {
  CUmodule module;
};
struct LibraryParams {
  CUlibrary library;
};
struct EventParams {
  CUevent event;
};
struct EventRecordParams {
  CUevent event;
  CUstream stream;
};
struct EventRecordFlagsParams {
  CUevent event;
  CUstream stream;
  unsigned flags;
};
struct StreamParams {
  CUstream stream;
};
struct StreamCreateParams {
  CUstream* stream;
  unsigned flags;
};
struct StreamCreatePriorityParams {
  CUstream* stream;
  unsigned flags;
  int priority;
};
struct StreamWaitParams {
  CUstream stream;
  CUevent event;
  unsigned flags;
};
struct BeginCaptureParams {
  CUstream stream;
  CUstreamCaptureMode mode;
};
struct BeginToGraphParams {
  CUstream stream;
  CUgraph graph;
  const CUgraphNode* dependencies;
  const CUgraphEdgeData* edges;
  size_t count;
  CUstreamCaptureMode mode;
};
struct EndCaptureParams {
  CUstream stream;
  CUgraph* graph;
};
struct LaunchParams {
  CUfunction function;
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
  CUstream stream;
  void** arguments;
  void** extra;
};
struct LaunchExParams {
  const CUlaunchConfig* config;
  CUfunction function;
  void** arguments;
  void** extra;
};
struct LaunchCooperativeParams {
  CUfunction function;
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
  CUstream stream;
  void** arguments;
};
struct InstantiateParams {
  CUgraphExec* exec;
  CUgraph graph;
  unsigned long long flags;
};
struct InstantiateLogParams {
  CUgraphExec* exec;
  CUgraph graph;
  CUgraphNode* error_node;
  char* log;
  size_t log_bytes;
};
struct InstantiateWithParams {
  CUgraphExec* exec;
  CUgraph graph;
  CUDA_GRAPH_INSTANTIATE_PARAMS* parameters;
};
struct ExecUpdateParams {
  CUgraphExec exec;
  CUgraph graph;
  CUgraphExecUpdateResultInfo* result;
};
struct ExecUpdateOf11Params {
  CUgraphExec exec;
  CUgraph graph;
  CUgraphNode* error_node;
  CUgraphExecUpdateResult* result;
};
struct KernelNodeOf11Params {
  CUgraphExec exec;
  CUgraphNode node;
  const CUDA_KERNEL_NODE_PARAMS_v1* parameters;
};
struct ChildParams {
  CUgraphExec exec;
  CUgraphNode node;
  CUgraph child;
};
struct KernelNodeParams {
  CUgraphExec exec;
  CUgraphNode node;
  const CUDA_KERNEL_NODE_PARAMS* parameters;
};
struct AnyNodeParams {
  CUgraphExec exec;
  CUgraphNode node;
  CUgraphNodeParams* parameters;
};
struct NodeEnabledParams {
  CUgraphExec exec;
  CUgraphNode node;
  unsigned enabled;
};
struct ExecOnStreamParams {
  CUgraphExec exec;
  CUstream stream;
};
struct ExecParams {
  CUgraphExec exec;
};
struct GraphParams {
  CUgraph graph;
};

}  // namespace lamplight::cupti
