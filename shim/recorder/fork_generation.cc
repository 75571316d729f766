// A counter that pthread_atfork's child handler raises.
#include "shim/recorder/fork_generation.h"

#include <pthread.h>

#include "shim/recorder/thread_id.h"

namespace lamplight::shim {

namespace internal {
constinit std::atomic<uint32_t> fork_generation{0};
}

namespace {

// Only the forking thread lives on in the child, under a new id.
void InChild() {
  internal::fork_generation.fetch_add(1, std::memory_order_relaxed);
  ForgetThreadId();
}

}  // namespace

bool WatchForks() noexcept {
  static const bool watching = pthread_atfork(nullptr, nullptr, InChild) == 0;
  return watching;
}

}  // namespace lamplight::shim
