// Reading what kernels report, on the host, while they run or after. No CUDA call, no state;
// thread-safe.
#pragma once

#include <atomic>
#include <cstring>

#include "kernels/collective_call.h"
#include "kernels/protocol.cuh"

namespace lamplight::kernels {

// The kernel writes it last, with a fence before.
inline uint32_t TroubleOf(Diagnostic& shared) {
  return std::atomic_ref<uint32_t>(shared.trouble).load(std::memory_order_acquire);
}

// Zeros where there is none. Otherwise `arrivals` counts clusters that are done; of a residue, what
// was left.
inline Diagnostic ReadTrouble(Diagnostic& shared) {
  Diagnostic trouble{};
  if (TroubleOf(shared) == 0) return trouble;
  std::memcpy(&trouble, &shared, sizeof trouble);
  trouble.arrivals = protocol::ArrivalsIn(trouble.arrivals);
  if (static_cast<Trouble>(trouble.trouble) == Trouble::kArrivalResidue) {
    trouble.arrivals = protocol::ArrivalsIn(trouble.word);
    trouble.word = 0;
  }
  return trouble;
}

// Makes room for the next trouble; leaves one alone that a kernel has claimed and not yet told.
inline void ForgetTrouble(Diagnostic& shared) {
  if (TroubleOf(shared) == 0) return;
  std::atomic_ref<uint32_t>(shared.trouble).store(0, std::memory_order_relaxed);
  std::atomic_ref<uint32_t>(shared.claim).store(0, std::memory_order_release);
}

}  // namespace lamplight::kernels
