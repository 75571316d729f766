// libcudart: what compiled binaries call at start, and questions about functions. Thread-safe.
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstring>

#include "tests/device_sim/driver_lookup.h"
#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/modules.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

namespace {

// What <<<>>> leaves for the launch stub that it calls.
struct CallConfiguration {
  dim3 grid;
  dim3 block;
  size_t shared_bytes;
  cudaStream_t stream;
};
// Launches nest where an argument launches, too.
constexpr size_t kNestedLaunches = 16;
thread_local CallConfiguration call_configurations[kNestedLaunches];
thread_local size_t nested_launches = 0;

// `body(Kernel&)`, or the error of an unknown function.
template <class Body>
cudaError_t RuntimeWith(const void* function, Body body) {
  return Runtime([&]() -> Status {
    Kernel* kernel = LookUpKernel(function);
    return kernel == nullptr ? kInvalidDeviceFunction : body(*kernel);
  });
}

Status Attributes(Kernel& kernel, cudaFuncAttributes* out) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  SIM_TRY(MakeRunnable(kernel));
  std::memset(out, 0, sizeof *out);
  out->maxThreadsPerBlock = 1024;
  out->numRegs = 32;
  out->ptxVersion = out->binaryVersion = 10 * kComputeMajor + kComputeMinor;
  out->maxDynamicSharedSizeBytes = 49152;
  return kOk;
}

}  // namespace

extern "C" {

void** __cudaRegisterFatBinary(void*) { return reinterpret_cast<void**>(new FatBinary); }
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void** handle) { delete reinterpret_cast<FatBinary*>(handle); }
char __cudaInitModule(void**) { return 1; }
// Device variables live in the kernel bodies' own code.
void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}

void __cudaRegisterFunction(void** handle, const char* host_function, char*, const char* symbol,
                            int, uint3*, uint3*, dim3*, dim3*, int*) {
  reinterpret_cast<FatBinary*>(handle)->Add(host_function, symbol);
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes,
                                     CUstream_st* stream) {
  if (nested_launches == kNestedLaunches) return 1;
  call_configurations[nested_launches++] = {grid, block, shared_bytes, stream};
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared_bytes,
                                       void* stream) {
  if (nested_launches == 0) return cudaErrorMissingConfiguration;
  const CallConfiguration& call = call_configurations[--nested_launches];
  *grid = call.grid;
  *block = call.block;
  *shared_bytes = call.shared_bytes;
  *static_cast<cudaStream_t*>(stream) = call.stream;
  return cudaSuccess;
}

// Runs before main(): must not initialise the device.
cudaError_t __cudaGetKernel(cudaKernel_t* out, const void* function) {
  Kernel* kernel = LookUpKernel(function);
  if (kernel == nullptr) return Remember(kInvalidDeviceFunction);
  return Remember(Store(out, kernel->kernel_handle()));
}

cudaError_t cudaGetKernel(cudaKernel_t* out, const void* function) {
  return RuntimeWith(function, [&](Kernel& kernel) { return Store(out, kernel.kernel_handle()); });
}

cudaError_t cudaGetFuncBySymbol(cudaFunction_t* out, const void* function) {
  return RuntimeWith(function,
                     [&](Kernel& kernel) { return Store(out, kernel.function_handle()); });
}

cudaError_t cudaFuncGetName(const char** name, const void* function) {
  return RuntimeWith(function,
                     [&](Kernel& kernel) { return Store(name, kernel.symbol().c_str()); });
}

cudaError_t cudaFuncGetParamInfo(const void* function, size_t index, size_t* offset, size_t* size) {
  return RuntimeWith(function,
                     [&](Kernel& kernel) { return ParameterOf(kernel, index, offset, size); });
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  return RuntimeWith(function, [&](Kernel& kernel) { return Attributes(kernel, attributes); });
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute, int) {
  return RuntimeWith(function, [](Kernel&) { return kOk; });
}

cudaError_t cudaFuncSetCacheConfig(const void* function, cudaFuncCache) {
  return RuntimeWith(function, [](Kernel&) { return kOk; });
}

cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t kernel, cudaFuncAttribute, int, int) {
  return RuntimeWith(kernel, [](Kernel&) { return kOk; });
}

// Bodies run a whole grid on one thread: every grid fits.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks,
                                                                   const void* function, int size,
                                                                   size_t, unsigned) {
  return RuntimeWith(function, [&](Kernel&) -> Status {
    if (size <= 0 || size > 1024) return CUDA_ERROR_INVALID_VALUE;
    return Store(blocks, 2048 / size);
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function,
                                                          int size, size_t) {
  return RuntimeWith(function, [&](Kernel&) -> Status {
    if (size <= 0 || size > 1024) return CUDA_ERROR_INVALID_VALUE;
    return Store(blocks, 2048 / size);
  });
}

cudaError_t cudaLibraryLoadData(cudaLibrary_t* library, const void* code, cudaJitOption*, void**,
                                unsigned, cudaLibraryOption*, void**, unsigned) {
  return Runtime([&] { return LoadLibrary(library, code); });
}

cudaError_t cudaLibraryUnload(cudaLibrary_t library) {
  return Runtime(
      [&] { return Libraries().Remove(library) == nullptr ? CUDA_ERROR_INVALID_HANDLE : kOk; });
}

cudaError_t cudaLibraryGetKernel(cudaKernel_t* out, cudaLibrary_t handle, const char* name) {
  return Runtime([&]() -> Status {
    const auto library = Libraries().Find(handle);
    if (library == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    Kernel* kernel = nullptr;
    SIM_TRY(library->Find(name, &kernel));
    return Store(out, kernel->kernel_handle());
  });
}

}  // extern "C"
