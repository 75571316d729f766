// Does a mangled name follow a descriptor's rule, and what does it tell?
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "shim/lamport/descriptor.h"

namespace lamplight::lamport {

struct SymbolFacts {
  uint32_t world = 0;
  uint32_t dim = 0;
  bool waits = false;
  trace::DataType data_type = trace::DataType::kUnknown;
};

// Cheap part of the rule, no allocation: necessary, not sufficient.
bool MayMatch(const SymbolRule& rule, std::string_view mangled) noexcept;

bool Match(const SymbolRule& rule, std::string_view mangled, SymbolFacts* facts);

}  // namespace lamplight::lamport
