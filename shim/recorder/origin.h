// Through which of the shim's sources the calling thread's records come: its hooks of the runtime,
// or what sees calls of the driver.
//
// State is the thread's own.
#pragma once

#include <cstdint>

#include "shim/trace_format.h"

namespace lamplight::shim {

class Through {
 public:
  // `source`: kRecordThrough*.
  explicit Through(uint16_t source) noexcept { flags_ = source; }
  ~Through() { flags_ = 0; }
  Through(const Through&) = delete;
  Through& operator=(const Through&) = delete;

  // RecordHeader::flags of a record that this thread makes now.
  static uint16_t Flags() noexcept { return flags_; }

 private:
  [[gnu::tls_model("initial-exec")]] static inline constinit thread_local uint16_t flags_ = 0;
};

}  // namespace lamplight::shim
