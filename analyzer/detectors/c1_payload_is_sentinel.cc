// The proof: one instruction stores a packet, and two reads find it the same. What is bitwise the
// sentinel in a packet that has otherwise arrived was stored so, will never change, and looks
// absent to every kernel that tests it.
#include "analyzer/detectors/c1_payload_is_sentinel.h"

#include <algorithm>

#include "analyzer/detectors/advice.h"
#include "analyzer/detectors/c2_other_width.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

// A kernel of somebody's own descriptor may store word by word.
bool StoresPackets(const Model& model, const StuckCalls& stuck) {
  return OfAllKernels(model, stuck, [](const Kernel& kernel) {
    return kernel.descriptor.starts_with("flashinfer-") ||
           kernel.descriptor.starts_with("tensorrt-llm-") ||
           kernel.descriptor.starts_with("lamplight-");
  });
}

struct Verdict {
  uint32_t stage = kScatter;
  Confidence confidence = Confidence::kProven;
  std::string doubt;  // why it is not proven
};

constexpr char kAbsentToo[] =
    "other awaited words are absent with their whole packets: the rank waits for those too";
constexpr char kNotTested[] =
    "some kernels test one word of a 16-byte packet, its first, and none of these is the first";
constexpr char kOtherWidth[] =
    "calls of both widths have used the group's workspaces: what an fp32 call has left may look so "
    "to a 16-bit one (C2)";
constexpr char kMayStoreLess[] =
    "whether the kernel stores 16 bytes by one instruction is not known from its descriptor";

// Leftovers of the other width hold the mark in some halves, and nobody has sent them now.
bool MayBeLeftOver(const Model& model, const RankState& state) {
  const Index communicator = model.workspaces[state.workspace].communicator;
  for (Index i = 0; i < model.workspaces.size(); ++i) {
    const bool same = i == state.workspace ||
                      (communicator != kNone && model.workspaces[i].communicator == communicator);
    if (same && HasCallsOfBothWidths(model, i)) return true;
  }
  return false;
}

std::optional<Verdict> JudgeStage(const Model& model, const RankState& state, uint32_t stage,
                                  const StuckCalls& stuck) {
  const PeerWords sum = state.Stage(stage);
  if (sum.stored == 0) return std::nullopt;
  // The broadcast needs nothing of other ranks' scatter, but its kernel may still be polling there.
  const uint64_t absent = sum.Absent() + (stage == kBroadcast ? state.Stage(kScatter).Absent() : 0);
  const bool known = StoresPackets(model, stuck);
  const bool all_tested = known && (stage == kScatter || !TestFirstWordsOnly(model, stuck));
  if ((all_tested ? sum.stored : sum.leading) == 0) {
    if (absent > 0) return std::nullopt;
    return Verdict{stage, stage == kBroadcast ? Confidence::kPossible : Confidence::kLikely,
                   kNotTested};
  }
  if (absent > 0) return Verdict{stage, Confidence::kPossible, kAbsentToo};
  if (MayBeLeftOver(model, state)) return Verdict{stage, Confidence::kPossible, kOtherWidth};
  if (!known) return Verdict{stage, Confidence::kLikely, kMayStoreLess};
  return Verdict{stage, Confidence::kProven, ""};
}

// What holds up the scatter explains what is absent of the broadcast.
std::optional<Verdict> Judge(const Model& model, const RankState& state, const StuckCalls& stuck) {
  const auto scatter = JudgeStage(model, state, kScatter, stuck);
  if (scatter && scatter->confidence != Confidence::kPossible) return scatter;
  const auto broadcast = JudgeStage(model, state, kBroadcast, stuck);
  return broadcast ? broadcast : scatter;
}

std::vector<uint32_t> Senders(const RankState& state, uint32_t stage) {
  std::vector<uint32_t> ranks;
  for (const PeerWords& words : state.awaited) {
    if (words.stage == stage && words.stored > 0) ranks.push_back(words.peer);
  }
  return ranks;
}

void AddEvidence(const Model& model, const RankState& state, const Verdict& verdict,
                 Finding* finding) {
  const PeerWords sum = state.Stage(verdict.stage);
  const std::string rank = RankList({model.workspaces[state.workspace].rank});
  AddFlagEvidence(model, state, finding);
  finding->evidence.push_back(
      rank + ": of " + Count(sum.words, "awaited word") + ", " + std::to_string(sum.sentinel) +
      (sum.sentinel == 1 ? " holds" : " hold") + " the empty-slot mark, " +
      std::to_string(sum.stored) + " of them in 16-byte packets of which other words have arrived" +
      " (" + std::to_string(sum.leading) +
      " in first place, which every kernel tests); none changed between two reads");
  if (state.slot_role == trace::kSlotDirty) {
    finding->evidence.push_back(rank + kBehindTheFlags);
  }
  if (!verdict.doubt.empty()) finding->missing.push_back(verdict.doubt);
}

// Where it is, of the first slot that is listed by itself.
std::string FirstPlace(const Finding& finding) {
  for (const SlotWords& slot : finding.slots) {
    if (slot.token == kUnknown || slot.positions.empty()) continue;
    return ", first in token " + std::to_string(slot.token) + ", word " +
           std::to_string(slot.positions.front());
  }
  return "";
}

std::string Summary(const RankState& state, const Verdict& verdict, const Finding& finding) {
  const PeerWords sum = state.Stage(verdict.stage);
  const bool one = sum.stored == 1;
  const std::string sent = RankList(finding.ranks) + " sent " +
                           (verdict.stage == kBroadcast ? "sums" : "data") + " of which " +
                           Count(sum.stored, "word") + (one ? " is" : " are") +
                           " bitwise the mark of an empty slot" + FirstPlace(finding) + ". ";
  if (verdict.confidence != Confidence::kProven) {
    return sent +
           "A kernel that tests such a word spins for ever; that alone is not proven to be what "
           "the rank waits for.";
  }
  return sent + (one ? "It has" : "They have") + " arrived, but every rank that polls " +
         (one ? "it takes it" : "them takes them") + " for absent and spins for ever.";
}

Finding Describe(const Model& model, const RankState& state, const StuckCalls& stuck,
                 const Verdict& verdict) {
  Finding finding;
  finding.hazard = "C1";
  finding.title = verdict.stage == kBroadcast
                      ? "Sentinel aliasing: a sum that is the mark of an empty slot"
                      : "Sentinel aliasing: data that is the mark of an empty slot";
  finding.severity = Severity::kHang;
  finding.confidence = verdict.confidence;
  finding.ranks = Senders(state, verdict.stage);
  finding.hangs = {state.hang};
  PlaceAtHang(model, state, stuck, &finding);
  AddEvidence(model, state, verdict, &finding);
  AddSlots(model, state, WordKind::kStored, &finding);
  std::erase_if(finding.slots, [&](const SlotWords& slot) { return slot.stage != verdict.stage; });
  finding.summary = Summary(state, verdict, finding);
  finding.actions =
      verdict.stage == kBroadcast ? AdviceOnMarksAsSums(finding) : AdviceOnMarksAsInputs();
  return finding;
}

}  // namespace

Detection DetectC1Payload(const Model& model) {
  Detection detection;
  for (Index hang = 0; hang < model.hangs.size(); ++hang) {
    if (model.hangs[hang].ended) continue;
    for (const RankState& state : StatesOf(model, hang)) {
      if (state.progress != Progress::kWaiting && state.progress != Progress::kBehind) continue;
      StuckCalls stuck = FindStuckCalls(model, state);
      const std::optional<Verdict> verdict = Judge(model, state, stuck);
      if (!verdict) continue;
      KeepKernelsThatPoll(model, verdict->stage, &stuck);
      detection.findings.push_back(Describe(model, state, stuck, *verdict));
    }
  }
  return detection;
}

}  // namespace lamplight
