// Kernels of the tests: host functions and symbols as nvcc's start-up code would register them.
//
// Thread-safe: constant after main() starts.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <vector>

namespace device_sim_test {

// Host functions that stand for the kernels; they are never called.
void AddStub(uint32_t* word, uint32_t value);    // *word = *word * 10 + value
void StoreStub(uint32_t* word, uint32_t value);  // *word = value
void AwaitStub(const uint32_t* word);            // polls until *word is not 0
void UnknownStub();                              // the device has no body for it

inline constexpr char kAddSymbol[] = "_Z3addPjj";
inline constexpr char kStoreSymbol[] = "_Z5storePjj";
inline constexpr char kAwaitSymbol[] = "_Z5awaitPKj";
inline constexpr char kUnknownSymbol[] = "_Z7unknownv";

template <class Stub>
const void* FunctionOf(Stub* stub) {
  return reinterpret_cast<const void*>(stub);
}

// Launches through cudaLaunchKernelExC; `pdl` sets programmatic stream serialisation.
cudaError_t LaunchAdd(cudaStream_t stream, uint32_t* word, uint32_t value, bool pdl = false);
cudaError_t LaunchStore(cudaStream_t stream, uint32_t* word, uint32_t value);
cudaError_t LaunchAwait(cudaStream_t stream, const uint32_t* word);

// Kernel-node parameters that stay valid with the object.
class AddNodeParams {
 public:
  AddNodeParams(uint32_t* word, uint32_t value);
  const cudaKernelNodeParams* get() const { return &params_; }
  AddNodeParams(const AddNodeParams&) = delete;
  AddNodeParams& operator=(const AddNodeParams&) = delete;

 private:
  uint32_t* word_;
  uint32_t value_;
  void* arguments_[2];
  cudaKernelNodeParams params_{};
};

}  // namespace device_sim_test
