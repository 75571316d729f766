// The proof: the rank polls, nothing moves, no awaited word is bitwise the sentinel, and some are
// negative subnormals. A bitwise compare would have gone on; only flush-to-zero can still wait.
#include "analyzer/detectors/c1_sentinel_aliasing.h"

#include <algorithm>
#include <set>

#include "analyzer/detectors/advice.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

// Of the slots that this rank writes itself, what it has not stored.
uint64_t OwnAbsent(const RankState& state, uint32_t stage, uint32_t own_rank) {
  PeerWords own;
  for (const PeerWords& words : state.awaited) {
    if (words.stage == stage && words.peer == own_rank) own.Add(words);
  }
  return own.Absent();
}

// The calls that may be stuck; where that is not known, as the record of the launch is lost, those
// of the exec's newest version on the workspace.
struct Polling {
  StuckCalls stuck;
  bool lost = false;  // not even these are known
};

Polling FindPolling(const Model& model, const RankState& state) {
  Polling polling{FindStuckCalls(model, state)};
  if (!polling.stuck.operations.empty()) return polling;
  const Index exec = model.hangs[state.hang].exec;
  const bool launch_lost = model.hangs[state.hang].replay_index == kNone;
  if (exec != kNone && launch_lost && !model.execs[exec].versions.empty()) {
    const ExecVersion& version = model.execs[exec].versions.back();
    const size_t count = std::min(version.lamport_order.size(), version.calls.size());
    for (size_t i = 0; i < count; ++i) {
      const Call& call = version.calls[i];
      if (call.workspace != state.workspace) continue;
      polling.stuck.operations.push_back({0, &call, kNone, kNone, version.lamport_order[i], kNone});
    }
  }
  polling.lost = polling.stuck.operations.empty();
  return polling;
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
  switch (AliasedFirstWords(model, state)) {
    case FirstWords::kAliased:
      return Verdict{kBroadcast, second.alias, Confidence::kProven, ""};
    case FirstWords::kNotKnown:
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
  const bool tested = stage == kScatter || !TestFirstWordsOnly(model, stuck) ||
                      AliasedFirstWords(model, state) == FirstWords::kAliased;
  if (!tested) {
    return Verdict{stage, sum.alias, Confidence::kPossible,
                   "the kernel tests one word of a 16-byte packet, its first, and the recorded "
                   "positions do not show whether that one is aliased"};
  }
  if (CompareFlushes(model, stuck)) return Verdict{stage, sum.alias, Confidence::kProven, ""};
  return Verdict{stage, sum.alias, Confidence::kPossible,
                 "whether the kernel's compare flushes subnormals is not known for its release"};
}

std::vector<uint32_t> AliasedPeers(const RankState& state, uint32_t stage) {
  std::set<uint32_t> peers;
  for (const PeerWords& words : state.awaited) {
    if (words.stage == stage && words.alias > 0) peers.insert(words.peer);
  }
  return {peers.begin(), peers.end()};
}

void AddEvidence(const Model& model, const RankState& state, bool flushes, const Verdict& verdict,
                 Finding* finding) {
  const PeerWords sum = state.Stage(verdict.stage);
  const std::string rank = RankList({model.workspaces[state.workspace].rank});
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
  if (flushes) {
    finding->evidence.push_back("the kernel's era is known to compare as fp32 with flush-to-zero");
  }
  if (!verdict.doubt.empty()) finding->missing.push_back(verdict.doubt);
}

std::string Summary(const Model& model, const RankState& state, const Verdict& verdict) {
  const std::string rank = RankList({model.workspaces[state.workspace].rank});
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

Finding Describe(const Model& model, const RankState& state, const StuckCalls& stuck, bool flushes,
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
  AddEvidence(model, state, flushes, verdict, &finding);
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
      const Polling polling = FindPolling(model, state);
      if (CompareIsBitwise(model, polling.stuck)) continue;
      std::optional<Verdict> verdict =
          behind ? JudgeBehind(model, state, polling.stuck) : Judge(model, state, polling.stuck);
      if (!verdict) continue;
      if (polling.lost && verdict->confidence != Confidence::kPossible) {
        verdict->confidence = Confidence::kPossible;
        verdict->doubt =
            "which kernel it is, and so how it compares: the record of its launch is "
            "lost";
      }
      StuckCalls stuck = FindStuckCalls(model, state);
      KeepKernelsThatPoll(model, verdict->stage, &stuck);
      const bool flushes = CompareFlushes(model, polling.stuck);
      detection.findings.push_back(Describe(model, state, stuck, flushes, *verdict));
    }
  }
  return detection;
}

}  // namespace lamplight
