// What shim/cupti/abi.h says of CUPTI, against its own headers, where the toolkit has them.
#include "shim/cupti/abi.h"

#include <gtest/gtest.h>

#include <string_view>

#if __has_include(<cupti.h>)
#include <cupti.h>
#define LAMPLIGHT_HAS_CUPTI 1
#endif

namespace lamplight::cupti {
namespace {

#ifdef LAMPLIGHT_HAS_CUPTI

#define SAME_ID(call, function)                                    \
  static_assert(call.plain == CUPTI_DRIVER_TRACE_CBID_##function); \
  static_assert(call.name == std::string_view(#function));         \
  static_assert(call.plain < kIds)
#define SAME_IDS(call, function) \
  SAME_ID(call, function);       \
  static_assert(call.per_thread == CUPTI_DRIVER_TRACE_CBID_##function##_ptsz)

SAME_ID(kCtxSynchronize, cuCtxSynchronize);
SAME_ID(kCtxDestroy, cuCtxDestroy_v2);
SAME_ID(kPrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2);
SAME_ID(kPrimaryCtxReset, cuDevicePrimaryCtxReset_v2);
SAME_ID(kModuleUnload, cuModuleUnload);
SAME_ID(kLibraryUnload, cuLibraryUnload);
SAME_IDS(kEventRecord, cuEventRecord);
SAME_IDS(kEventRecordWithFlags, cuEventRecordWithFlags);
SAME_ID(kEventQuery, cuEventQuery);
SAME_ID(kEventSynchronize, cuEventSynchronize);
SAME_ID(kEventDestroy, cuEventDestroy_v2);
SAME_ID(kStreamCreate, cuStreamCreate);
SAME_ID(kStreamCreateWithPriority, cuStreamCreateWithPriority);
SAME_ID(kStreamDestroy, cuStreamDestroy_v2);
SAME_IDS(kStreamQuery, cuStreamQuery);
SAME_IDS(kStreamSynchronize, cuStreamSynchronize);
SAME_IDS(kStreamWaitEvent, cuStreamWaitEvent);
SAME_IDS(kStreamBeginCapture, cuStreamBeginCapture_v2);
SAME_IDS(kStreamEndCapture, cuStreamEndCapture);
SAME_IDS(kLaunchKernel, cuLaunchKernel);
SAME_IDS(kLaunchKernelEx, cuLaunchKernelEx);
SAME_IDS(kLaunchCooperativeKernel, cuLaunchCooperativeKernel);
SAME_ID(kGraphInstantiateV2, cuGraphInstantiate_v2);
SAME_ID(kGraphInstantiateFlags, cuGraphInstantiateWithFlags);
SAME_IDS(kGraphInstantiateWithParams, cuGraphInstantiateWithParams);
SAME_ID(kGraphExecUpdate, cuGraphExecUpdate_v2);
SAME_ID(kGraphExecKernelNodeSetParams, cuGraphExecKernelNodeSetParams_v2);
SAME_ID(kGraphExecUpdateOf11, cuGraphExecUpdate);
SAME_ID(kGraphExecKernelNodeSetParamsOf11, cuGraphExecKernelNodeSetParams);
SAME_ID(kGraphExecChildSetParams, cuGraphExecChildGraphNodeSetParams);
SAME_ID(kGraphNodeSetEnabled, cuGraphNodeSetEnabled);
SAME_IDS(kGraphUpload, cuGraphUpload);
SAME_IDS(kGraphLaunch, cuGraphLaunch);
SAME_ID(kGraphExecDestroy, cuGraphExecDestroy);
SAME_ID(kGraphDestroy, cuGraphDestroy);
#if CUDA_VERSION >= 13000
SAME_ID(kCtxSynchronizeV2, cuCtxSynchronize_v2);
SAME_ID(kGraphExecNodeSetParams, cuGraphExecNodeSetParams);
SAME_IDS(kStreamBeginCaptureToGraph, cuStreamBeginCaptureToGraph);
#endif

static_assert(kDriverApi == CUPTI_CB_DOMAIN_DRIVER_API);
static_assert(int{kEnter} == CUPTI_API_ENTER && int{kExit} == CUPTI_API_EXIT);
static_assert(kSuccess == CUPTI_SUCCESS && kInvalidParameter == CUPTI_ERROR_INVALID_PARAMETER);
static_assert(kMultipleSubscribers == CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED);

#define SAME_PLACE(ours, our_field, theirs, their_field)                      \
  static_assert(offsetof(ours, our_field) == offsetof(theirs, their_field) && \
                sizeof(ours::our_field) == sizeof(theirs::their_field))

static_assert(sizeof(CallbackData) == sizeof(CUpti_CallbackData));
SAME_PLACE(CallbackData, site, CUpti_CallbackData, callbackSite);
SAME_PLACE(CallbackData, parameters, CUpti_CallbackData, functionParams);
SAME_PLACE(CallbackData, return_value, CUpti_CallbackData, functionReturnValue);
SAME_PLACE(CallbackData, shared, CUpti_CallbackData, correlationData);
SAME_PLACE(CallbackData, correlation, CUpti_CallbackData, correlationId);

static_assert(sizeof(LaunchParams) == sizeof(cuLaunchKernel_params));
SAME_PLACE(LaunchParams, function, cuLaunchKernel_params, f);
SAME_PLACE(LaunchParams, stream, cuLaunchKernel_params, hStream);
SAME_PLACE(LaunchParams, arguments, cuLaunchKernel_params, kernelParams);
static_assert(offsetof(LaunchParams, grid) == offsetof(cuLaunchKernel_params, gridDimX));
static_assert(offsetof(LaunchParams, block) == offsetof(cuLaunchKernel_params, blockDimX));
static_assert(sizeof(LaunchExParams) == sizeof(cuLaunchKernelEx_params));
SAME_PLACE(LaunchExParams, config, cuLaunchKernelEx_params, config);
SAME_PLACE(LaunchExParams, function, cuLaunchKernelEx_params, f);
SAME_PLACE(LaunchExParams, arguments, cuLaunchKernelEx_params, kernelParams);
static_assert(sizeof(LaunchCooperativeParams) == sizeof(cuLaunchCooperativeKernel_params));
SAME_PLACE(LaunchCooperativeParams, stream, cuLaunchCooperativeKernel_params, hStream);
SAME_PLACE(LaunchCooperativeParams, arguments, cuLaunchCooperativeKernel_params, kernelParams);
static_assert(sizeof(BeginCaptureParams) == sizeof(cuStreamBeginCapture_v2_params));
SAME_PLACE(BeginCaptureParams, mode, cuStreamBeginCapture_v2_params, mode);
static_assert(sizeof(EndCaptureParams) == sizeof(cuStreamEndCapture_params));
SAME_PLACE(EndCaptureParams, graph, cuStreamEndCapture_params, phGraph);
static_assert(sizeof(InstantiateParams) == sizeof(cuGraphInstantiateWithFlags_params));
SAME_PLACE(InstantiateParams, exec, cuGraphInstantiateWithFlags_params, phGraphExec);
SAME_PLACE(InstantiateParams, graph, cuGraphInstantiateWithFlags_params, hGraph);
SAME_PLACE(InstantiateParams, flags, cuGraphInstantiateWithFlags_params, flags);
static_assert(sizeof(InstantiateWithParams) == sizeof(cuGraphInstantiateWithParams_params));
SAME_PLACE(InstantiateWithParams, parameters, cuGraphInstantiateWithParams_params,
           instantiateParams);
static_assert(sizeof(InstantiateLogParams) == sizeof(cuGraphInstantiate_v2_params));
SAME_PLACE(InstantiateLogParams, log_bytes, cuGraphInstantiate_v2_params, bufferSize);
static_assert(sizeof(ExecUpdateParams) == sizeof(cuGraphExecUpdate_v2_params));
SAME_PLACE(ExecUpdateParams, result, cuGraphExecUpdate_v2_params, resultInfo);
static_assert(sizeof(KernelNodeParams) == sizeof(cuGraphExecKernelNodeSetParams_v2_params));
SAME_PLACE(KernelNodeParams, node, cuGraphExecKernelNodeSetParams_v2_params, hNode);
SAME_PLACE(KernelNodeParams, parameters, cuGraphExecKernelNodeSetParams_v2_params, nodeParams);
static_assert(sizeof(ExecUpdateOf11Params) == sizeof(cuGraphExecUpdate_params));
SAME_PLACE(ExecUpdateOf11Params, graph, cuGraphExecUpdate_params, hGraph);
SAME_PLACE(ExecUpdateOf11Params, result, cuGraphExecUpdate_params, updateResult_out);
static_assert(sizeof(KernelNodeOf11Params) == sizeof(cuGraphExecKernelNodeSetParams_params));
SAME_PLACE(KernelNodeOf11Params, parameters, cuGraphExecKernelNodeSetParams_params, nodeParams);
static_assert(sizeof(ChildParams) == sizeof(cuGraphExecChildGraphNodeSetParams_params));
SAME_PLACE(ChildParams, child, cuGraphExecChildGraphNodeSetParams_params, childGraph);
static_assert(sizeof(NodeEnabledParams) == sizeof(cuGraphNodeSetEnabled_params));
SAME_PLACE(NodeEnabledParams, enabled, cuGraphNodeSetEnabled_params, isEnabled);
static_assert(sizeof(ExecOnStreamParams) == sizeof(cuGraphLaunch_params));
SAME_PLACE(ExecOnStreamParams, stream, cuGraphLaunch_params, hStream);
static_assert(sizeof(ExecOnStreamParams) == sizeof(cuGraphUpload_params));
static_assert(sizeof(ExecParams) == sizeof(cuGraphExecDestroy_params));
static_assert(sizeof(GraphParams) == sizeof(cuGraphDestroy_params));
static_assert(sizeof(StreamCreateParams) == sizeof(cuStreamCreate_params));
SAME_PLACE(StreamCreateParams, flags, cuStreamCreate_params, Flags);
SAME_PLACE(StreamCreatePriorityParams, flags, cuStreamCreateWithPriority_params, flags);
SAME_PLACE(StreamWaitParams, event, cuStreamWaitEvent_params, hEvent);
SAME_PLACE(EventRecordParams, stream, cuEventRecord_params, hStream);
SAME_PLACE(EventRecordFlagsParams, stream, cuEventRecordWithFlags_params, hStream);

TEST(CuptiAbi, AgreesWithTheHeaders) { SUCCEED() << "compared as this was compiled"; }

#else

TEST(CuptiAbi, AgreesWithTheHeaders) { GTEST_SKIP() << "this toolkit has no cupti.h"; }

#endif

}  // namespace
}  // namespace lamplight::cupti
