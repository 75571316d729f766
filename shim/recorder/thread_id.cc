// One thread-local word.
#include "shim/recorder/thread_id.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace lamplight::shim {

namespace internal {

constinit thread_local uint32_t thread_id = kThreadIdUnknown;

uint32_t LookUpThreadId() noexcept {
  thread_id = static_cast<uint32_t>(syscall(SYS_gettid));
  return thread_id;
}

}  // namespace internal

void MarkShimThread() noexcept { internal::thread_id = 0; }

void ForgetThreadId() noexcept { internal::thread_id = internal::kThreadIdUnknown; }

}  // namespace lamplight::shim
