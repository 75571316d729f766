// libcuda: modules, libraries, functions. Thin C entries; thread-safe.
#include <cuda.h>

#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/modules.h"
#include "tests/device_sim/tool_callbacks.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

namespace {

// `body(Kernel&)`, or the error of an unknown handle.
template <class Body>
CUresult DriverWith(const void* function, Body body) {
  return Driver([&]() -> Status {
    Kernel* kernel = function == nullptr ? nullptr : LookUpKernel(function);
    return kernel == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(*kernel);
  });
}

// Where only a CUfunction will do. Seen with driver 580: a CUkernel is refused, and the other way
// round.
template <class Body>
CUresult DriverWithFunction(CUfunction handle, Body body) {
  return DriverWith(handle, [&](Kernel& kernel) -> Status {
    return kernel.function_handle() == handle ? body(kernel) : CUDA_ERROR_INVALID_HANDLE;
  });
}

template <class Body>
CUresult DriverWithKernel(CUkernel handle, Body body) {
  return DriverWith(handle, [&](Kernel& kernel) -> Status {
    return kernel.kernel_handle() == handle ? body(kernel) : CUDA_ERROR_INVALID_HANDLE;
  });
}

template <class Table, class Handle>
Status FindIn(Table& table, Handle handle, const char* name, Kernel** kernel) {
  const auto found = table.Find(handle);
  return found == nullptr ? CUDA_ERROR_INVALID_HANDLE : found->Find(name, kernel);
}

Status FunctionAttribute(int* value, CUfunction_attribute attribute) {
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
      return Store(value, 1024);
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
      return Store(value, 32);
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
      return Store(value, 10 * kComputeMajor + kComputeMinor);
    default:
      return Store(value, 0);
  }
}

}  // namespace

extern "C" {

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  return DriverInContext([&] { return LoadModule(module, image); });
}

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, CUjit_option*, void**) {
  return DriverInContext([&] { return LoadModule(module, image); });
}

CUresult cuModuleLoadFatBinary(CUmodule* module, const void* image) {
  return DriverInContext([&] { return LoadModule(module, image); });
}

CUresult cuModuleUnload(CUmodule module) {
  const cupti::ModuleParams told{module};
  return Told(cupti::kModuleUnload, "cuModuleUnload", told, [&]() -> CUresult {
    return DriverInContext(
        [&] { return Modules().Remove(module) == nullptr ? CUDA_ERROR_INVALID_HANDLE : kOk; });
  });
}

CUresult cuModuleGetFunction(CUfunction* out, CUmodule module, const char* name) {
  return DriverInContext([&]() -> Status {
    Kernel* kernel = nullptr;
    SIM_TRY(FindIn(Modules(), module, name, &kernel));
    return Store(out, kernel->function_handle());
  });
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode* mode) {
  return Driver([&] { return Store(mode, CU_MODULE_EAGER_LOADING); });
}

CUresult cuLibraryLoadData(CUlibrary* library, const void* code, CUjit_option*, void**, unsigned,
                           CUlibraryOption*, void**, unsigned) {
  return Driver([&] { return LoadLibrary(library, code); });
}

CUresult cuLibraryUnload(CUlibrary library) {
  const cupti::LibraryParams told{library};
  return Told(cupti::kLibraryUnload, "cuLibraryUnload", told, [&]() -> CUresult {
    return Driver(
        [&] { return Libraries().Remove(library) == nullptr ? CUDA_ERROR_INVALID_HANDLE : kOk; });
  });
}

CUresult cuLibraryGetKernel(CUkernel* out, CUlibrary library, const char* name) {
  return Driver([&]() -> Status {
    Kernel* kernel = nullptr;
    SIM_TRY(FindIn(Libraries(), library, name, &kernel));
    return Store(out, kernel->kernel_handle());
  });
}

CUresult cuKernelGetFunction(CUfunction* out, CUkernel handle) {
  return DriverWithKernel(handle,
                          [&](Kernel& kernel) { return Store(out, kernel.function_handle()); });
}

CUresult cuKernelGetName(const char** name, CUkernel handle) {
  return DriverWithKernel(handle,
                          [&](Kernel& kernel) { return Store(name, kernel.symbol().c_str()); });
}

CUresult cuKernelGetParamInfo(CUkernel handle, size_t index, size_t* offset, size_t* size) {
  return DriverWithKernel(handle,
                          [&](Kernel& kernel) { return ParameterOf(kernel, index, offset, size); });
}

CUresult cuKernelSetAttribute(CUfunction_attribute, int, CUkernel handle, CUdevice) {
  return DriverWith(handle, [](Kernel&) { return kOk; });
}

CUresult cuFuncGetName(const char** name, CUfunction handle) {
  return DriverWithFunction(handle,
                            [&](Kernel& kernel) { return Store(name, kernel.symbol().c_str()); });
}

CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t* offset, size_t* size) {
  return DriverWithFunction(
      handle, [&](Kernel& kernel) { return ParameterOf(kernel, index, offset, size); });
}

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction handle) {
  return DriverWith(handle, [&](Kernel&) { return FunctionAttribute(value, attribute); });
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute, int) {
  return DriverWith(handle, [](Kernel&) { return kOk; });
}

CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache) {
  return DriverWith(handle, [](Kernel&) { return kOk; });
}

CUresult cuFuncLoad(CUfunction handle) {
  return DriverWith(handle, [](Kernel& kernel) { return MakeRunnable(kernel); });
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState* state, CUfunction handle) {
  return DriverWith(handle,
                    [&](Kernel&) { return Store(state, CU_FUNCTION_LOADING_STATE_LOADED); });
}

}  // extern "C"
