// From two reads of flags and slots to one word about a rank.
#include "analyzer/detectors/hang_state.h"

#include <algorithm>
#include <map>
#include <set>

#include "analyzer/detectors/memo.h"
#include "analyzer/replay_progress.h"

namespace lamplight {
namespace {

const FlagsRead* PassOf(const Hang& hang, Index workspace, uint32_t pass) {
  for (const FlagsRead& read : hang.flags) {
    if (read.workspace == workspace && read.pass == pass) return &read;
  }
  return nullptr;
}

std::string WhyUnreadable(const Hang& hang, const FlagsRead* first, const FlagsRead* second) {
  if (hang.flags.empty()) return "the trace holds no read of the flag words for this hang";
  if (first == nullptr || second == nullptr)
    return "one of the two reads of the flag words is missing";
  const trace::SideChannel status =
      first->status != trace::SideChannel::kOk ? first->status : second->status;
  switch (status) {
    case trace::SideChannel::kTimedOut:
      return "a copy of the flag words on the shim's own stream did not complete in its bound";
    case trace::SideChannel::kBlocked:
      return "the driver did not return from a copy of the flag words: it is blocked itself";
    case trace::SideChannel::kError:
      return "the driver refused to copy the flag words (error " + std::to_string(hang.side_error) +
             ")";
    default:
      return "the flag words were not read";
  }
}

std::span<const uint32_t> WordsOf(const FlagsRead& read) {
  return {read.word.data(), std::min<size_t>(read.words, read.word.size())};
}

// Slots of the generation with `role` on this workspace: per-peer sums where they are recorded,
// single slots otherwise.
std::vector<const SlotState*> SlotsOf(const Hang& hang, Index workspace, uint32_t role) {
  std::vector<const SlotState*> sums, singles;
  for (const SlotState& slot : hang.slots) {
    if (slot.workspace != workspace || (slot.role & role) == 0) continue;
    (slot.token == kUnknown ? sums : singles).push_back(&slot);
  }
  return sums.empty() ? singles : sums;
}

void AddOwnSlot(const SlotState& slot, RankState* state) {
  state->own_whole = (state->own_whole || !state->own_slots_read) && slot.sentinel == 0;
  state->own_slots_read = true;
  if (slot.alias + slot.arrived > 0) state->own_written = true;
}

void AddSlots(const std::vector<const SlotState*>& slots, uint32_t own_rank, RankState* state) {
  std::map<std::pair<uint32_t, uint32_t>, PeerWords> by_peer;
  for (const SlotState* slot : slots) {
    state->slots_read = true;
    if (slot->peer == own_rank) AddOwnSlot(*slot, state);
    if ((slot->role & trace::kSlotAwaited) == 0) continue;
    PeerWords& sum = by_peer[{slot->stage, slot->peer}];
    sum.stage = slot->stage;
    sum.peer = slot->peer;
    sum.Add(*slot);
  }
  for (const auto& [key, sum] : by_peer) state->awaited.push_back(sum);
}

// What the rank has announced of itself, in workspaces with headers, says as much as its own slots.
void AddOwnHeader(const Hang& hang, Index workspace, uint32_t own_rank, RankState* state) {
  for (const PeerHeader& header : hang.headers) {
    if (header.workspace != workspace || header.peer != own_rank) continue;
    state->own_slots_read = true;
    state->own_written = header.announced && header.sequence == header.own_sequence;
  }
}

bool Moved(const FlagsRead& first, const FlagsRead& second,
           const std::vector<const SlotState*>& slots) {
  return !std::ranges::equal(WordsOf(first), WordsOf(second)) ||
         std::ranges::any_of(slots, [](const SlotState* slot) { return slot->changed != 0; });
}

Progress Judge(const RankState& state) {
  const bool arrived = state.flags.arrivals.value_or(0) != 0 || state.flags.share.value_or(0) != 0;
  if (arrived || state.own_written) {
    if (state.awaited.empty()) return Progress::kUnclear;
    return state.Sentinel() > 0 ? Progress::kWaiting : Progress::kAllArrived;
  }
  if (state.flags.phases && !state.own_slots_read) return Progress::kUnclear;
  return state.flags.arrivals ? Progress::kNotBegun : Progress::kUnclear;
}

// Where slots lie depends on the number of tokens in unicast workspaces: what a peer sends in a
// call with another number may come to lie in this rank's own slots.
bool OthersMayHaveWritten(const Model& model, const RankState& state) {
  const bool unicast = model.workspaces[state.workspace].flag_layout == trace::FlagLayout::kUnicast;
  return unicast && state.flags.arrivals.value_or(1) == 0 && !state.own_whole;
}

bool CollectivesComplete(const Model& model, const Hang& hang) {
  return hang.replay_index != kNone && PastItsCollectives(model, hang.replay_index);
}

bool MayFlush(const Model& model, const StuckCalls& stuck) {
  return std::ranges::any_of(stuck.operations, [&](const Operation& operation) {
    return operation.call->kernel != kNone &&
           model.kernels[operation.call->kernel].compare != protocol::Compare::kBitwise;
  });
}

// Aliased words that kernels may test which may flush.
bool MayPollAliased(const Model& model, const RankState& state, const StuckCalls& stuck) {
  if (state.Alias() == 0 || !MayFlush(model, stuck)) return false;
  const bool broadcast_only = state.Stage(kScatter).alias == 0;
  return !broadcast_only || !TestFirstWordsOnly(model, stuck) ||
         AliasedFirstWords(model, state) != FirstWords::kClean;
}

// No sentinel word, or only ones that a complete call of these kernels can leave.
bool NoneTested(const std::vector<PeerWords>& awaited, bool first_words_only) {
  return std::ranges::all_of(awaited, [&](const PeerWords& words) {
    const bool leaves = first_words_only && words.stage == kBroadcast;
    return words.sentinel <= (leaves ? words.stored - words.leading : 0);
  });
}

// The first block of a grid moves the flags on while others may still poll. A complete call leaves
// no empty slot behind, and under a flush-to-zero compare no aliased word either: what the dirty
// generation holds of those, such a call is still polling.
std::optional<RankState> BehindTheFlags(const Model& model, const RankState& state) {
  const Hang& hang = model.hangs[state.hang];
  const Workspace& workspace = model.workspaces[state.workspace];
  if (workspace.flag_layout != trace::FlagLayout::kEraC &&
      workspace.flag_layout != trace::FlagLayout::kUnicast) {
    return std::nullopt;
  }
  if (!state.flags.index || CollectivesComplete(model, hang)) return std::nullopt;
  const auto slots = SlotsOf(hang, state.workspace, trace::kSlotDirty);
  RankState late = state;
  late.progress = Progress::kBehind;
  late.slot_role = trace::kSlotDirty;
  late.flags.index = (*state.flags.index + state.flags.generations - 1) % state.flags.generations;
  late.awaited.clear();
  for (const SlotState* slot : slots) {
    if (slot->changed != 0) return std::nullopt;
    late.awaited.push_back({slot->peer, slot->stage});
    late.awaited.back().Add(*slot);
  }
  const StuckCalls stuck = FindStuckCalls(model, late);
  if (stuck.operations.empty() || stuck.guessed) return std::nullopt;
  if (MayPollAliased(model, late, stuck)) return late;
  if (NoneTested(late.awaited, TestFirstWordsOnly(model, stuck))) return std::nullopt;
  late.progress = Progress::kWaiting;
  return late;
}

RankState StateOf(const Model& model, Index hang_index, Index workspace) {
  const Hang& hang = model.hangs[hang_index];
  RankState state;
  state.hang = hang_index;
  state.workspace = workspace;
  const FlagsRead* first = PassOf(hang, workspace, 0);
  const FlagsRead* second = PassOf(hang, workspace, 1);
  if (first == nullptr || second == nullptr || first->status != trace::SideChannel::kOk ||
      second->status != trace::SideChannel::kOk) {
    state.why = WhyUnreadable(hang, first, second);
    return state;
  }
  const std::vector<const SlotState*> slots = SlotsOf(hang, workspace, trace::kSlotCurrent);
  state.flags = ReadFlagWords(model.workspaces[workspace].flag_layout, WordsOf(*second));
  state.read_index = state.flags.index;
  AddSlots(slots, model.workspaces[workspace].rank, &state);
  AddOwnHeader(hang, workspace, model.workspaces[workspace].rank, &state);
  state.progress = Moved(*first, *second, slots) ? Progress::kMoving : Judge(state);
  if (state.progress == Progress::kMoving) return state;
  if (state.progress != Progress::kNotBegun && !OthersMayHaveWritten(model, state)) return state;
  return BehindTheFlags(model, state).value_or(state);
}

}  // namespace

void PeerWords::Add(const SlotState& slot) {
  words += slot.words;
  sentinel += slot.sentinel;
  alias += slot.alias;
  if (slot.stored == kUnknown || slot.stored_leading == kUnknown) return;
  // Whoever wrote the trace: the stored ones are among the sentinels, the leading ones among these.
  const uint32_t marks = std::min(slot.stored, slot.sentinel);
  stored += marks;
  leading += std::min(slot.stored_leading, marks);
}

void PeerWords::Add(const PeerWords& other) {
  words += other.words;
  sentinel += other.sentinel;
  alias += other.alias;
  stored += other.stored;
  leading += other.leading;
}

PeerWords RankState::Stage(uint32_t stage) const {
  PeerWords sum;
  sum.stage = stage;
  for (const PeerWords& words : awaited) {
    if (words.stage == stage) sum.Add(words);
  }
  return sum;
}

uint64_t RankState::Sentinel() const {
  uint64_t sum = 0;
  for (const PeerWords& words : awaited) sum += words.sentinel;
  return sum;
}

uint64_t RankState::Alias() const {
  uint64_t sum = 0;
  for (const PeerWords& words : awaited) sum += words.alias;
  return sum;
}

std::vector<uint32_t> RankState::AbsentPeers(uint32_t own_rank) const {
  std::set<uint32_t> peers;
  for (const PeerWords& words : awaited) {
    if (words.Absent() > 0 && words.peer != own_rank) peers.insert(words.peer);
  }
  return {peers.begin(), peers.end()};
}

std::set<Index> WorkspacesOf(const Model& model, Index hang_index) {
  const Hang& hang = model.hangs[hang_index];
  std::set<Index> workspaces;
  if (hang.workspace != kNone) workspaces.insert(hang.workspace);
  for (const FlagsRead& read : hang.flags) workspaces.insert(read.workspace);
  if (hang.replay_index != kNone) {
    for (const OpRange& range : model.replays[hang.replay_index].ops) {
      workspaces.insert(range.workspace);
    }
  }
  workspaces.erase(kNone);
  return workspaces;
}

std::vector<RankState> StatesOf(const Model& model, Index hang) {
  Memo* const memo = Memo::Of(model);
  if (memo != nullptr && memo->states.contains(hang)) return memo->states[hang];
  std::vector<RankState> states;
  for (const Index workspace : WorkspacesOf(model, hang)) {
    states.push_back(StateOf(model, hang, workspace));
  }
  if (memo != nullptr) memo->states[hang] = states;
  return states;
}

FirstWords AliasedFirstWords(const Model& model, const RankState& state) {
  uint64_t listed = 0, aliased = 0;
  for (const SlotState& slot : model.hangs[state.hang].slots) {
    if (slot.workspace != state.workspace || (slot.role & state.slot_role) == 0) continue;
    if (slot.stage != kBroadcast || slot.token == kUnknown) continue;
    for (const uint32_t position : slot.first_alias) {
      if (position % kWordsPerPacket == 0) return FirstWords::kAliased;
    }
    listed += slot.first_alias.size();
    aliased += slot.alias;
  }
  return aliased > 0 && listed == aliased ? FirstWords::kClean : FirstWords::kNotKnown;
}

}  // namespace lamplight
