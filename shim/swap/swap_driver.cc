#include "shim/swap/swap_driver.h"

#include <dlfcn.h>

namespace lamplight::shim {
namespace {

template <class F>
bool Find(void* library, const char* name, F* out) {
  *out = reinterpret_cast<F>(dlsym(library, name));
  return *out != nullptr;
}

}  // namespace

bool SwapDriver::Load(SwapDriver* out) noexcept {
  // The process uses CUDA, so the library is there; the handle is kept for ever.
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  return library != nullptr && Find(library, "cuLaunchKernelEx", &out->LaunchKernelEx) &&
         Find(library, "cuFuncSetAttribute", &out->FuncSetAttribute) &&
         Find(library, "cuFuncLoad", &out->FuncLoad);
}

}  // namespace lamplight::shim
