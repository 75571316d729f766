#include "shim/swap/swap_driver.h"

#include "shim/resolver.h"

namespace lamplight::shim {
namespace {

template <class F>
bool Find(const char* name, F* out) {
  *out = reinterpret_cast<F>(ResolveDriver(name));
  return *out != nullptr;
}

}  // namespace

bool SwapDriver::Load(SwapDriver* out) noexcept {
  return Find("cuLaunchKernelEx", &out->LaunchKernelEx) &&
         Find("cuFuncSetAttribute", &out->FuncSetAttribute) && Find("cuFuncLoad", &out->FuncLoad);
}

}  // namespace lamplight::shim
