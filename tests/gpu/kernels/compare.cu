#include "tests/gpu/kernels/compare.h"

#include "tests/gpu/kernels/check.h"

extern "C" __global__ void lamplight_gpu_test_compare(uint32_t* found, const uint32_t* expected,
                                                      uint64_t words, unsigned long long* wrong) {
  const uint64_t step = uint64_t{gridDim.x} * blockDim.x;
  uint32_t different = 0;
  for (uint64_t i = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < words; i += step) {
    different += found[i] != expected[i];
    found[i] = lamplight::kernels::gpu::kWiped;
  }
  if (different > 0) atomicAdd(wrong, different);
}

namespace lamplight::kernels::gpu {

void CompareAndWipe(uint32_t* found, const uint32_t* expected, uint64_t words,
                    unsigned long long* wrong, cudaStream_t stream) {
  constexpr uint32_t kThreads = 256;
  lamplight_gpu_test_compare<<<kCompareBlocks, kThreads, 0, stream>>>(found, expected, words,
                                                                      wrong);
  Check(cudaGetLastError(), "launch of the comparison");
}

}  // namespace lamplight::kernels::gpu
