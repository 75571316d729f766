// Calls of the driver API by programs that link the runtime only. For programs of tests: what is
// not there, or fails, ends them.
#pragma once

#include <cuda.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace engine {

template <class Function>
Function* FindInDriver(const char* name) {
  static void* driver = dlopen("libcuda.so.1", RTLD_LAZY);
  void* found = driver == nullptr ? nullptr : dlsym(driver, name);
  if (found == nullptr) {
    std::fprintf(stderr, "libcuda.so.1 has no %s\n", name);
    std::_Exit(1);
  }
  return reinterpret_cast<Function*>(found);
}

inline void CheckDriver(CUresult result, const char* name) {
  if (result == CUDA_SUCCESS) return;
  std::fprintf(stderr, "%s: error %d\n", name, int{result});
  std::_Exit(1);
}

// Calls a driver function by the name that the header gives it.
#define DRIVER_NAME(name) #name
#define DRIVER(name, ...)                                                                       \
  ::engine::CheckDriver(::engine::FindInDriver<decltype(name)>(DRIVER_NAME(name))(__VA_ARGS__), \
                        #name)

}  // namespace engine
