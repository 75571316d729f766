// Where things happened: native stacks of captures, instantiations and hung threads, defined once
// each.
//
// Thread-safe; off the hot path (symbols are looked up here).
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <unordered_map>

#include "shim/recorder/recorder.h"

namespace lamplight::shim {

class Sites {
 public:
  explicit Sites(Recorder& recorder) : recorder_(recorder) {}

  // The calling thread's stack without `skip` innermost frames; 0 where it cannot be unwound.
  uint32_t Here(size_t skip) noexcept;
  uint32_t Define(std::span<const uintptr_t> pcs) noexcept;

 private:
  Recorder& recorder_;
  std::mutex mutex_;
  std::unordered_map<uint64_t, uint32_t> by_hash_;
  uint32_t next_id_ = 1;
};

}  // namespace lamplight::shim
