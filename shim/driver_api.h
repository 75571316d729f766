// The driver functions that the shim itself calls, as a table of pointers: nothing links to
// libcuda.
//
// The table is complete, but for what says otherwise, or the shim stays off. Every call here is
// subject to capture rules: callers hold a RelaxedCapture while they use it.
#pragma once

#include <cuda.h>

#include <string>

namespace lamplight::shim {

struct DriverApi {
  CUresult (*Init)(unsigned);
  CUresult (*DriverGetVersion)(int*);
  CUresult (*GetErrorName)(CUresult, const char**);
  CUresult (*CtxGetCurrent)(CUcontext*);
  CUresult (*CtxSetCurrent)(CUcontext);
  CUresult (*CtxGetDevice)(CUdevice*);
  CUresult (*CtxGetId)(CUcontext, unsigned long long*);
  CUresult (*DeviceGetCount)(int*);
  CUresult (*DevicePrimaryCtxGetState)(CUdevice, unsigned*, int*);
  CUresult (*DevicePrimaryCtxRetain)(CUcontext*, CUdevice);
  CUresult (*DevicePrimaryCtxRelease)(CUdevice);
  CUresult (*DeviceGetName)(char*, int, CUdevice);
  CUresult (*DeviceGetUuid)(CUuuid*, CUdevice);
  CUresult (*DeviceGetAttribute)(int*, CUdevice_attribute, CUdevice);
  CUresult (*ThreadExchangeStreamCaptureMode)(CUstreamCaptureMode*);
  CUresult (*ModuleLoadData)(CUmodule*, const void*);
  CUresult (*ModuleGetFunction)(CUfunction*, CUmodule, const char*);
  CUresult (*FuncGetName)(const char**, CUfunction);
  CUresult (*FuncGetParamInfo)(CUfunction, size_t, size_t*, size_t*);
  CUresult (*KernelGetFunction)(CUfunction*, CUkernel);
  CUresult (*LaunchKernel)(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                           unsigned, CUstream, void**, void**);
  CUresult (*StreamCreate)(CUstream*, unsigned);
  CUresult (*StreamQuery)(CUstream);
  CUresult (*StreamGetFlags)(CUstream, unsigned*);
  CUresult (*StreamIsCapturing)(CUstream, CUstreamCaptureStatus*);
  // Null where the driver lacks them (before CUDA 12.5, 12.4).
  CUresult (*StreamGetCtx)(CUstream, CUcontext*, CUgreenCtx*);
  CUresult (*CtxFromGreenCtx)(CUcontext*, CUgreenCtx);
  CUresult (*GreenCtxGetDevResource)(CUgreenCtx, CUdevResource*, CUdevResourceType);
  CUresult (*EventCreate)(CUevent*, unsigned);
  CUresult (*EventRecord)(CUevent, CUstream);
  CUresult (*EventQuery)(CUevent);
  CUresult (*EventDestroy)(CUevent);
  CUresult (*MemAlloc)(CUdeviceptr*, size_t);
  CUresult (*MemHostAlloc)(void**, size_t, unsigned);
  CUresult (*MemHostRegister)(void*, size_t, unsigned);  // null in some tests
  CUresult (*MemHostGetDevicePointer)(CUdeviceptr*, void*, unsigned);
  CUresult (*MemcpyDtoHAsync)(void*, CUdeviceptr, size_t, CUstream);
  CUresult (*MemcpyHtoDAsync)(CUdeviceptr, const void*, size_t, CUstream);
  CUresult (*PointerGetAttribute)(void*, CUpointer_attribute, CUdeviceptr);
  CUresult (*MemsetD8Async)(CUdeviceptr, unsigned char, size_t, CUstream);
  CUresult (*GraphCreate)(CUgraph*, unsigned);
  CUresult (*GraphDestroy)(CUgraph);
  CUresult (*GraphGetNodes)(CUgraph, CUgraphNode*, size_t*);
  CUresult (*GraphGetEdges)(CUgraph, CUgraphNode*, CUgraphNode*, CUgraphEdgeData*, size_t*);
  CUresult (*GraphNodeGetType)(CUgraphNode, CUgraphNodeType*);
  CUresult (*GraphKernelNodeGetParams)(CUgraphNode, CUDA_KERNEL_NODE_PARAMS*);
  CUresult (*GraphKernelNodeSetParams)(CUgraphNode, const CUDA_KERNEL_NODE_PARAMS*);
  CUresult (*GraphKernelNodeGetAttribute)(CUgraphNode, CUkernelNodeAttrID, CUkernelNodeAttrValue*);
  CUresult (*GraphAddKernelNode)(CUgraphNode*, CUgraph, const CUgraphNode*, size_t,
                                 const CUDA_KERNEL_NODE_PARAMS*);
  CUresult (*GraphAddEventRecordNode)(CUgraphNode*, CUgraph, const CUgraphNode*, size_t, CUevent);
  CUresult (*GraphAddDependencies)(CUgraph, const CUgraphNode*, const CUgraphNode*,
                                   const CUgraphEdgeData*, size_t);
  CUresult (*GraphChildGraphNodeGetGraph)(CUgraphNode, CUgraph*);
  CUresult (*GraphDestroyNode)(CUgraphNode);

  // Null where libcuda is absent or lacks a function; `missing` then names it.
  static const DriverApi* Load(std::string* missing) noexcept;
};

// The function of a kernel node, which may hold it as a kernel. Null: the driver does not tell.
CUfunction FunctionOf(const DriverApi& driver, const CUDA_KERNEL_NODE_PARAMS& parameters) noexcept;

// While it lives, this thread's driver calls are allowed whatever other threads capture, and do not
// disturb their captures.
class RelaxedCapture {
 public:
  explicit RelaxedCapture(const DriverApi& driver) : driver_(driver) {
    driver_.ThreadExchangeStreamCaptureMode(&mode_);
  }
  ~RelaxedCapture() { driver_.ThreadExchangeStreamCaptureMode(&mode_); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  const DriverApi& driver_;
  CUstreamCaptureMode mode_ = CU_STREAM_CAPTURE_MODE_RELAXED;
};

}  // namespace lamplight::shim
