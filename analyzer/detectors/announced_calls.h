// The calls that ranks say they make under one number: by their headers, or by what their kernels
// reported. Pure functions; safe from any thread.
#pragma once

#include <cstdint>
#include <vector>

namespace lamplight {

struct AnnouncedCall {
  uint32_t rank;
  uint32_t tokens;
  uint32_t hidden;
  uint32_t kind;  // KindOf (kernels/trouble.cuh)

  bool SameAs(const AnnouncedCall& other) const {
    return tokens == other.tokens && hidden == other.hidden && kind == other.kind;
  }
};

// Whether all of them are one call.
bool AllAlike(const std::vector<AnnouncedCall>& calls);
// Ranks outside the majority, in order; all of them where there is none.
std::vector<uint32_t> Minority(const std::vector<AnnouncedCall>& calls);

}  // namespace lamplight
