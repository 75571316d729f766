// Word positions by layout (shim/trace_format.h, FlagLayout).
#include "analyzer/detectors/flag_words.h"

#include <algorithm>

#include "kernels/collective_call.h"
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
      return Positions{protocol::kUnicastIndex, protocol::kUnicastGenerationBytes,
                       protocol::kUnicastArrivals};
    case trace::FlagLayout::kEpoch:
    case trace::FlagLayout::kPhases:
    case trace::FlagLayout::kUnknown:
      break;
  }
  return std::nullopt;
}

std::optional<uint32_t> At(std::span<const uint32_t> words, uint32_t position) {
  if (position >= words.size()) return std::nullopt;
  return words[position];
}

// Kernels of ours count in a way of their own.
std::optional<uint32_t> Arrivals(std::span<const uint32_t> words, uint32_t position) {
  const std::optional<uint32_t> word = At(words, position);
  return word ? std::optional(protocol::ArrivalsIn(*word)) : std::nullopt;
}

std::optional<std::array<uint32_t, protocol::kMaxStages>> Written(trace::FlagLayout layout,
                                                                  std::span<const uint32_t> words) {
  std::array<uint32_t, protocol::kMaxStages> written{};
  if (layout == trace::FlagLayout::kUnicast) {
    written[0] = At(words, protocol::kUnicastClearElements).value_or(0);
  } else if (layout == trace::FlagLayout::kEraC &&
             words.size() >= protocol::kClearBytes0 + protocol::kMaxStages) {
    std::copy_n(words.begin() + protocol::kClearBytes0, written.size(), written.begin());
  }
  // As initialised: no call has ended yet.
  if (std::ranges::all_of(written, [](uint32_t bytes) { return bytes == 0; })) return std::nullopt;
  return written;
}

// kernels/collective_call.h, EpochState: arrivals are counted as shares of a call.
FlagWords ReadEpoch(std::span<const uint32_t> words) {
  FlagWords flags;
  if (words.size() < 2) return flags;
  const uint64_t progress = uint64_t{words[1]} << 32 | words[0];
  flags.epoch = progress / kernels::kWholeCall;
  flags.index = static_cast<uint32_t>(*flags.epoch & 1);
  flags.generations = 2;
  flags.share = static_cast<uint32_t>(progress % kernels::kWholeCall);
  if (flags.share == 0) flags.arrivals = 0;
  return flags;
}

// SGLang's counters, one for each block, which goes by its own. Between calls all are in one phase;
// in a call those of blocks that have nothing left to do are ahead.
FlagWords ReadPhases(std::span<const uint32_t> words) {
  FlagWords flags;
  if (words.empty()) return flags;
  flags.phases = true;
  flags.generations = 2;
  flags.index = words[0] & 1;
  flags.arrivals = static_cast<uint32_t>(
      std::ranges::count_if(words, [&](uint32_t word) { return ((word ^ words[0]) & 1) != 0; }));
  return flags;
}

}  // namespace

Steps StepsBetween(const FlagWords& from, const FlagWords& to) {
  if (from.epoch && to.epoch) return {*to.epoch - *from.epoch, true};
  const uint32_t generations = to.generations;
  return {(*to.index + generations - *from.index) % generations, false};
}

bool Leads(const FlagWords& from, uint64_t calls, const FlagWords& to) {
  const Steps steps = StepsBetween(from, to);
  return steps.calls == (steps.exact ? calls : calls % to.generations);
}

FlagWords ReadFlagWords(trace::FlagLayout layout, std::span<const uint32_t> words) {
  const std::optional<Positions> positions = PositionsOf(layout);
  if (layout == trace::FlagLayout::kEpoch) return ReadEpoch(words);
  if (layout == trace::FlagLayout::kPhases) return ReadPhases(words);
  if (!positions) return {};
  FlagWords flags;
  flags.index = At(words, positions->index);
  flags.arrivals = Arrivals(words, positions->arrivals);
  flags.bytes = At(words, positions->bytes);
  flags.written = Written(layout, words);
  // A value that no kernel writes means that these are not the flag words.
  if (flags.index && *flags.index >= protocol::kGenerations) return {};
  return flags;
}

}  // namespace lamplight
