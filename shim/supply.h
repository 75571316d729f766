// Numbers of things that one holds at a time, until there are none left.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "shim/log.h"

namespace lamplight::shim {

// Thread-safe.
class Supply {
 public:
  // Numbers from 1 to below `end`. `what` they are of, for the line that says, once, that nothing
  // is left.
  Supply(uint32_t end, const char* what) : end_(end), what_(what) {}

  // 0: none is left. One that was given back comes again as late as possible.
  uint32_t Take() noexcept {
    const std::lock_guard lock(mutex_);
    if (next_ < end_) return next_++;
    if (!back_.empty()) {
      const uint32_t number = back_.front();
      back_.pop_front();
      return number;
    }
    if (!told_) {
      LogWarning(
          "all {} {} of a device are used up: graphs that are instantiated from now on are "
          "watched without snapshots",
          end_ - 1, what_);
    }
    told_ = true;
    return 0;
  }

  // Nobody holds them any more. Out of memory, they are lost.
  void GiveBack(const std::vector<uint32_t>& numbers) noexcept try {
    const std::lock_guard lock(mutex_);
    back_.insert(back_.end(), numbers.begin(), numbers.end());
  } catch (...) {
  }

 private:
  const uint32_t end_;
  const char* const what_;
  std::mutex mutex_;
  uint32_t next_ = 1;
  std::deque<uint32_t> back_;
  bool told_ = false;
};

}  // namespace lamplight::shim
