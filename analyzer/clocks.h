// One clock for all traces: the first trace's CLOCK_MONOTONIC. Thread-safe: no state.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "analyzer/trace_reader.h"

namespace lamplight {

// What to add to a trace's times.
struct ClockShift {
  int64_t ns = 0;
  bool known = true;  // false: another boot or host, and no anchor to align it by

  // 0 stays 0: in a trace it means "never".
  uint64_t Apply(uint64_t time_ns) const;
};

struct ClockAlignment {
  std::vector<ClockShift> shifts;  // by trace
  std::vector<std::string> notes;  // what the alignment rests on, and its error
};

ClockAlignment AlignClocks(std::span<const TraceFile> traces);

}  // namespace lamplight
