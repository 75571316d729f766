#include "green_stream.h"

#include <cuda.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace engine {
namespace {

template <class Function>
Function* Find(const char* name) {
  static void* driver = dlopen("libcuda.so.1", RTLD_LAZY);
  void* found = driver == nullptr ? nullptr : dlsym(driver, name);
  if (found == nullptr) {
    std::fprintf(stderr, "green_stream: libcuda.so.1 has no %s\n", name);
    std::_Exit(1);
  }
  return reinterpret_cast<Function*>(found);
}

void Check(CUresult result, const char* name) {
  if (result == CUDA_SUCCESS) return;
  std::fprintf(stderr, "green_stream: %s: error %d\n", name, int{result});
  std::_Exit(1);
}

// Calls a driver function by the name that the header gives it.
#define DRIVER_NAME(name) #name
#define DRIVER(name, ...) Check(Find<decltype(name)>(DRIVER_NAME(name))(__VA_ARGS__), #name)

}  // namespace

cudaStream_t GreenStream(bool current) {
  constexpr unsigned kProcessors = 8;
  CUdevResource all{}, share{};
  CUdevResourceDesc description = nullptr;
  CUgreenCtx green = nullptr;
  CUcontext context = nullptr;
  CUstream stream = nullptr;
  unsigned groups = 1;
  DRIVER(cuDeviceGetDevResource, 0, &all, CU_DEV_RESOURCE_TYPE_SM);
  DRIVER(cuDevSmResourceSplitByCount, &share, &groups, &all, nullptr, 0, kProcessors);
  DRIVER(cuDevResourceGenerateDesc, &description, &share, 1);
  DRIVER(cuGreenCtxCreate, &green, description, 0, CU_GREEN_CTX_DEFAULT_STREAM);
  DRIVER(cuGreenCtxStreamCreate, &stream, green, CU_STREAM_NON_BLOCKING, 0);
  if (!current) return stream;
  DRIVER(cuCtxFromGreenCtx, &context, green);
  DRIVER(cuCtxSetCurrent, context);
  return stream;
}

}  // namespace engine
