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

// A driver function's callback id, and that of its form whose null stream is the thread's own.
struct CallId {
  uint32_t plain;
  uint32_t per_thread = 0;  // 0: there is none
};

inline constexpr CallId kCtxSynchronize{17};
inline constexpr CallId kCtxSynchronizeV2{800};
inline constexpr CallId kModuleUnload{22};
inline constexpr CallId kLibraryUnload{680};
inline constexpr CallId kEventRecord{119, 441};
inline constexpr CallId kEventRecordWithFlags{587, 588};
inline constexpr CallId kEventQuery{120};
inline constexpr CallId kEventSynchronize{121};
inline constexpr CallId kEventDestroy{325};  // cuEventDestroy_v2
inline constexpr CallId kStreamCreate{124};
inline constexpr CallId kStreamCreateWithPriority{367};
inline constexpr CallId kStreamDestroy{326};  // cuStreamDestroy_v2
inline constexpr CallId kStreamQuery{125, 439};
inline constexpr CallId kStreamSynchronize{126, 440};
inline constexpr CallId kStreamWaitEvent{295, 436};
inline constexpr CallId kStreamBeginCapture{539, 540};  // cuStreamBeginCapture_v2
inline constexpr CallId kStreamBeginCaptureToGraph{720, 721};
inline constexpr CallId kStreamEndCapture{497, 498};
inline constexpr CallId kLaunchKernel{307, 442};
inline constexpr CallId kLaunchKernelEx{652, 653};
inline constexpr CallId kLaunchCooperativeKernel{477, 478};
inline constexpr CallId kGraphInstantiateV2{578};     // of CUDA 11
inline constexpr CallId kGraphInstantiateFlags{643};  // cuGraphInstantiateWithFlags
inline constexpr CallId kGraphInstantiateWithParams{656, 657};
inline constexpr CallId kGraphExecUpdate{696};               // cuGraphExecUpdate_v2
inline constexpr CallId kGraphExecKernelNodeSetParams{692};  // …_v2
inline constexpr CallId kGraphExecNodeSetParams{714};
inline constexpr CallId kGraphNodeSetEnabled{650};
inline constexpr CallId kGraphUpload{580, 581};
inline constexpr CallId kGraphLaunch{514, 515};
inline constexpr CallId kGraphExecDestroy{516};
inline constexpr CallId kGraphDestroy{517};
inline constexpr uint32_t kIds = 801;  // all are below

// Parameters, in the driver's order. Several functions have the same ones.
struct CtxParams {
  CUcontext context;
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
