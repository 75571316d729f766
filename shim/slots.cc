// Slot addressing (kernels/protocol.cuh) and word classes.
#include "shim/slots.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "kernels/packet_layout.h"
#include "kernels/protocol.cuh"

namespace lamplight::shim {
namespace {

bool Known(uint32_t value) { return value != 0 && value != trace::kNoId; }

// Tokens whose slots fit both the stage and the limit.
uint32_t FittingTokens(uint32_t tokens, uint64_t bytes_per_token, uint64_t stage_bytes,
                       uint64_t max_bytes) {
  const uint64_t room = std::min(stage_bytes, max_bytes);
  return static_cast<uint32_t>(std::min<uint64_t>(tokens, room / bytes_per_token));
}

struct Dimensions {
  uint32_t tokens;
  uint32_t world;
  uint32_t rank;
  uint64_t slot_bytes;
};

StageLayout OneShot(const Dimensions& d, Generation generation, uint64_t max_bytes) {
  StageLayout layout;
  layout.begin = protocol::StageOffset(generation.index, 0, 1,
                                       static_cast<uint32_t>(generation.bytes_per_buffer));
  layout.words = static_cast<uint32_t>(d.slot_bytes / 4);
  const uint32_t tokens =
      FittingTokens(d.tokens, d.slot_bytes * d.world, generation.bytes_per_buffer, max_bytes);
  for (uint32_t token = 0; token < tokens; ++token) {
    for (uint32_t peer = 0; peer < d.world; ++peer) {
      const uint64_t offset = protocol::OneShotSlot(token, peer, d.world, d.slot_bytes);
      layout.slots.push_back({token, peer, offset, true});
    }
  }
  layout.bytes = tokens * d.slot_bytes * d.world;
  return layout;
}

// Only the owner of a token receives its parts.
StageLayout Scatter(const Dimensions& d, Generation generation, uint64_t max_bytes) {
  const uint64_t stage_bytes = generation.bytes_per_buffer / 2;
  StageLayout layout;
  layout.begin = protocol::StageOffset(generation.index, 0, 2,
                                       static_cast<uint32_t>(generation.bytes_per_buffer));
  layout.words = static_cast<uint32_t>(d.slot_bytes / 4);
  const uint32_t tokens = FittingTokens(d.tokens, d.slot_bytes, stage_bytes, max_bytes);
  for (uint32_t token = d.rank; token < tokens; token += d.world) {
    for (uint32_t peer = 0; peer < d.world; ++peer) {
      const uint64_t offset = protocol::ScatterSlot(token, peer, d.world, d.slot_bytes);
      layout.slots.push_back({token, peer, offset, true});
      layout.bytes = std::max(layout.bytes, offset + d.slot_bytes);
    }
  }
  return layout;
}

StageLayout Broadcast(const Dimensions& d, Generation generation, uint64_t max_bytes) {
  const uint64_t stage_bytes = generation.bytes_per_buffer / 2;
  StageLayout layout;
  layout.stage = 1;
  layout.begin = protocol::StageOffset(generation.index, 1, 2,
                                       static_cast<uint32_t>(generation.bytes_per_buffer));
  layout.words = static_cast<uint32_t>(d.slot_bytes / 4);
  const uint32_t tokens = FittingTokens(d.tokens, d.slot_bytes, stage_bytes, max_bytes);
  for (uint32_t token = 0; token < tokens; ++token) {
    const uint64_t offset = protocol::BroadcastSlot(token, d.slot_bytes);
    layout.slots.push_back({token, token % d.world, offset, true});
  }
  layout.bytes = tokens * d.slot_bytes;
  return layout;
}

// Non-MNNVL one-shot: generations of commSizeBytes, in each one block of all tokens for every peer
// (FlashInfer 0.6.4, comm/trtllm_allreduce_fusion.cuh, allreduce_fusion_kernel_oneshot_lamport).
StageLayout UnicastOneShot(const Dimensions& d, Generation generation, uint64_t max_bytes) {
  StageLayout layout;
  layout.begin = generation.index * generation.bytes_per_buffer;
  layout.words = static_cast<uint32_t>(d.slot_bytes / 4);
  const uint64_t per_peer = d.tokens * d.slot_bytes;
  if (per_peer * d.world > std::min(generation.bytes_per_buffer, max_bytes)) return layout;
  for (uint32_t peer = 0; peer < d.world; ++peer) {
    for (uint32_t token = 0; token < d.tokens; ++token) {
      layout.slots.push_back({token, peer, peer * per_peer + token * d.slot_bytes, true});
    }
  }
  layout.bytes = per_peer * d.world;
  return layout;
}

// The epoch protocol's: two generations, rows of lines. A rank does not poll what it sends itself.
uint64_t LineRowBytes(const Dimensions& d) {
  return kernels::LayoutOf(kernels::Protocol::kEpoch).RowBytes(d.slot_bytes);
}

StageLayout Lines(const Dimensions& d, Generation generation, uint32_t stage) {
  StageLayout layout;
  layout.stage = stage;
  layout.begin = generation.index * generation.bytes_per_buffer;
  layout.words = static_cast<uint32_t>(d.slot_bytes / 4);
  layout.lines = true;
  layout.tag = generation.tag;
  return layout;
}

void AddLines(StageLayout* layout, const Dimensions& d, uint32_t token, uint32_t peer,
              uint64_t row) {
  const uint64_t offset = row * LineRowBytes(d);
  layout->slots.push_back({token, peer, offset, peer != d.rank});
  layout->bytes = std::max(layout->bytes, offset + LineRowBytes(d));
}

// SGLang's push plane: two generations of one slot for each rank, in which a call's words lie one
// behind the other (SGLang 0.5.23, kernels/jit/csrc/distributed/custom_all_reduce.cuh,
// all_reduce_1shot_push_kernel). A rank sends to itself, too.
StageLayout PushOneShot(const Dimensions& d, Generation generation, uint64_t max_bytes) {
  StageLayout layout;
  layout.begin = (generation.index & 1) * generation.bytes_per_buffer;
  layout.words = static_cast<uint32_t>(d.slot_bytes / 4);
  const uint64_t per_peer = generation.bytes_per_buffer / d.world;
  if (d.slot_bytes > per_peer) return layout;
  const uint64_t bytes = per_peer * (d.world - 1) + d.slot_bytes;
  if (bytes > max_bytes) return layout;
  for (uint32_t peer = 0; peer < d.world; ++peer) {
    layout.slots.push_back({0, peer, peer * per_peer, true});
  }
  layout.bytes = bytes;
  return layout;
}

StageLayout EpochOneShot(const Dimensions& d, Generation generation, uint64_t max_bytes) {
  StageLayout layout = Lines(d, generation, 0);
  const uint32_t tokens =
      FittingTokens(d.tokens, LineRowBytes(d) * d.world, generation.bytes_per_buffer, max_bytes);
  for (uint32_t token = 0; token < tokens; ++token) {
    for (uint32_t peer = 0; peer < d.world; ++peer) {
      AddLines(&layout, d, token, peer, uint64_t{token} * d.world + peer);
    }
  }
  return layout;
}

StageLayout EpochScatter(const Dimensions& d, Generation generation, uint64_t max_bytes) {
  StageLayout layout = Lines(d, generation, 0);
  const uint32_t tokens =
      FittingTokens(d.tokens, LineRowBytes(d), generation.bytes_per_buffer / 2, max_bytes);
  for (uint32_t token = d.rank; token < tokens; token += d.world) {
    for (uint32_t peer = 0; peer < d.world; ++peer) {
      AddLines(&layout, d, token, peer, uint64_t{token / d.world} * d.world + peer);
    }
  }
  return layout;
}

StageLayout EpochBroadcast(const Dimensions& d, Generation generation, uint64_t max_bytes) {
  StageLayout layout = Lines(d, generation, 1);
  layout.begin += generation.bytes_per_buffer / 2;
  const uint32_t tokens =
      FittingTokens(d.tokens, LineRowBytes(d), generation.bytes_per_buffer / 2, max_bytes);
  for (uint32_t token = 0; token < tokens; ++token) {
    AddLines(&layout, d, token, token % d.world, token);
  }
  return layout;
}

// Only 32-bit compares with −0 can alias: 16-bit ones are bitwise in all releases that poll so
// (FlashInfer, comm/trtllm_allreduce_fusion.cuh, has_neg_zero), and those with 0 are by integers
// (SGLang, kernels/jit/include/sgl_kernel/distributed/communicator.cuh, LamportTrait).
protocol::WordClass ClassOf(uint32_t word, lamport::Mark mark) {
  if (!mark.in_halves && mark.word == protocol::kSentinel) return protocol::Classify(word);
  const uint32_t half = mark.word & 0xffff;
  const bool absent =
      mark.in_halves ? (word & 0xffff) == half || word >> 16 == half : word == mark.word;
  return absent ? protocol::WordClass::kArmed : protocol::WordClass::kArrived;
}

constexpr uint32_t kPacketWords = 4;  // that one instruction stores

// One of its words or halves is no mark. Words that are all alike may be armed for another width.
bool HasArrived(std::span<const uint32_t> packet, lamport::Mark mark) {
  const auto all_are = [&](uint32_t pattern) {
    return std::ranges::all_of(packet, [pattern](uint32_t word) { return word == pattern; });
  };
  return !all_are(mark.word) && !(mark.in_halves && all_are(protocol::kSentinel));
}

// Positions of the first few words of a kind.
void NotePosition(uint32_t (&positions)[4], uint32_t count, uint32_t position) {
  if (count < 4) positions[count] = position;
}

trace::SlotState Empty(const StageLayout& layout, uint32_t peer, uint32_t token) {
  trace::SlotState state{};
  state.stage = layout.stage;
  state.peer = peer;
  state.token = token;
  std::fill(std::begin(state.first_sentinel), std::end(state.first_sentinel), trace::kNoId);
  std::fill(std::begin(state.first_alias), std::end(state.first_alias), trace::kNoId);
  std::fill(std::begin(state.first_stored), std::end(state.first_stored), trace::kNoId);
  return state;
}

uint64_t TagAt(const std::byte* row, uint32_t line) {
  uint64_t tag = 0;
  std::memcpy(&tag, row + (line + 1) * uint64_t{kernels::kLineBytes} - sizeof tag, sizeof tag);
  return tag;
}

// A line is there as a whole or not at all; its first word stands for it in the positions.
void ClassifyLines(const StageLayout& layout, const std::byte* first, const std::byte* second,
                   trace::SlotState* state) {
  using kernels::kLineWords;
  uint32_t absent_lines = 0;
  for (uint32_t line = 0; line * kLineWords < layout.words; ++line) {
    const uint32_t words = std::min(kLineWords, layout.words - line * kLineWords);
    const uint64_t before = TagAt(first, line);
    const uint64_t tag = TagAt(second, line);
    if (before != tag) state->changed += words;
    if (tag == layout.tag) {
      state->arrived += words;
    } else {
      state->sentinel += words;
      NotePosition(state->first_sentinel, absent_lines++, line * kLineWords);
    }
  }
}

// A packet is there as a whole or not at all, so that absent words of one that is there are data.
void NoteStored(const std::byte* row, lamport::Mark mark, trace::SlotState* state) {
  for (uint32_t begin = 0; begin < state->words; begin += kPacketWords) {
    uint32_t words[kPacketWords];
    const std::span packet(words, std::min(kPacketWords, state->words - begin));
    std::memcpy(words, row + begin * 4ull, packet.size_bytes());
    if (!HasArrived(packet, mark)) continue;
    for (uint32_t i = 0; i < packet.size(); ++i) {
      if (!IsAbsent(packet[i], mark)) continue;
      state->stored_leading += i == 0;
      NotePosition(state->first_stored, state->stored_sentinel++, begin + i);
    }
  }
}

trace::SlotState ClassifyOne(const StageLayout& layout, const StageLayout::Slot& slot,
                             const std::byte* first, const std::byte* second, lamport::Mark mark) {
  trace::SlotState state = Empty(layout, slot.peer, slot.token);
  state.words = layout.words;
  state.role = slot.awaited ? trace::kSlotAwaited : 0;
  if (layout.lines) {
    ClassifyLines(layout, first + slot.offset, second + slot.offset, &state);
    return state;
  }
  for (uint32_t position = 0; position < layout.words; ++position) {
    uint32_t before = 0, word = 0;
    std::memcpy(&before, first + slot.offset + position * 4ull, 4);
    std::memcpy(&word, second + slot.offset + position * 4ull, 4);
    state.changed += before != word;
    switch (ClassOf(word, mark)) {
      case protocol::WordClass::kArmed:
        NotePosition(state.first_sentinel, state.sentinel++, position);
        break;
      case protocol::WordClass::kAlias:
        NotePosition(state.first_alias, state.alias++, position);
        break;
      case protocol::WordClass::kArrived:
        ++state.arrived;
        break;
    }
  }
  // Packets are cut from the row's start: only where one starts there.
  const bool on_packets = (layout.begin + slot.offset) % (4 * kPacketWords) == 0;
  if (on_packets) NoteStored(second + slot.offset, mark, &state);
  return state;
}

void AddTo(trace::SlotState* sum, const trace::SlotState& state) {
  sum->words += state.words;
  sum->sentinel += state.sentinel;
  sum->alias += state.alias;
  sum->arrived += state.arrived;
  sum->changed += state.changed;
  sum->stored_sentinel += state.stored_sentinel;
  sum->stored_leading += state.stored_leading;
  sum->role |= state.role;
}

}  // namespace

uint64_t StageLayout::SlotBytes() const {
  if (!lines) return words * 4ull;
  return kernels::LayoutOf(kernels::Protocol::kEpoch).RowBytes(words * 4ull);
}

std::vector<StageLayout> LayoutOf(const trace::LamportCall& call, trace::Algorithm algorithm,
                                  trace::DataType type, Generation generation, uint64_t max_bytes) {
  if (!Known(call.tokens) || !Known(call.dim) || !Known(call.world) || call.rank >= call.world ||
      generation.index >= protocol::kGenerations || generation.bytes_per_buffer == 0) {
    return {};
  }
  const Dimensions d{call.tokens, call.world, call.rank,
                     static_cast<uint64_t>(call.dim) * trace::BytesOf(type)};
  switch (algorithm) {
    case trace::Algorithm::kOneShot:
      return {OneShot(d, generation, max_bytes)};
    case trace::Algorithm::kTwoShot:
    case trace::Algorithm::kRmsNorm:
      return {Scatter(d, generation, max_bytes), Broadcast(d, generation, max_bytes)};
    case trace::Algorithm::kUnicastOneShot:
      return {UnicastOneShot(d, generation, max_bytes)};
    case trace::Algorithm::kEpochOneShot:
      return {EpochOneShot(d, generation, max_bytes)};
    case trace::Algorithm::kEpochTwoShot:
      return {EpochScatter(d, generation, max_bytes), EpochBroadcast(d, generation, max_bytes)};
    case trace::Algorithm::kPushOneShot:
      return {PushOneShot(d, generation, max_bytes)};
    default:
      return {};
  }
}

bool IsAbsent(uint32_t word, lamport::Mark mark) {
  return ClassOf(word, mark) == protocol::WordClass::kArmed;
}

void FillConsumed(const StageLayout& layout, uint32_t rank, lamport::Mark mark,
                  std::span<std::byte> bytes) {
  const auto own = std::ranges::find(layout.slots, rank, &StageLayout::Slot::peer);
  if (own == layout.slots.end() || bytes.size() < layout.bytes) return;
  constexpr uint64_t kPacketBytes = 4 * kPacketWords;
  const auto empty = [&](uint64_t packet) {
    uint32_t words[kPacketWords];
    std::memcpy(words, bytes.data() + own->offset + packet * kPacketBytes, sizeof words);
    return std::ranges::all_of(words, [&](uint32_t word) { return word == mark.word; });
  };
  std::vector<uint64_t> consumed;
  const uint64_t packets = layout.words / kPacketWords;
  for (uint64_t packet = 0; packet < packets; ++packet) {
    if (empty(packet)) consumed.push_back(packet);
  }
  if (consumed.size() == packets) return;
  const uint32_t arrived = ~mark.word;
  const uint32_t words[kPacketWords] = {arrived, arrived, arrived, arrived};
  for (const StageLayout::Slot& slot : layout.slots) {
    for (const uint64_t packet : consumed) {
      std::memcpy(bytes.data() + slot.offset + packet * kPacketBytes, words, sizeof words);
    }
  }
}

std::vector<trace::SlotState> ClassifySlots(const StageLayout& layout,
                                            std::span<const std::byte> first,
                                            std::span<const std::byte> second, uint32_t max_details,
                                            lamport::Mark mark) {
  std::map<uint32_t, trace::SlotState> sums;
  std::vector<trace::SlotState> details;
  for (const StageLayout::Slot& slot : layout.slots) {
    const uint64_t end = slot.offset + layout.SlotBytes();
    if (end > first.size() || end > second.size()) continue;
    const trace::SlotState state = ClassifyOne(layout, slot, first.data(), second.data(), mark);
    AddTo(&sums.try_emplace(slot.peer, Empty(layout, slot.peer, trace::kNoId)).first->second,
          state);
    const bool plain = state.sentinel == 0 && state.alias == 0 && state.changed == 0;
    if (!plain && details.size() < max_details) details.push_back(state);
  }
  std::vector<trace::SlotState> states;
  for (const auto& [peer, sum] : sums) states.push_back(sum);
  states.insert(states.end(), details.begin(), details.end());
  return states;
}

}  // namespace lamplight::shim
