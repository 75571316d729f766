// Kernel launches. Everything but a Lamport kernel pays one table lookup.
#pragma once

#include <cuda_runtime_api.h>

#include "shim/resolver.h"

namespace lamplight::shim::hooks {

using LaunchFunction = cudaError_t (*)(const void*, dim3, dim3, void**, size_t, cudaStream_t);
using KernelLaunchFunction = cudaError_t (*)(cudaKernel_t, dim3, dim3, void**, size_t,
                                             cudaStream_t);

// In all of them `caller` is an address in the host's launching code.
// cudaLaunchKernel and cudaLaunchCooperativeKernel.
cudaError_t Launch(RealFunction<LaunchFunction>& real, const void* function, dim3 grid, dim3 block,
                   void** arguments, size_t shared_bytes, cudaStream_t stream, bool cooperative,
                   bool per_thread, const void* caller) noexcept;
// __cudaLaunchKernel: what `<<<…>>>` compiles to from CUDA 13 on (crt/device_functions.h).
cudaError_t LaunchHandle(RealFunction<KernelLaunchFunction>& real, cudaKernel_t kernel, dim3 grid,
                         dim3 block, void** arguments, size_t shared_bytes, cudaStream_t stream,
                         bool per_thread, const void* caller) noexcept;
cudaError_t LaunchEx(RealFunction<decltype(&cudaLaunchKernelExC)>& real,
                     const cudaLaunchConfig_t* config, const void* function, void** arguments,
                     bool per_thread, const void* caller) noexcept;
// The process unloads code: launch addresses may come to mean other kernels.
void CodeUnloaded() noexcept;

}  // namespace lamplight::shim::hooks
