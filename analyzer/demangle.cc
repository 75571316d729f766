// The C++ runtime's demangler behind a bound on what it may cost. Thread-safe: no state.
#include "analyzer/demangle.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace lamplight {
namespace {

constexpr size_t kMaxLength = 2048;
// Each reference to an earlier part can double what was there before.
constexpr int kMaxReferences = 20;

int References(const std::string& symbol) {
  int references = 0;
  for (size_t i = 0; i + 1 < symbol.size(); ++i) {
    if (symbol[i] != 'S' && symbol[i] != 'T') continue;
    const size_t end = symbol.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", i + 1);
    if (end != std::string::npos && symbol[end] == '_') ++references;
  }
  return references;
}

struct Free {
  void operator()(char* text) const { std::free(text); }
};

}  // namespace

std::string Demangled(const std::string& symbol) {
  if (!symbol.starts_with("_Z") || symbol.size() > kMaxLength) return symbol;
  if (References(symbol) > kMaxReferences) return symbol;
  int status = 0;
  const std::unique_ptr<char, Free> text(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status));
  return status == 0 && text ? std::string(text.get()) : symbol;
}

}  // namespace lamplight
