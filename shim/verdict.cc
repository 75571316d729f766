// Reads slot summaries the way an engineer would.
#include "shim/verdict.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>

#include "kernels/protocol.cuh"

namespace lamplight::shim {
namespace {

struct Totals {
  uint64_t words = 0;
  uint64_t sentinel = 0;
  uint64_t alias = 0;
  uint64_t changed = 0;
  uint64_t stored = 0;  // of the sentinel words
  uint64_t leading = 0;
  std::vector<uint32_t> absent_peers;  // no word of theirs has arrived
};

// The sums over one stage of the generation that has `role`.
Totals Sum(const WorkspaceEvidence& evidence, uint32_t role, uint32_t stage) {
  Totals totals;
  for (const trace::SlotState& slot : evidence.slots) {
    if (slot.token != trace::kNoId || !(slot.role & role) || slot.stage != stage) continue;
    totals.words += slot.words;
    totals.sentinel += slot.sentinel;
    totals.alias += slot.alias;
    totals.changed += slot.changed;
    totals.stored += slot.stored_sentinel;
    totals.leading += slot.stored_leading;
    if (slot.words > 0 && slot.sentinel == slot.words) totals.absent_peers.push_back(slot.peer);
  }
  return totals;
}

// "; first: peer 1, token 3, word 12", of the words that `count` counts; empty: none is listed.
std::string FirstText(const WorkspaceEvidence& evidence, uint32_t role, uint32_t stage,
                      uint32_t trace::SlotState::*count, uint32_t (trace::SlotState::*first)[4]) {
  const auto found =
      std::find_if(evidence.slots.begin(), evidence.slots.end(), [=](const auto& slot) {
        return slot.token != trace::kNoId && slot.*count > 0 && slot.stage == stage &&
               (slot.role & role);
      });
  if (found == evidence.slots.end()) return "";
  return "; first: peer " + std::to_string(found->peer) + ", token " +
         std::to_string(found->token) + ", word " + std::to_string(((*found).*first)[0]);
}

std::string SideChannelText(const WorkspaceEvidence& evidence) {
  switch (evidence.status) {
    case trace::SideChannel::kTimedOut:
      return "a copy on the shim's own stream did not complete either";
    case trace::SideChannel::kBlocked:
      return "the driver does not answer: a call on the shim's own thread did not return";
    case trace::SideChannel::kError:
      return "the driver refused the read (CUDA error " + std::to_string(evidence.error) + ")";
    default:
      return "its memory was not read";
  }
}

std::string List(const std::vector<uint32_t>& ranks) {
  std::string text;
  for (const uint32_t rank : ranks) text += (text.empty() ? "" : ", ") + std::to_string(rank);
  return text;
}

std::string AliasText(const WorkspaceEvidence& evidence, uint32_t role, uint32_t stage,
                      const Totals& totals) {
  return "all " + std::to_string(totals.words) + " awaited words" +
         (stage == 0 ? "" : " of stage " + std::to_string(stage)) + " have arrived, and " +
         std::to_string(totals.alias) +
         " of them look absent to a compare that flushes subnormals (C1)" +
         FirstText(evidence, role, stage, &trace::SlotState::alias, &trace::SlotState::first_alias);
}

std::string MissingText(const WorkspaceEvidence& evidence, uint32_t role, uint32_t stage,
                        const Totals& totals) {
  if (totals.stored > 0 && totals.stored == totals.sentinel) {
    return "all packets have arrived, and " + std::to_string(totals.stored) + " of their " +
           std::to_string(totals.words) + " words are the mark of what has not" +
           (totals.leading > 0 ? ": data that no kernel takes (C1)"
                               : ", none of them the first of its packet") +
           FirstText(evidence, role, stage, &trace::SlotState::stored_sentinel,
                     &trace::SlotState::first_stored);
  }
  if (!totals.absent_peers.empty()) {
    return "nothing has arrived from rank " + List(totals.absent_peers);
  }
  return std::to_string(totals.sentinel) + " of " + std::to_string(totals.words) +
         " awaited words have not arrived";
}

// Blocks or clusters that have arrived, in layouts of which that is known.
std::optional<uint32_t> Arrivals(const WorkspaceEvidence& evidence) {
  const bool unicast = evidence.workspace->layout == trace::FlagLayout::kUnicast;
  if (!unicast && evidence.workspace->layout != trace::FlagLayout::kEraC) return std::nullopt;
  const uint32_t word = unicast ? uint32_t{protocol::kUnicastArrivals} : protocol::kArrivals;
  if (evidence.words <= word) return std::nullopt;
  return evidence.second[word];
}

// Nothing that this rank sends itself is in the generation that is due.
bool SentNothing(const WorkspaceEvidence& evidence) {
  const std::vector<uint32_t> absent = Sum(evidence, trace::kSlotCurrent, 0).absent_peers;
  return std::find(absent.begin(), absent.end(), evidence.workspace->rank) != absent.end();
}

// The same, or what is there may be a peer's: in unicast workspaces the words of a call with
// another number of tokens lie elsewhere.
bool MayHaveSentNothing(const WorkspaceEvidence& evidence) {
  if (SentNothing(evidence)) return true;
  if (evidence.workspace->layout != trace::FlagLayout::kUnicast) return false;
  if (Arrivals(evidence).value_or(1) != 0) return false;
  return std::any_of(evidence.slots.begin(), evidence.slots.end(), [&](const auto& slot) {
    return slot.token == trace::kNoId && (slot.role & trace::kSlotCurrent) &&
           slot.peer == evidence.workspace->rank && slot.sentinel > 0;
  });
}

// Whether the slots that were read of the dirty generation are those of the call that wrote it: its
// last stage has the size that the flags hold. They are read at no other size in unicast
// workspaces.
bool DirtyExtentFits(const WorkspaceEvidence& evidence, uint32_t stages) {
  if (evidence.workspace->layout == trace::FlagLayout::kUnicast) return true;
  if (evidence.workspace->layout != trace::FlagLayout::kEraC) return false;
  if (evidence.words < protocol::kFlagWords || stages == 0) return false;
  const uint64_t words = Sum(evidence, trace::kSlotDirty, stages - 1).words;
  return evidence.second[protocol::kDirtyStages] == stages && stages <= protocol::kMaxStages &&
         words * 4 == evidence.second[protocol::kClearBytes0 + stages - 1];
}

// The first stage of the dirty generation that is not whole; nothing: all are, or cannot be told.
std::optional<uint32_t> AwaitedBehindTheFlags(const WorkspaceEvidence& evidence) {
  uint32_t stages = 0;
  uint64_t words = 0, sentinel = 0, changed = 0;
  std::optional<uint32_t> first;
  for (Totals totals; (totals = Sum(evidence, trace::kSlotDirty, stages)).words > 0; ++stages) {
    words += totals.words;
    sentinel += totals.sentinel;
    changed += totals.changed;
    // Kernels whose sums may be marks test the first word of a packet of the broadcast: a complete
    // call may leave the others.
    const uint64_t untested = stages == 1 ? totals.stored - totals.leading : 0;
    if (totals.sentinel > untested && !first) first = stages;
  }
  // All of them empty: nobody has written there.
  if (changed > 0 || sentinel == words || !DirtyExtentFits(evidence, stages)) return std::nullopt;
  return first;
}

std::string BehindText(const WorkspaceEvidence& evidence) {
  const uint32_t stage = AwaitedBehindTheFlags(evidence).value_or(0);
  const Totals totals = Sum(evidence, trace::kSlotDirty, stage);
  return "the flags have moved on while blocks still poll: " +
         (totals.sentinel > 0 ? MissingText(evidence, trace::kSlotDirty, stage, totals)
                              : AliasText(evidence, trace::kSlotDirty, stage, totals));
}

// No block has arrived, nothing that this rank sends itself is there, and no block of the call
// before can still be waiting for words.
bool HasNotBegun(const WorkspaceEvidence& evidence) {
  if (const std::optional<bool> begun = evidence.Begun()) return !*begun;
  if (Arrivals(evidence).value_or(1) != 0) return false;
  const Totals dirty = Sum(evidence, trace::kSlotDirty, 0);
  if (dirty.sentinel != 0 && dirty.sentinel != dirty.words) return false;
  return SentNothing(evidence);
}

// The first stage that holds the kernel up explains the later ones, which it has not filled yet.
std::string Judge(const WorkspaceEvidence& evidence) {
  if (evidence.status != trace::SideChannel::kOk) return SideChannelText(evidence);
  const std::string rank = "rank " + std::to_string(evidence.workspace->rank) + ": ";
  if (WaitsInDirtyGeneration(evidence)) return rank + BehindText(evidence);
  if (HasNotBegun(evidence)) {
    return rank + "its kernel has not begun; look for what its stream waits for (C16)";
  }
  bool any = false;
  for (uint32_t stage = 0; stage < protocol::kMaxStages; ++stage) {
    const Totals totals = Sum(evidence, trace::kSlotCurrent, stage);
    any |= totals.words > 0;
    if (totals.changed > 0) return rank + "its buffer is still changing";
    if (totals.sentinel > 0) {
      return rank + MissingText(evidence, trace::kSlotCurrent, stage, totals);
    }
    if (totals.alias > 0) return rank + AliasText(evidence, trace::kSlotCurrent, stage, totals);
  }
  return rank + (any ? "all awaited words have arrived"
                     : "flag words read; its payload layout is not known");
}

}  // namespace

bool WaitsInDirtyGeneration(const WorkspaceEvidence& evidence) {
  if (!MayHaveSentNothing(evidence)) return false;
  if (AwaitedBehindTheFlags(evidence)) return true;
  const Totals dirty = Sum(evidence, trace::kSlotDirty, 0);
  return evidence.compare == protocol::Compare::kFlushToZero && dirty.alias > 0 &&
         dirty.sentinel == 0 && dirty.changed == 0 && SentNothing(evidence);
}

std::string Verdict(const std::vector<WorkspaceEvidence>& evidence, bool launch_returned) {
  std::string text;
  if (!launch_returned) text = "the host is still inside the launch call";
  for (const WorkspaceEvidence& found : evidence) {
    text += (text.empty() ? "" : "; ") + Judge(found);
  }
  if (text.empty())
    text = "the replay has no Lamport kernel: it is not the collective of this graph";
  return text;
}

}  // namespace lamplight::shim
