// Word positions by layout (shim/trace_format.h, FlagLayout).
#include "analyzer/detectors/flag_words.h"

#include "kernels/protocol.cuh"

namespace lamplight {
namespace {

struct Positions {
  uint32_t index;
  uint32_t bytes;
  uint32_t arrivals;
};

std::optional<Positions> PositionsOf(trace::FlagLayout layout) {
  switch (layout) {
    case trace::FlagLayout::kEraA:
      return Positions{0, 2, 3};
    case trace::FlagLayout::kEraB:
      return Positions{0, 2, 4};
    case trace::FlagLayout::kEraC:
      return Positions{protocol::kCurrentIndex, protocol::kBytesPerBuffer, protocol::kArrivals};
    case trace::FlagLayout::kUnicast:
      return Positions{2, 3, 0};
    case trace::FlagLayout::kUnknown:
      break;
  }
  return std::nullopt;
}

std::optional<uint32_t> At(std::span<const uint32_t> words, uint32_t position) {
  if (position >= words.size()) return std::nullopt;
  return words[position];
}

}  // namespace

FlagWords ReadFlagWords(trace::FlagLayout layout, std::span<const uint32_t> words) {
  const std::optional<Positions> positions = PositionsOf(layout);
  if (!positions) return {};
  FlagWords flags{At(words, positions->index), At(words, positions->arrivals),
                  At(words, positions->bytes)};
  // A value that no kernel writes means that these are not the flag words.
  if (flags.index && *flags.index >= protocol::kGenerations) return {};
  return flags;
}

}  // namespace lamplight
