// Loads the driver once.
#include "driver_table.h"

#include <dlfcn.h>

#include <cstdio>

namespace driver_runtime {
namespace {

constexpr int kVersion = 12040;

using GetProcAddress = CUresult (*)(const char*, void**, int, cuuint64_t,
                                    CUdriverProcAddressQueryResult*);

template <class F>
bool Take(GetProcAddress get, const char* name, F* out) {
  void* found = nullptr;
  if (get(name, &found, kVersion, 0, nullptr) != CUDA_SUCCESS || found == nullptr) {
    std::fprintf(stderr, "driver_runtime: libcuda.so.1 has no %s\n", name);
    return false;
  }
  *out = reinterpret_cast<F>(found);
  return true;
}

const Driver* Load() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  auto* get = reinterpret_cast<GetProcAddress>(dlsym(library, "cuGetProcAddress_v2"));
  static Driver driver;
#define DRIVER_TAKE(name) \
  if (!Take(get, #name, &driver.name)) return nullptr;
  if (get == nullptr) return nullptr;
  DRIVER_FUNCTIONS(DRIVER_TAKE)
#undef DRIVER_TAKE
  return &driver;
}

}  // namespace

const Driver* TheDriver() {
  static const Driver* driver = Load();
  return driver;
}

}  // namespace driver_runtime
