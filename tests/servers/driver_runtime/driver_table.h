// The driver's functions that the runtime of this folder needs, found as the real static runtime
// finds them: libcuda.so.1 by dlopen, its functions by cuGetProcAddress; or, with
// PIECEWISE_LOOKUP=names in the environment, each by its exported name, as others do.
//
// Thread-safe: loaded once, immutable then.
#pragma once

#include <cuda.h>

// clang-format off
#define DRIVER_FUNCTIONS(F) \
  F(cuInit) F(cuDeviceGetCount) F(cuDeviceGetAttribute) F(cuDevicePrimaryCtxRetain) \
  F(cuCtxSetCurrent) F(cuCtxGetCurrent) F(cuCtxSynchronize) F(cuGetErrorName) \
  F(cuGetErrorString) F(cuLibraryLoadData) F(cuLibraryGetKernel) F(cuKernelGetFunction) \
  F(cuFuncLoad) F(cuFuncGetAttribute) F(cuMemAlloc) F(cuMemFree) F(cuMemHostAlloc) \
  F(cuKernelGetParamInfo) F(cuMemAllocAsync) F(cuMemFreeAsync) F(cuDeviceCanAccessPeer) F(cuCtxEnablePeerAccess) \
  F(cuMemFreeHost) F(cuMemcpy) F(cuMemcpyAsync) F(cuMemsetD8) F(cuIpcGetMemHandle) \
  F(cuIpcOpenMemHandle) F(cuIpcCloseMemHandle) F(cuLaunchKernel) F(cuLaunchKernelEx) \
  F(cuLaunchHostFunc) F(cuStreamCreate) F(cuStreamDestroy) F(cuStreamSynchronize) \
  F(cuStreamBeginCapture) F(cuStreamEndCapture) F(cuGraphInstantiateWithFlags) \
  F(cuGraphUpload) F(cuGraphLaunch) F(cuGraphExecDestroy) F(cuGraphDestroy)
// clang-format on

namespace driver_runtime {

struct Driver {
#define DRIVER_MEMBER(name) decltype(&::name) name;
  DRIVER_FUNCTIONS(DRIVER_MEMBER)
#undef DRIVER_MEMBER
};

// Null where there is no driver, or one that lacks a function.
const Driver* TheDriver();

}  // namespace driver_runtime
