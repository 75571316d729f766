// Orders versions by PEP 440 without epochs and local parts. Stateless.
#include "shim/lamport/package_version.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>

namespace lamplight::lamport {
namespace {

constexpr size_t kNumbers = 5;
constexpr uint32_t kFinal = 3;  // after alpha 0, beta 1 and candidate 2

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

uint32_t TakeNumber(std::string_view* text) {
  uint32_t value = 0;
  const auto [stop, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  text->remove_prefix(static_cast<size_t>(stop - text->data()));
  return error == std::errc() ? value : UINT32_MAX;
}

bool TakeWord(std::string_view word, std::string_view* text) {
  if (!text->starts_with(word)) return false;
  text->remove_prefix(word.size());
  return true;
}

struct Version {
  std::array<uint32_t, kNumbers> release{};
  uint32_t stage = kFinal;
  uint32_t stage_number = 0;
  uint32_t post = 0;          // .postN → N + 1
  uint32_t dev = UINT32_MAX;  // .devN: before the same version without it

  auto operator<=>(const Version&) const = default;
};

void TakeStage(std::string_view* text, Version* version) {
  constexpr std::array<std::string_view, kFinal> kStages = {"a", "b", "rc"};
  for (uint32_t stage = 0; stage < kFinal; ++stage) {
    if (!TakeWord(kStages[stage], text)) continue;
    version->stage = stage;
    version->stage_number = TakeNumber(text);
    return;
  }
}

Version Parse(std::string_view text) {
  Version version;
  for (uint32_t& number : version.release) {
    number = TakeNumber(&text);
    if (text.size() < 2 || text[0] != '.' || !IsDigit(text[1])) break;
    text.remove_prefix(1);
  }
  TakeStage(&text, &version);
  if (TakeWord(".post", &text)) version.post = TakeNumber(&text) + 1;
  if (TakeWord(".dev", &text)) {
    version.dev = TakeNumber(&text);
    // A development release of a final version comes before its candidates.
    if (version.stage == kFinal && version.post == 0) version.stage = 0;
  }
  return version;
}

}  // namespace

bool IsVersion(std::string_view text) {
  const size_t dot = text.find('.');
  return dot != 0 && dot != std::string_view::npos && dot + 1 < text.size() &&
         std::all_of(text.begin(), text.begin() + static_cast<ptrdiff_t>(dot), IsDigit) &&
         IsDigit(text[dot + 1]);
}

std::string_view VersionInPath(std::string_view path, std::string_view package) {
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(part.size() + 1, path.size()));
    if (part != package) continue;
    const std::string_view next = path.substr(0, path.find('/'));
    if (IsVersion(next)) return next;
  }
  return {};
}

int CompareVersions(std::string_view left, std::string_view right) {
  const auto order = Parse(left) <=> Parse(right);
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

}  // namespace lamplight::lamport
