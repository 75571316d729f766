// Kernels as CUDA names them: by host function, cudaKernel_t or CUfunction.
//
// Thread-safe. Kernels live for ever; only the names by which hosts find them come and go.
#pragma once

#include <cuda.h>

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "tests/device_sim/sim_kernel.h"
#include "tests/device_sim/status.h"

namespace device_sim {

// One kernel of one module. Invariant: `entry` is null where the device has no body for it.
class Kernel {
 public:
  explicit Kernel(std::string symbol, const void* host_function = nullptr)
      : symbol_(std::move(symbol)), entry_(FindKernel(symbol_)), host_function_(host_function) {}

  const std::string& symbol() const { return symbol_; }
  const KernelEntry* entry() const { return entry_; }
  CUkernel kernel_handle() { return reinterpret_cast<CUkernel>(this); }
  CUfunction function_handle() { return reinterpret_cast<CUfunction>(&function_tag_); }
  // Only the first call can block: see WaitToLoad.
  void Load();
  // What the runtime reports as the function of a node.
  void* runtime_function() {
    return host_function_ != nullptr ? const_cast<void*>(host_function_)
                                     : static_cast<void*>(&function_tag_);
  }

 private:
  std::string symbol_;
  const KernelEntry* entry_;
  const void* host_function_;
  std::atomic<bool> loaded_{false};
  char function_tag_ = 0;
};

// With lazy loading: blocks as long as a kernel of the process polls.
void WaitToLoad();

// Null where nothing of that name is live.
Kernel* LookUpKernel(const void* host_function_or_handle);
// Loads it. CUDA_ERROR_NO_BINARY_FOR_GPU, with one line on stderr, where the device has no body.
Status MakeRunnable(Kernel& kernel);

// Adds a kernel under its two handles and, where given, its host function.
Kernel* AddKernel(std::string symbol, const void* host_function);
void ForgetHostFunctions(const std::vector<const void*>& host_functions);

Status ParameterOf(const Kernel& kernel, size_t index, size_t* offset, size_t* size);

}  // namespace device_sim
