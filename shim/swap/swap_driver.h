// The driver functions that only swapping needs, as pointers. Immutable.
#pragma once

#include <cuda.h>

namespace lamplight::shim {

struct SwapDriver {
  CUresult (*LaunchKernelEx)(const CUlaunchConfig*, CUfunction, void**, void**) = nullptr;
  CUresult (*FuncSetAttribute)(CUfunction, CUfunction_attribute, int) = nullptr;
  CUresult (*FuncLoad)(CUfunction) = nullptr;

  // False where libcuda lacks one of them.
  static bool Load(SwapDriver* out) noexcept;
};

}  // namespace lamplight::shim
