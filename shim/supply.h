// Numbers that are given once each, until there are none left.
#pragma once

#include <atomic>
#include <cstdint>

#include "shim/log.h"

namespace lamplight::shim {

// Thread-safe, wait-free but for the one line that says, once, that nothing is left.
class Supply {
 public:
  // Numbers from 1 to below `end`. `what` they are of, for that line.
  Supply(uint32_t end, const char* what) : end_(end), what_(what) {}

  // 0: none is left.
  uint32_t Take() noexcept {
    uint32_t next = next_.load(std::memory_order_relaxed);
    while (next < end_) {
      if (next_.compare_exchange_weak(next, next + 1, std::memory_order_relaxed)) return next;
    }
    if (next == end_ && next_.compare_exchange_strong(next, end_ + 1, std::memory_order_relaxed)) {
      LogWarning(
          "all {} {} of a device are used up: graphs that are instantiated from now on are "
          "watched without snapshots",
          end_ - 1, what_);
    }
    return 0;
  }

 private:
  const uint32_t end_;
  const char* const what_;
  std::atomic<uint32_t> next_{1};
};

}  // namespace lamplight::shim
