#include "tests/gpu/kernels/compare.h"

#include "tests/gpu/kernels/check.h"

extern "C" __global__ void lamplight_gpu_test_compare(uint32_t* found, const uint32_t* expected,
                                                      uint64_t words, unsigned long long* wrong) {
  const uint64_t step = uint64_t{gridDim.x} * blockDim.x;
  const auto* quads = reinterpret_cast<const uint4*>(expected);
  const uint32_t wiped = lamplight::kernels::gpu::kWiped;
  uint32_t different = 0;
  for (uint64_t i = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < words / 4; i += step) {
    uint4& quad = reinterpret_cast<uint4*>(found)[i];
    const uint4 is = quad;
    const uint4 should = quads[i];
    different += (is.x != should.x) + (is.y != should.y) + (is.z != should.z) + (is.w != should.w);
    quad = {wiped, wiped, wiped, wiped};
  }
  if (different > 0) atomicAdd(wrong, different);
}

namespace lamplight::kernels::gpu {

void CompareAndWipe(uint32_t* found, const uint32_t* expected, uint64_t words,
                    unsigned long long* wrong, cudaStream_t stream) {
  constexpr uint32_t kThreads = 512;
  lamplight_gpu_test_compare<<<kCompareBlocks, kThreads, 0, stream>>>(found, expected, words,
                                                                      wrong);
  Check(cudaGetLastError(), "launch of the comparison");
}

}  // namespace lamplight::kernels::gpu
