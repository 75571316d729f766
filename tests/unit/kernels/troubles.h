// Looking at diagnostics while and after kernels write them. No state; thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "kernels/collective_call.h"

namespace lamplight::kernels {

inline uint32_t CodeOf(Trouble trouble) { return static_cast<uint32_t>(trouble); }

// Waits until a kernel has written the diagnostic; gives up after some seconds.
inline bool Reported(Diagnostic& diagnostic) {
  for (int i = 0; i < 10000; ++i) {
    if (std::atomic_ref(diagnostic.trouble).load(std::memory_order_acquire) != 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace lamplight::kernels
