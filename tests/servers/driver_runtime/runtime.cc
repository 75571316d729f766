// The part of the CUDA runtime that the server uses, over the driver API alone: what a program with
// a statically linked runtime looks like from outside. Nothing of it is visible to the dynamic
// linker, so nothing can be put in front of it.
#include <cuda_runtime_api.h>

#include "driver_table.h"
#include "kernels.h"
#include "packed_arguments.h"

namespace driver_runtime {
namespace {

thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;

// The driver's codes are the runtime's.
cudaError_t Remember(CUresult result) {
  const auto status = static_cast<cudaError_t>(result);
  if (status != cudaSuccess) last_error = status;
  return status;
}

CUresult Initialise(const Driver& driver) {
  static const CUresult initialised = driver.cuInit(0);
  return initialised;
}

CUresult UseDevice(const Driver& driver, int device) {
  CUcontext context = nullptr;
  const CUresult retained = driver.cuDevicePrimaryCtxRetain(&context, device);
  return retained != CUDA_SUCCESS ? retained : driver.cuCtxSetCurrent(context);
}

// `body(driver)` with the driver initialised.
template <class Body>
cudaError_t WithDriver(Body body) {
  const Driver* driver = TheDriver();
  if (driver == nullptr) return Remember(CUDA_ERROR_NO_DEVICE);
  const CUresult initialised = Initialise(*driver);
  return Remember(initialised != CUDA_SUCCESS ? initialised : body(*driver));
}

// The same with a current context.
template <class Body>
cudaError_t InContext(Body body) {
  return WithDriver([&](const Driver& driver) -> CUresult {
    CUcontext context = nullptr;
    driver.cuCtxGetCurrent(&context);
    if (context != nullptr) return body(driver);
    const CUresult used = UseDevice(driver, current_device);
    return used != CUDA_SUCCESS ? used : body(driver);
  });
}

CUdeviceptr Address(const void* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

// `body(driver, kernel)`; a CUkernel may stand in the place of a CUfunction.
template <class Body>
cudaError_t WithKernel(const void* function, Body body) {
  return InContext([&](const Driver& driver) -> CUresult {
    CUkernel kernel = KernelOf(function);
    if (kernel == nullptr) return static_cast<CUresult>(cudaErrorInvalidDeviceFunction);
    return body(driver, kernel);
  });
}

CUlaunchConfig DriverConfig(const cudaLaunchConfig_t& from) {
  CUlaunchConfig to{};
  to.gridDimX = from.gridDim.x, to.gridDimY = from.gridDim.y, to.gridDimZ = from.gridDim.z;
  to.blockDimX = from.blockDim.x, to.blockDimY = from.blockDim.y, to.blockDimZ = from.blockDim.z;
  to.sharedMemBytes = static_cast<unsigned>(from.dynamicSmemBytes);
  to.hStream = from.stream;
  to.attrs = reinterpret_cast<CUlaunchAttribute*>(from.attrs);
  to.numAttrs = from.numAttrs;
  return to;
}

}  // namespace
}  // namespace driver_runtime

using namespace driver_runtime;  // NOLINT(google-build-using-namespace): entries only

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  return WithDriver([&](const Driver& driver) { return driver.cuDeviceGetCount(count); });
}

cudaError_t cudaSetDevice(int device) {
  current_device = device;
  return WithDriver([&](const Driver& driver) { return UseDevice(driver, device); });
}

cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return WithDriver([&](const Driver& driver) {
    return driver.cuDeviceGetAttribute(value, static_cast<CUdevice_attribute>(attribute), device);
  });
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  return WithDriver(
      [&](const Driver& driver) { return driver.cuDeviceCanAccessPeer(can, device, peer); });
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  return InContext([&](const Driver& driver) -> CUresult {
    CUcontext context = nullptr;
    const CUresult retained = driver.cuDevicePrimaryCtxRetain(&context, peer);
    return retained != CUDA_SUCCESS ? retained : driver.cuCtxEnablePeerAccess(context, flags);
  });
}

cudaError_t cudaDeviceSynchronize() {
  return InContext([](const Driver& driver) { return driver.cuCtxSynchronize(); });
}

const char* cudaGetErrorName(cudaError_t error) {
  const char* name = nullptr;
  if (const Driver* driver = TheDriver()) {
    driver->cuGetErrorName(static_cast<CUresult>(error), &name);
  }
  return name == nullptr ? "unknown error" : name;
}

const char* cudaGetErrorString(cudaError_t error) {
  const char* text = nullptr;
  if (const Driver* driver = TheDriver()) {
    driver->cuGetErrorString(static_cast<CUresult>(error), &text);
  }
  return text == nullptr ? "unknown error" : text;
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaMalloc(void** out, size_t bytes) {
  return InContext([&](const Driver& driver) {
    return driver.cuMemAlloc(reinterpret_cast<CUdeviceptr*>(out), bytes);
  });
}

cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  return InContext([&](const Driver& driver) { return driver.cuMemFree(Address(pointer)); });
}

cudaError_t cudaMallocAsync(void** out, size_t bytes, cudaStream_t stream) {
  return InContext([&](const Driver& driver) {
    return driver.cuMemAllocAsync(reinterpret_cast<CUdeviceptr*>(out), bytes, stream);
  });
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  return InContext(
      [&](const Driver& driver) { return driver.cuMemFreeAsync(Address(pointer), stream); });
}

cudaError_t cudaHostAlloc(void** out, size_t bytes, unsigned flags) {
  return InContext([&](const Driver& driver) { return driver.cuMemHostAlloc(out, bytes, flags); });
}

cudaError_t cudaFreeHost(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  return InContext([&](const Driver& driver) { return driver.cuMemFreeHost(pointer); });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  return InContext(
      [&](const Driver& driver) { return driver.cuMemcpy(Address(to), Address(from), bytes); });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  return InContext([&](const Driver& driver) {
    return driver.cuMemcpyAsync(Address(to), Address(from), bytes, stream);
  });
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return InContext([&](const Driver& driver) {
    return driver.cuMemsetD8(Address(to), static_cast<unsigned char>(value), bytes);
  });
}

static_assert(sizeof(cudaIpcMemHandle_t) == sizeof(CUipcMemHandle));

cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t* handle, void* pointer) {
  return InContext([&](const Driver& driver) {
    return driver.cuIpcGetMemHandle(reinterpret_cast<CUipcMemHandle*>(handle), Address(pointer));
  });
}

cudaError_t cudaIpcOpenMemHandle(void** out, cudaIpcMemHandle_t handle, unsigned flags) {
  return InContext([&](const Driver& driver) {
    return driver.cuIpcOpenMemHandle(reinterpret_cast<CUdeviceptr*>(out),
                                     *reinterpret_cast<CUipcMemHandle*>(&handle), flags);
  });
}

cudaError_t cudaIpcCloseMemHandle(void* pointer) {
  return InContext(
      [&](const Driver& driver) { return driver.cuIpcCloseMemHandle(Address(pointer)); });
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  return WithKernel(function, [&](const Driver& driver, CUkernel kernel) -> CUresult {
    CUfunction loaded = nullptr;
    CUresult result = driver.cuKernelGetFunction(&loaded, kernel);
    if (result == CUDA_SUCCESS) result = driver.cuFuncLoad(loaded);
    if (result != CUDA_SUCCESS) return result;
    *attributes = {};
    return driver.cuFuncGetAttribute(&attributes->numRegs, CU_FUNC_ATTRIBUTE_NUM_REGS, loaded);
  });
}

cudaError_t __cudaLaunchKernel(cudaKernel_t function, dim3 grid, dim3 block, void** arguments,
                               size_t shared_bytes, cudaStream_t stream) {
  return WithKernel(function, [&](const Driver& driver, CUkernel kernel) {
    PackedArguments packed(driver, kernel, arguments);
    return driver.cuLaunchKernel(reinterpret_cast<CUfunction>(kernel), grid.x, grid.y, grid.z,
                                 block.x, block.y, block.z, static_cast<unsigned>(shared_bytes),
                                 stream, packed.arguments(), packed.extra());
  });
}

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             size_t shared_bytes, cudaStream_t stream) {
  return __cudaLaunchKernel(static_cast<cudaKernel_t>(const_cast<void*>(function)), grid, block,
                            arguments, shared_bytes, stream);
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function,
                                void** arguments) {
  return WithKernel(function, [&](const Driver& driver, CUkernel kernel) {
    const CUlaunchConfig driver_config = DriverConfig(*config);
    PackedArguments packed(driver, kernel, arguments);
    return driver.cuLaunchKernelEx(&driver_config, reinterpret_cast<CUfunction>(kernel),
                                   packed.arguments(), packed.extra());
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* argument) {
  return InContext(
      [&](const Driver& driver) { return driver.cuLaunchHostFunc(stream, function, argument); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return InContext([&](const Driver& driver) { return driver.cuStreamCreate(stream, flags); });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return InContext([&](const Driver& driver) { return driver.cuStreamDestroy(stream); });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return InContext([&](const Driver& driver) { return driver.cuStreamSynchronize(stream); });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return InContext([&](const Driver& driver) {
    return driver.cuStreamBeginCapture(stream, static_cast<CUstreamCaptureMode>(mode));
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return InContext([&](const Driver& driver) { return driver.cuStreamEndCapture(stream, graph); });
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph,
                                          unsigned long long flags) {
  return InContext(
      [&](const Driver& driver) { return driver.cuGraphInstantiateWithFlags(exec, graph, flags); });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  return InContext([&](const Driver& driver) { return driver.cuGraphUpload(exec, stream); });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return InContext([&](const Driver& driver) { return driver.cuGraphLaunch(exec, stream); });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return InContext([&](const Driver& driver) { return driver.cuGraphExecDestroy(exec); });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return InContext([&](const Driver& driver) { return driver.cuGraphDestroy(graph); });
}

}  // extern "C"
