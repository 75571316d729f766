// The calling thread's kernel id, looked up once per thread.
#pragma once

#include <cstdint>

namespace lamplight::shim {

namespace internal {
inline constexpr uint32_t kThreadIdUnknown = 0xffffffffu;
// initial-exec: the first access from a preloaded library must not reach the allocator.
extern constinit thread_local uint32_t thread_id __attribute__((tls_model("initial-exec")));
uint32_t LookUpThreadId() noexcept;
}  // namespace internal

// 0 in threads of the shim itself.
inline uint32_t CurrentThreadId() noexcept {
  const uint32_t id = internal::thread_id;
  return id != internal::kThreadIdUnknown ? id : internal::LookUpThreadId();
}

// From here on the calling thread counts as one of the shim's own.
void MarkShimThread() noexcept;

// In a forked child: the thread has another id now.
void ForgetThreadId() noexcept;

}  // namespace lamplight::shim
