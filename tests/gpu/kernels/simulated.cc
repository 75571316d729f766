// The kernels of compare.cu and meet.cu as the simulated device runs them.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/device_sim/sim_kernel.h"
#include "tests/gpu/kernels/compare.h"
#include "tests/gpu/kernels/meet.h"

namespace lamplight::kernels::gpu {
namespace {

void Compare(device_sim::KernelContext&, uint32_t* found, const uint32_t* expected, uint64_t words,
             unsigned long long* wrong) {
  for (uint64_t i = 0; i < words; ++i) {
    *wrong += found[i] != expected[i];
    found[i] = kWiped;
  }
}

void Meet(device_sim::KernelContext&, Meeting* meeting, uint32_t count, uint64_t patience_ns) {
  using Clock = std::chrono::steady_clock;
  const std::atomic_ref<uint32_t> arrived(meeting->arrived);
  ++arrived;
  const Clock::time_point end = Clock::now() + std::chrono::nanoseconds(patience_ns);
  while (arrived < count) {
    std::this_thread::yield();
    if (Clock::now() < end) continue;
    ++std::atomic_ref<uint32_t>(meeting->alone);
    return;
  }
}

// Ahead of the CUDA runtime's own constructors, which look for the body.
[[gnu::constructor(200)]] void Register() {
  static const device_sim::KernelRegistration kCompare("lamplight_gpu_test_compare", Compare);
  static const device_sim::KernelRegistration kMeet("lamplight_gpu_test_meet", Meet);
}

}  // namespace

bool IsSimulated() { return true; }

}  // namespace lamplight::kernels::gpu
