// What the fake driver and its test share. For one thread.
#pragma once

// Name, and how many arguments it has.
// clang-format off
#define FAKE_FUNCTIONS(F) \
  F(cuCtxSynchronize, 0) F(cuCtxSynchronize_v2, 1) F(cuCtxDestroy_v2, 1) \
  F(cuDevicePrimaryCtxRelease_v2, 1) F(cuDevicePrimaryCtxReset_v2, 1) \
  F(cuModuleUnload, 1) F(cuLibraryUnload, 1) \
  F(cuEventRecord, 2) F(cuEventRecord_ptsz, 2) \
  F(cuEventRecordWithFlags, 3) F(cuEventRecordWithFlags_ptsz, 3) \
  F(cuEventQuery, 1) F(cuEventSynchronize, 1) F(cuEventDestroy_v2, 1) \
  F(cuStreamCreate, 2) F(cuStreamCreateWithPriority, 3) F(cuStreamDestroy_v2, 1) \
  F(cuStreamQuery, 1) F(cuStreamQuery_ptsz, 1) \
  F(cuStreamSynchronize, 1) F(cuStreamSynchronize_ptsz, 1) \
  F(cuStreamWaitEvent, 3) F(cuStreamWaitEvent_ptsz, 3) \
  F(cuStreamBeginCapture_v2, 2) F(cuStreamBeginCapture_v2_ptsz, 2) \
  F(cuStreamBeginCaptureToGraph, 6) F(cuStreamBeginCaptureToGraph_ptsz, 6) \
  F(cuStreamEndCapture, 2) F(cuStreamEndCapture_ptsz, 2) \
  F(cuLaunchKernel, 11) F(cuLaunchKernel_ptsz, 11) \
  F(cuLaunchKernelEx, 4) F(cuLaunchKernelEx_ptsz, 4) \
  F(cuLaunchCooperativeKernel, 10) F(cuLaunchCooperativeKernel_ptsz, 10) \
  F(cuGraphInstantiate_v2, 5) F(cuGraphInstantiateWithFlags, 3) \
  F(cuGraphInstantiateWithParams, 3) F(cuGraphInstantiateWithParams_ptsz, 3) \
  F(cuGraphExecUpdate_v2, 3) F(cuGraphExecKernelNodeSetParams_v2, 3) \
  F(cuGraphExecUpdate, 4) F(cuGraphExecKernelNodeSetParams, 3) \
  F(cuGraphExecChildGraphNodeSetParams, 3) \
  F(cuGraphExecNodeSetParams, 3) F(cuGraphNodeSetEnabled, 3) \
  F(cuGraphUpload, 2) F(cuGraphUpload_ptsz, 2) F(cuGraphLaunch, 2) F(cuGraphLaunch_ptsz, 2) \
  F(cuGraphExecDestroy, 1) F(cuGraphDestroy, 1)
// clang-format on

inline constexpr int kFakeStatus = 719;
inline constexpr int kFakeArguments = 11;

struct FakeCall {
  const char* name;
  long arguments[kFakeArguments];
  int calls;
};

extern "C" FakeCall* FakeDriverCall();
