// Tells whether the calling thread is inside the shim, or inside a call of the host's that a hook
// has seen already: what sees the driver's functions then has nothing to add.
//
// State is the thread's own; nests.
#pragma once

namespace lamplight::shim {

class Inside {
 public:
  Inside() noexcept { ++depth_; }
  ~Inside() { --depth_; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  static bool Now() noexcept { return depth_ != 0; }

 private:
  // A few bytes of the loader's reserve, if the shim comes late: the hot path pays no call for it.
  [[gnu::tls_model("initial-exec")]] static inline constinit thread_local unsigned depth_ = 0;
};

}  // namespace lamplight::shim
