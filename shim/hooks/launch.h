// Kernel launches. Everything but a Lamport kernel pays one table lookup. Called by preload.cc, and
// in halves by driver/ and cupti/.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <span>

#include "kernels/collective_call.h"
#include "shim/functions.h"
#include "shim/lamport/recognition.h"
#include "shim/resolver.h"
#include "shim/trace_format.h"
#include "shim/workspaces.h"

namespace lamplight::shim {
class Device;
class Session;
}  // namespace lamplight::shim

namespace lamplight::shim::hooks {

using LaunchFunction = cudaError_t (*)(const void*, dim3, dim3, void**, size_t, cudaStream_t);
using KernelLaunchFunction = cudaError_t (*)(cudaKernel_t, dim3, dim3, void**, size_t,
                                             cudaStream_t);

// In all of them `caller` is an address in the host's launching code.
// cudaLaunchKernel and cudaLaunchCooperativeKernel.
cudaError_t Launch(RealFunction<LaunchFunction>& real, const void* function, dim3 grid, dim3 block,
                   void** arguments, size_t shared_bytes, cudaStream_t stream, bool cooperative,
                   bool per_thread, const void* caller);
// __cudaLaunchKernel: what `<<<…>>>` compiles to from CUDA 13 on (crt/device_functions.h).
cudaError_t LaunchHandle(RealFunction<KernelLaunchFunction>& real, cudaKernel_t kernel, dim3 grid,
                         dim3 block, void** arguments, size_t shared_bytes, cudaStream_t stream,
                         bool per_thread, const void* caller);
cudaError_t LaunchEx(RealFunction<decltype(&cudaLaunchKernelExC)>& real,
                     const cudaLaunchConfig_t* config, const void* function, void** arguments,
                     bool per_thread, const void* caller);
// Around one eager launch of a decoded kernel. Plain data: a thread may keep one between two calls.
class EagerCall {
 public:
  // Before the real launch: counts it in. With `may_fill` a kernel of ours is told where to
  // journal, in arguments() that must then be used in place of the host's.
  void Begin(const Function& function, void** arguments, const lamport::LaunchShape& shape,
             CUstream stream, bool may_fill) noexcept;
  // Null: the host's own.
  void** arguments() { return argument_ == nullptr ? nullptr : &argument_; }
  // After it.
  void End(cudaError_t status) noexcept;

 private:
  void Count(Session& session, const Function& function, void** arguments,
             const lamport::LaunchShape& shape, CUstream stream);
  void FillJournal(const Session& session, const Function& function, void** arguments);

  Workspace* workspace_ = nullptr;  // null: not counted
  const Device* device_ = nullptr;
  trace::EagerLaunch record_{};
  lamport::DecodedCall decoded_{};
  // The only argument, with a journal, where the kernel is one of ours.
  kernels::CollectiveCall own_{};
  void* argument_ = nullptr;
};

// True with `status` set where LAMPLIGHT_SWAP had a kernel of ours launched instead, and recorded.
bool LaunchSwapped(const Function& function, void** arguments, const lamport::LaunchShape& shape,
                   std::span<const CUlaunchAttribute> attributes, CUstream stream,
                   cudaError_t* status) noexcept;

// Around the real launch of a decoded kernel, which is recorded. `real` takes the arguments that
// are to be used: `arguments`, or others in their place.
template <class Real>
cudaError_t RecordAround(const Function& function, void** arguments,
                         const lamport::LaunchShape& shape, CUstream stream, Real real) {
  EagerCall call;
  call.Begin(function, arguments, shape, stream, true);
  const cudaError_t status = real(call.arguments() != nullptr ? call.arguments() : arguments);
  call.End(status);
  return status;
}
// The same, unless a kernel of ours takes its place.
template <class Real>
cudaError_t LaunchDecoded(const Function& function, void** arguments,
                          const lamport::LaunchShape& shape,
                          std::span<const CUlaunchAttribute> attributes, CUstream stream,
                          Real real) {
  cudaError_t status = cudaSuccess;
  if (LaunchSwapped(function, arguments, shape, attributes, stream, &status)) return status;
  return RecordAround(function, arguments, shape, stream, real);
}

lamport::LaunchShape ShapeOf(dim3 grid, dim3 block, const CUlaunchAttribute* attributes,
                             size_t count) noexcept;

// The process unloads code: launch addresses may come to mean other kernels.
void CodeUnloaded() noexcept;

// Around a call that may take a context away, with its code and its streams: meanwhile no stream is
// asked for anything. Plain data.
class ContextEnd {
 public:
  ContextEnd() noexcept;
  void Returned() noexcept;

 private:
  Session* session_ = nullptr;  // null: nothing to do
};

cudaError_t DeviceReset(RealFunction<decltype(&cudaDeviceReset)>& real);

}  // namespace lamplight::shim::hooks
