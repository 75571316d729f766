// Versions of Python packages, as the folders of their compiled modules name them.
//
// Pure functions.
#pragma once

#include <string_view>

namespace lamplight::lamport {

// ".cache/flashinfer/0.6.4/90a/cached_ops/x.so", "flashinfer" → "0.6.4"; empty: the path does not
// tell.
std::string_view VersionInPath(std::string_view path, std::string_view package);

// Starts like a version: digits, a dot, digits.
bool IsVersion(std::string_view text);

// Negative, zero, positive: as `left` is older than, equal to, newer than `right`. Follows PEP 440
// for release numbers, aN/bN/rcN, .postN and .devN.
int CompareVersions(std::string_view left, std::string_view right);

}  // namespace lamplight::lamport
