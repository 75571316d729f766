// The kernels of the executable: registered before main(), loaded at their first use.
//
// Thread-safe after the start of main().
#pragma once

#include <cuda.h>

namespace driver_runtime {

// A host function's kernel, of whatever context; null where it is none, or cannot be loaded.
CUkernel KernelOf(const void* host_function);

}  // namespace driver_runtime
