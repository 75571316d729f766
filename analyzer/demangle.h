// C++ names for people. Thread-safe.
#pragma once

#include <string>

namespace lamplight {

// `symbol` itself where it is no mangled name, or one that would cost too much: short names can
// stand for output of exponential length, and symbols come out of hostile files.
std::string Demangled(const std::string& symbol);

}  // namespace lamplight
