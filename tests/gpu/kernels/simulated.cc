// The kernel of compare.cu as the simulated device runs it.
#include "tests/device_sim/sim_kernel.h"
#include "tests/gpu/kernels/compare.h"

namespace lamplight::kernels::gpu {
namespace {

void Compare(device_sim::KernelContext&, uint32_t* found, const uint32_t* expected, uint64_t words,
             unsigned long long* wrong) {
  for (uint64_t i = 0; i < words; ++i) {
    *wrong += found[i] != expected[i];
    found[i] = kWiped;
  }
}

// Ahead of the CUDA runtime's own constructors, which look for the body.
[[gnu::constructor(200)]] void Register() {
  static const device_sim::KernelRegistration kCompare("lamplight_gpu_test_compare", Compare);
}

}  // namespace

bool IsSimulated() { return true; }

}  // namespace lamplight::kernels::gpu
