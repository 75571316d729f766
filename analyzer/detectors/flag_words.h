// The protocol's flag words by name, in any layout. Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "shim/trace_format.h"

namespace lamplight {

// Absent: the layout has no such word, or it was not read.
struct FlagWords {
  std::optional<uint32_t> index;     // current generation, 0..2
  std::optional<uint32_t> arrivals;  // blocks or clusters that have arrived
  std::optional<uint32_t> bytes;     // size of a generation, in the layout's own unit
};

FlagWords ReadFlagWords(trace::FlagLayout layout, std::span<const uint32_t> words);

}  // namespace lamplight
