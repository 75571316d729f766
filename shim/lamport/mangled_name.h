// The little of the Itanium name mangling that it takes to read a kernel's template arguments.
//
// Pure functions over hostile text: no allocation beyond the result, bounded depth.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace lamplight::lamport {

// The template arguments at the start of `text` ("I…E"), each as its mangled text. `rest` is what
// follows. Nothing where `text` is not a list of types and literals.
struct TemplateArguments {
  std::vector<std::string_view> arguments;
  std::string_view rest;
};
std::optional<TemplateArguments> ParseTemplateArguments(std::string_view text);

// "Lh8E" → 8, "Lb1E" → 1. Nothing for types, negative numbers and numbers above 2^32 − 1.
std::optional<uint32_t> LiteralValue(std::string_view argument);

}  // namespace lamplight::lamport
