// What has become of the launches of one kernel of the field: swapped by which kernel, or why not.
// Thread-safe and wait-free.
#pragma once

#include <array>
#include <atomic>

namespace lamplight::shim {

class Outcomes {
 public:
  // Far more than the forms of a kernel and the reasons not to swap it. What comes behind so many
  // is not told.
  static constexpr size_t kMost = 16;

  // True for the first launch that ended so: one thread is told. `outcome` is not null.
  bool IsNew(const void* outcome) noexcept {
    for (std::atomic<const void*>& known : known_) {
      const void* seen = known.load(std::memory_order_relaxed);
      if (seen == nullptr &&
          known.compare_exchange_strong(seen, outcome, std::memory_order_relaxed)) {
        return true;
      }
      if (seen == outcome) return false;
    }
    return false;
  }

 private:
  std::array<std::atomic<const void*>, kMost> known_{};
};

}  // namespace lamplight::shim
