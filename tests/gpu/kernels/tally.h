// What a test has looked at and what was wrong. One thread.
#pragma once

#include <cstdint>
#include <string>

namespace lamplight::kernels::gpu {

struct Tally {
  static constexpr uint64_t kTold = 4;  // of what is wrong, in words

  uint64_t calls = 0;   // collectives whose results were checked, each counted once for all ranks
  uint64_t values = 0;  // elements checked
  uint64_t wrong = 0;
  std::string first_wrong;

  void Wrong(const std::string& what) {
    if (wrong++ < kTold) first_wrong += (first_wrong.empty() ? "" : "; ") + what;
  }
  void Add(const Tally& other) {
    calls += other.calls;
    values += other.values;
    if (wrong < kTold && other.wrong > 0) {
      first_wrong += (first_wrong.empty() ? "" : "; ") + other.first_wrong;
    }
    wrong += other.wrong;
  }
};

}  // namespace lamplight::kernels::gpu
