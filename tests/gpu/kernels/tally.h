// What a test has looked at and what was wrong. One thread.
#pragma once

#include <cstdint>
#include <string>

namespace lamplight::kernels::gpu {

struct Tally {
  uint64_t calls = 0;   // collectives whose results were checked, each counted once for all ranks
  uint64_t values = 0;  // elements checked
  uint64_t wrong = 0;
  std::string first_wrong;

  void Wrong(const std::string& what) {
    if (wrong++ == 0) first_wrong = what;
  }
  void Add(const Tally& other) {
    calls += other.calls;
    values += other.values;
    if (wrong == 0) first_wrong = other.first_wrong;
    wrong += other.wrong;
  }
};

}  // namespace lamplight::kernels::gpu
