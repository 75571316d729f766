// Which of the shim's two sources the calling thread's records come from: its hooks, or a callback.
//
// State is the thread's own.
#pragma once

#include <cstdint>

#include "shim/trace_format.h"

namespace lamplight::shim {

class ThroughCupti {
 public:
  ThroughCupti() noexcept { flags_ = trace::kRecordThroughCupti; }
  ~ThroughCupti() { flags_ = 0; }
  ThroughCupti(const ThroughCupti&) = delete;
  ThroughCupti& operator=(const ThroughCupti&) = delete;

  // RecordHeader::flags of a record that this thread makes now.
  static uint16_t Flags() noexcept { return flags_; }

 private:
  [[gnu::tls_model("initial-exec")]] static inline constinit thread_local uint16_t flags_ = 0;
};

}  // namespace lamplight::shim
