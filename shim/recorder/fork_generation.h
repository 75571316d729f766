// Tells a process from the one it was forked from, without a system call. Safe from any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace lamplight::shim {

namespace internal {
extern constinit std::atomic<uint32_t> fork_generation;
}

// Differs between a process and its forked children once WatchForks() was called.
inline uint32_t ForkGeneration() noexcept {
  return internal::fork_generation.load(std::memory_order_relaxed);
}

// Makes fork() count in the child. False: no memory for it.
bool WatchForks() noexcept;

}  // namespace lamplight::shim
