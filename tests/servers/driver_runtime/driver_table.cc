// Loads the driver once.
#include "driver_table.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace driver_runtime {
namespace {

constexpr int kVersion = 12040;

using GetProcAddress = CUresult (*)(const char*, void**, int, cuuint64_t,
                                    CUdriverProcAddressQueryResult*);

// How the functions are found.
struct Lookup {
  void* library;
  GetProcAddress get;  // null: by their exported names

  void* Find(const char* name, const char* exported) const {
    if (get == nullptr) return dlsym(library, exported);
    void* found = nullptr;
    return get(name, &found, kVersion, 0, nullptr) == CUDA_SUCCESS ? found : nullptr;
  }
};

template <class F>
bool Take(const Lookup& lookup, const char* name, const char* exported, F* out) {
  void* found = lookup.Find(name, exported);
  if (found == nullptr) {
    std::fprintf(stderr, "driver_runtime: libcuda.so.1 has no %s\n", name);
    return false;
  }
  *out = reinterpret_cast<F>(found);
  return true;
}

bool ByNames() {
  const char* value = std::getenv("PIECEWISE_LOOKUP");
  return value != nullptr && std::string_view(value) == "names";
}

const Driver* Load() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  Lookup lookup{library, nullptr};
  if (!ByNames()) {
    dlerror();
    lookup.get = reinterpret_cast<GetProcAddress>(dlsym(library, "cuGetProcAddress_v2"));
    if (const char* error = dlerror()) {
      std::fprintf(stderr, "driver_runtime: %s\n", error);
      return nullptr;
    }
  }
  static Driver driver;
// cuda.h defines most names as those of their newest form.
#define DRIVER_EXPORTED(name) #name
#define DRIVER_TAKE(name) \
  if (!Take(lookup, #name, DRIVER_EXPORTED(name), &driver.name)) return nullptr;
  DRIVER_FUNCTIONS(DRIVER_TAKE)
#undef DRIVER_TAKE
#undef DRIVER_EXPORTED
  return &driver;
}

}  // namespace

const Driver* TheDriver() {
  static const Driver* driver = Load();
  return driver;
}

}  // namespace driver_runtime
