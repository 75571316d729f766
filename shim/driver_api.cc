// Fills the driver table once per process.
#include "shim/driver_api.h"

#include "shim/resolver.h"

namespace lamplight::shim {
namespace {

template <class F>
void Take(F* slot, const char* name, std::string* missing) {
  *slot = reinterpret_cast<F>(ResolveDriver(name));
  if (*slot == nullptr && missing->empty()) *missing = name;
}

// The names are the driver's exported ones: cuda.h maps the plain names to versioned ones.
DriverApi LoadTable(std::string* missing) {
  DriverApi api{};
  Take(&api.Init, "cuInit", missing);
  Take(&api.DriverGetVersion, "cuDriverGetVersion", missing);
  Take(&api.GetErrorName, "cuGetErrorName", missing);
  Take(&api.CtxGetCurrent, "cuCtxGetCurrent", missing);
  Take(&api.CtxSetCurrent, "cuCtxSetCurrent", missing);
  Take(&api.CtxGetDevice, "cuCtxGetDevice", missing);
  Take(&api.CtxGetId, "cuCtxGetId", missing);
  Take(&api.DeviceGetCount, "cuDeviceGetCount", missing);
  Take(&api.DevicePrimaryCtxGetState, "cuDevicePrimaryCtxGetState", missing);
  Take(&api.DevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", missing);
  Take(&api.DevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", missing);
  Take(&api.DeviceGetName, "cuDeviceGetName", missing);
  Take(&api.DeviceGetUuid, "cuDeviceGetUuid_v2", missing);
  Take(&api.DeviceGetAttribute, "cuDeviceGetAttribute", missing);
  Take(&api.ThreadExchangeStreamCaptureMode, "cuThreadExchangeStreamCaptureMode", missing);
  Take(&api.ModuleLoadData, "cuModuleLoadData", missing);
  Take(&api.ModuleGetFunction, "cuModuleGetFunction", missing);
  Take(&api.FuncGetName, "cuFuncGetName", missing);
  Take(&api.FuncGetParamInfo, "cuFuncGetParamInfo", missing);
  Take(&api.KernelGetFunction, "cuKernelGetFunction", missing);
  Take(&api.LaunchKernel, "cuLaunchKernel", missing);
  Take(&api.StreamCreate, "cuStreamCreate", missing);
  Take(&api.StreamQuery, "cuStreamQuery", missing);
  Take(&api.StreamGetFlags, "cuStreamGetFlags", missing);
  Take(&api.StreamIsCapturing, "cuStreamIsCapturing", missing);
  api.StreamGetCtx =
      reinterpret_cast<decltype(api.StreamGetCtx)>(ResolveDriver("cuStreamGetCtx_v2"));
  api.CtxFromGreenCtx =
      reinterpret_cast<decltype(api.CtxFromGreenCtx)>(ResolveDriver("cuCtxFromGreenCtx"));
  api.GreenCtxGetDevResource = reinterpret_cast<decltype(api.GreenCtxGetDevResource)>(
      ResolveDriver("cuGreenCtxGetDevResource"));
  Take(&api.EventCreate, "cuEventCreate", missing);
  Take(&api.EventRecord, "cuEventRecord", missing);
  Take(&api.EventQuery, "cuEventQuery", missing);
  Take(&api.EventDestroy, "cuEventDestroy_v2", missing);
  Take(&api.MemAlloc, "cuMemAlloc_v2", missing);
  Take(&api.MemHostAlloc, "cuMemHostAlloc", missing);
  Take(&api.MemHostRegister, "cuMemHostRegister_v2", missing);
  Take(&api.MemHostGetDevicePointer, "cuMemHostGetDevicePointer_v2", missing);
  Take(&api.MemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2", missing);
  Take(&api.MemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2", missing);
  Take(&api.PointerGetAttribute, "cuPointerGetAttribute", missing);
  Take(&api.MemsetD8Async, "cuMemsetD8Async", missing);
  Take(&api.GraphCreate, "cuGraphCreate", missing);
  Take(&api.GraphDestroy, "cuGraphDestroy", missing);
  Take(&api.GraphGetNodes, "cuGraphGetNodes", missing);
  Take(&api.GraphGetEdges, "cuGraphGetEdges_v2", missing);
  Take(&api.GraphNodeGetType, "cuGraphNodeGetType", missing);
  Take(&api.GraphKernelNodeGetParams, "cuGraphKernelNodeGetParams_v2", missing);
  Take(&api.GraphKernelNodeSetParams, "cuGraphKernelNodeSetParams_v2", missing);
  Take(&api.GraphKernelNodeGetAttribute, "cuGraphKernelNodeGetAttribute", missing);
  Take(&api.GraphAddKernelNode, "cuGraphAddKernelNode_v2", missing);
  Take(&api.GraphAddEventRecordNode, "cuGraphAddEventRecordNode", missing);
  Take(&api.GraphAddDependencies, "cuGraphAddDependencies_v2", missing);
  Take(&api.GraphChildGraphNodeGetGraph, "cuGraphChildGraphNodeGetGraph", missing);
  Take(&api.GraphDestroyNode, "cuGraphDestroyNode", missing);
  return api;
}

}  // namespace

const DriverApi* DriverApi::Load(std::string* missing) noexcept {
  static std::string first_missing;
  static const DriverApi table = LoadTable(&first_missing);
  if (first_missing.empty()) return &table;
  *missing = first_missing;
  return nullptr;
}

CUfunction FunctionOf(const DriverApi& driver, const CUDA_KERNEL_NODE_PARAMS& parameters) noexcept {
  CUfunction function = parameters.func;
  if (function == nullptr && parameters.kern != nullptr) {
    driver.KernelGetFunction(&function, parameters.kern);
  }
  return function;
}

}  // namespace lamplight::shim
