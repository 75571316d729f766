// The proof: the rank polls, nothing moves, no awaited word is bitwise the sentinel, and some are
// negative subnormals. A bitwise compare would have gone on; only flush-to-zero can still wait.
#include "analyzer/detectors/c1_sentinel_aliasing.h"

#include <algorithm>

#include "analyzer/detectors/advice.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

constexpr uint32_t kWordsPerPacket = 4;  // 16-byte loads; some kernels test their first word only

// Of the slots that this rank writes itself, what it has not stored.
uint64_t OwnAbsent(const RankState& state, uint32_t stage, uint32_t own_rank) {
  PeerWords own;
  for (const PeerWords& words : state.awaited) {
    if (words.stage == stage && words.peer == own_rank) own.Add(words);
  }
  return own.Absent();
}

// What is known about the first word of a packet among the aliased ones.
enum class FirstWords { kAliased, kClean, kUnknown };

FirstWords FirstWordsOfPackets(const Model& model, const RankState& state) {
  uint64_t listed = 0, aliased = 0;
  for (const SlotState& slot : model.hangs[state.hang].slots) {
    if (slot.workspace != state.workspace || (slot.role & trace::kSlotCurrent) == 0) continue;
    if (slot.stage != kBroadcast || slot.token == kUnknown) continue;
    for (const uint32_t position : slot.first_alias) {
      if (position % kWordsPerPacket == 0) return FirstWords::kAliased;
    }
    listed += slot.first_alias.size();
    aliased += slot.alias;
  }
  return aliased > 0 && listed == aliased ? FirstWords::kClean : FirstWords::kUnknown;
}

bool CompareIsBitwise(const Model& model, const StuckCalls& stuck) {
  return OfAllKernels(model, stuck, [](const Kernel& kernel) {
    return kernel.compare == protocol::Compare::kBitwise;
  });
}

bool CompareFlushes(const Model& model, const StuckCalls& stuck) {
  return std::ranges::any_of(stuck.operations, [&](const Operation& operation) {
    return operation.call->kernel != kNone &&
           model.kernels[operation.call->kernel].compare == protocol::Compare::kFlushToZero;
  });
}

// Could the rank be past its polls and wait for its own blocks to arrive instead?
bool BlocksAreMissing(const RankState& state, const StuckCalls& stuck) {
  if (!state.flags.arrivals) return false;
  bool known = false;
  for (const Operation& operation : stuck.operations) {
    const uint32_t expected = operation.call->expected_arrivals;
    if (expected == 0 || expected == *state.flags.arrivals) return false;
    known = true;
  }
  return known;
}

struct Verdict {
  uint32_t stage = kScatter;
  uint64_t alias = 0;
  Confidence confidence = Confidence::kProven;
  std::string doubt;  // why it is not proven
};

// Where the words are and how sure it is; nothing where aliased words explain nothing.
std::optional<Verdict> Judge(const Model& model, const RankState& state, const StuckCalls& stuck) {
  const uint32_t rank = model.workspaces[state.workspace].rank;
  const PeerWords first = state.Stage(kScatter);
  const PeerWords second = state.Stage(kBroadcast);
  const std::string absent = "other awaited words are bitwise absent: the rank waits for those too";
  if (second.words == 0) {
    if (first.alias == 0) return std::nullopt;
    if (first.sentinel > 0) return Verdict{kScatter, first.alias, Confidence::kPossible, absent};
    if (BlocksAreMissing(state, stuck)) {
      return Verdict{
          kScatter, first.alias, Confidence::kPossible,
          "the arrivals word is not what the kernel waits for: it may be past its polls"};
    }
    return Verdict{kScatter, first.alias, Confidence::kProven, ""};
  }
  // The owner reduces and broadcasts only after its polls: its own broadcast tells whether it
  // passed.
  if (first.alias > 0 && OwnAbsent(state, kBroadcast, rank) > 0) {
    if (first.sentinel > 0) return Verdict{kScatter, first.alias, Confidence::kPossible, absent};
    return Verdict{kScatter, first.alias, Confidence::kProven, ""};
  }
  if (second.alias == 0) return std::nullopt;
  if (second.sentinel > 0) return Verdict{kBroadcast, second.alias, Confidence::kPossible, absent};
  if (BlocksAreMissing(state, stuck)) {
    return Verdict{kBroadcast, second.alias, Confidence::kPossible,
                   "the arrivals word is not what the kernel waits for: it may be past its polls"};
  }
  switch (FirstWordsOfPackets(model, state)) {
    case FirstWords::kAliased:
      return Verdict{kBroadcast, second.alias, Confidence::kProven, ""};
    case FirstWords::kUnknown:
      return Verdict{
          kBroadcast, second.alias, Confidence::kLikely,
          "some kernels test one word of a 16-byte packet, and the recorded positions do not "
          "show whether that one is aliased"};
    case FirstWords::kClean:
      break;
  }
  return std::nullopt;
}

// The flags have moved on: the dirty generation tells, and the compare must be known to flush.
std::optional<Verdict> JudgeBehind(const Model& model, const RankState& state,
                                   const StuckCalls& stuck) {
  const uint32_t stage = state.Stage(kScatter).alias > 0 ? kScatter : kBroadcast;
  const PeerWords sum = state.Stage(stage);
  if (sum.alias == 0 || sum.sentinel > 0) return std::nullopt;
  if (CompareFlushes(model, stuck)) return Verdict{stage, sum.alias, Confidence::kProven, ""};
  return Verdict{stage, sum.alias, Confidence::kPossible,
                 "whether the kernel's compare flushes subnormals is not known for its release"};
}

std::vector<uint32_t> AliasedPeers(const RankState& state, uint32_t stage) {
  std::vector<uint32_t> peers;
  for (const PeerWords& words : state.awaited) {
    if (words.stage == stage && words.alias > 0) peers.push_back(words.peer);
  }
  return peers;
}

void AddEvidence(const Model& model, const RankState& state, const StuckCalls& stuck,
                 const Verdict& verdict, Finding* finding) {
  const PeerWords sum = state.Stage(verdict.stage);
  const std::string rank = "rank " + std::to_string(model.workspaces[state.workspace].rank);
  AddFlagEvidence(model, state, finding);
  finding->evidence.push_back(
      rank + ": of " + Count(sum.words, "awaited word") + ", " + std::to_string(sum.sentinel) +
      " hold the empty-slot mark and " + std::to_string(sum.alias) +
      (sum.alias == 1 ? " is a negative subnormal" : " are negative subnormals") +
      "; none changed between two reads");
  if (state.progress == Progress::kBehind) {
    finding->evidence.push_back(rank + kBehindTheFlags);
  } else {
    finding->evidence.push_back(
        rank + ": the kernel has begun: " +
        (state.own_written ? "its own slots are written" : "its blocks have arrived"));
  }
  if (CompareFlushes(model, stuck)) {
    finding->evidence.push_back("the kernel's era is known to compare as fp32 with flush-to-zero");
  }
  if (!verdict.doubt.empty()) finding->missing.push_back(verdict.doubt);
}

std::string Summary(const Model& model, const RankState& state, const Verdict& verdict) {
  const std::string rank = "Rank " + std::to_string(model.workspaces[state.workspace].rank);
  const std::string from = RankList(AliasedPeers(state, verdict.stage));
  const std::string subnormal =
      verdict.alias == 1 ? "is a negative subnormal" : "are negative subnormals";
  if (verdict.confidence == Confidence::kPossible) {
    return rank + " polls " + Count(verdict.alias, "word") + " from " + from + " that " +
           subnormal +
           ", which a flush-to-zero compare calls absent. That alone is not proven to be what it "
           "waits for.";
  }
  return rank + " has every word that it polls, but " + std::to_string(verdict.alias) +
         " of them, from " + from + ", " + subnormal +
         ". A compare that flushes subnormals to zero reads -0.0 there, the mark of an empty slot, "
         "and spins for ever.";
}

Finding Describe(const Model& model, const RankState& state, const StuckCalls& stuck,
                 const Verdict& verdict) {
  Finding finding;
  finding.hazard = "C1";
  finding.title = "Sentinel aliasing: data that the kernel takes for absent";
  finding.severity = Severity::kHang;
  finding.confidence = verdict.confidence;
  finding.ranks = {model.workspaces[state.workspace].rank};
  finding.hangs = {state.hang};
  finding.summary = Summary(model, state, verdict);
  PlaceAtHang(model, state, stuck, &finding);
  AddEvidence(model, state, stuck, verdict, &finding);
  AddSlots(model, state, WordKind::kAlias, &finding);
  finding.actions = AdviceOnFlushing(finding);
  return finding;
}

}  // namespace

Detection DetectC1(const Model& model) {
  Detection detection;
  for (Index hang = 0; hang < model.hangs.size(); ++hang) {
    if (model.hangs[hang].ended) continue;
    for (const RankState& state : StatesOf(model, hang)) {
      const bool behind = state.progress == Progress::kBehind;
      if (!behind && state.progress != Progress::kWaiting &&
          state.progress != Progress::kAllArrived) {
        continue;
      }
      StuckCalls stuck = FindStuckCalls(model, state);
      if (CompareIsBitwise(model, stuck)) continue;
      const std::optional<Verdict> verdict =
          behind ? JudgeBehind(model, state, stuck) : Judge(model, state, stuck);
      if (!verdict) continue;
      KeepKernelsThatPoll(model, verdict->stage, &stuck);
      detection.findings.push_back(Describe(model, state, stuck, *verdict));
    }
  }
  return detection;
}

}  // namespace lamplight
