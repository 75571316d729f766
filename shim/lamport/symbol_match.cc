// Stateless; see the header.
#include "shim/lamport/symbol_match.h"

#include <optional>

#include "shim/lamport/mangled_name.h"

namespace lamplight::lamport {
namespace {

constexpr uint32_t kMaxWorld = 1024;

bool SetWorld(std::string_view argument, SymbolFacts* facts) {
  facts->world = LiteralValue(argument).value_or(0);
  return facts->world >= 1 && facts->world <= kMaxWorld;
}

bool SetDim(std::string_view argument, SymbolFacts* facts) {
  facts->dim = LiteralValue(argument).value_or(0);
  return facts->dim >= 1;
}

bool SetWaits(std::string_view argument, SymbolFacts* facts) {
  const std::optional<uint32_t> value = LiteralValue(argument);
  facts->waits = value == 1u;
  return value == 0u || value == 1u;
}

bool SetDataType(std::string_view argument, SymbolFacts* facts) {
  if (argument == "f") facts->data_type = trace::DataType::kF32;
  if (argument == "6__half") facts->data_type = trace::DataType::kF16;
  if (argument == "13__nv_bfloat16") facts->data_type = trace::DataType::kBf16;
  return argument.front() != 'L';
}

bool Set(Role role, std::string_view argument, SymbolFacts* facts) {
  switch (role) {
    case Role::kWorld:
      return SetWorld(argument, facts);
    case Role::kDim:
      return SetDim(argument, facts);
    case Role::kWaits:
      return SetWaits(argument, facts);
    case Role::kDataType:
      return SetDataType(argument, facts);
    default:
      return true;
  }
}

// What follows the prefix or the contained text.
std::optional<std::string_view> Tail(const SymbolRule& rule, std::string_view mangled) {
  if (!rule.prefix.empty()) {
    if (!mangled.starts_with(rule.prefix)) return std::nullopt;
    return mangled.substr(rule.prefix.size());
  }
  const size_t at = mangled.find(rule.contains);
  if (at == std::string_view::npos) return std::nullopt;
  return mangled.substr(at + rule.contains.size());
}

}  // namespace

bool MayMatch(const SymbolRule& rule, std::string_view mangled) noexcept {
  return Tail(rule, mangled).has_value();
}

bool Match(const SymbolRule& rule, std::string_view mangled, SymbolFacts* facts) {
  std::optional<std::string_view> tail = Tail(rule, mangled);
  if (!tail || !tail->ends_with(rule.suffix)) return false;
  if (!rule.templated) return true;
  const std::optional<TemplateArguments> found = ParseTemplateArguments(*tail);
  if (!found || found->arguments.size() != rule.arguments.size()) return false;
  for (size_t i = 0; i < rule.arguments.size(); ++i) {
    if (!Set(rule.arguments[i], found->arguments[i], facts)) return false;
  }
  return true;
}

}  // namespace lamplight::lamport
