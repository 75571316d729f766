// Two ways to see it: the same operation number names different calls, or a rank that others wait
// for has never launched the operation.
#include "analyzer/detectors/c10_divergence.h"

#include <algorithm>
#include <map>

#include "analyzer/detectors/aligned_operations.h"
#include "analyzer/detectors/hang_queue.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

using Member = AlignedOperations::Member;

bool Differ(uint32_t a, uint32_t b) { return a != kUnknown && b != kUnknown && a != b; }

template <class Enum>
bool DifferKnown(Enum a, Enum b) {
  return a != Enum::kUnknown && b != Enum::kUnknown && a != b;
}

bool CallsDiffer(const Model& model, const Call& a, const Call& b) {
  if (Differ(a.tokens, b.tokens) || Differ(a.dim, b.dim)) return true;
  if (a.kernel == kNone || b.kernel == kNone) return false;
  const Kernel& x = model.kernels[a.kernel];
  const Kernel& y = model.kernels[b.kernel];
  return DifferKnown(x.algorithm, y.algorithm) || DifferKnown(x.data_type, y.data_type);
}

bool MembersDiffer(const Model& model, const std::vector<Member>& members) {
  return std::ranges::any_of(members, [&](const Member& member) {
    return CallsDiffer(model, *members.front().operation.call, *member.operation.call);
  });
}

struct Divergence {
  std::vector<Member> first;
  uint64_t count = 0;
};

Divergence FindDivergence(const Model& model, const Communicator& communicator) {
  Divergence divergence;
  AlignedOperations operations(model, communicator);
  for (auto members = operations.Next(); !members.empty(); members = operations.Next()) {
    if (!MembersDiffer(model, members)) continue;
    if (divergence.count++ == 0) divergence.first = std::move(members);
  }
  return divergence;
}

// A rank is never more than one call ahead of its peers, so ranks that really diverge do not go on.
bool AllWentOn(const Model& model, const Divergence& divergence) {
  return std::ranges::all_of(divergence.first, [&](const Member& member) {
    const std::vector<Observation> observations = Observe(model, member.workspace);
    return !observations.empty() && observations.back().position > member.operation.op + 2;
  });
}

// The hangs of the communicator at or after the operation.
std::vector<Index> HangsSince(const Model& model, Index communicator, uint64_t op) {
  std::vector<Index> hangs;
  for (Index i = 0; i < model.hangs.size(); ++i) {
    const Hang& hang = model.hangs[i];
    if (hang.ended || hang.workspace == kNone) continue;
    if (model.workspaces[hang.workspace].communicator != communicator) continue;
    const OpRange* range = hang.replay_index == kNone
                               ? nullptr
                               : RangeOf(model.replays[hang.replay_index], hang.workspace);
    const uint64_t end = range == nullptr ? hang.op_before + 1 : range->before + range->ops;
    if (end > op) hangs.push_back(i);
  }
  return hangs;
}

// Ranks whose call is not the most frequent one; all of them where no call is.
std::vector<uint32_t> Minority(const Model& model, const std::vector<Member>& members) {
  std::vector<size_t> same(members.size(), 0);
  for (size_t i = 0; i < members.size(); ++i) {
    same[i] = static_cast<size_t>(std::ranges::count_if(members, [&](const Member& other) {
      return !CallsDiffer(model, *members[i].operation.call, *other.operation.call);
    }));
  }
  const size_t most = *std::ranges::max_element(same);
  std::vector<uint32_t> ranks;
  for (size_t i = 0; i < members.size(); ++i) {
    if (same[i] < most || most * 2 <= members.size()) {
      ranks.push_back(model.workspaces[members[i].workspace].rank);
    }
  }
  return ranks;
}

std::string Source(const Model& model, const Operation& operation) {
  if (operation.replay == kNone) return "eager";
  const Replay& replay = model.replays[operation.replay];
  return "node " + std::to_string(operation.node) + ", replay " + std::to_string(replay.number) +
         " of exec " + std::to_string(model.execs[replay.exec].id);
}

constexpr char kDifferentCalls[] = "Ranks diverge: different calls under one operation number";
constexpr std::string_view kDecideAlike =
    "Find why the ranks choose differently at this point: token counts, padding to graph buckets, "
    "one-shot/two-shot thresholds and fall-backs must be decided the same way on all ranks.";

Finding NewFinding(const Model& model, Index communicator) {
  Finding finding;
  finding.hazard = "C10";
  finding.severity = Severity::kHang;
  finding.place.communicator = communicator;
  if (communicator != kNone && !model.communicators[communicator].certain) {
    finding.missing.push_back("which ranks belong together is inferred: " +
                              model.communicators[communicator].basis);
  }
  return finding;
}

Finding DescribeDivergence(const Model& model, Index communicator, const Divergence& divergence) {
  const Member& first = divergence.first.front();
  Finding finding = NewFinding(model, communicator);
  finding.title = kDifferentCalls;
  finding.ranks = Minority(model, divergence.first);
  finding.hangs = HangsSince(model, communicator, first.operation.op);
  PlaceAtReplay(model, first.workspace, first.operation.replay, &finding);
  finding.place.operation = first.operation.op;
  finding.place.nodes = {NodeOf(model, first.operation)};
  finding.summary = "Operation " + std::to_string(first.operation.op) +
                    " of the communicator is not the same call on all ranks.";
  for (const Member& member : divergence.first) {
    finding.evidence.push_back(RankName(model, member.workspace) + ": " +
                               CallName(model, *member.operation.call) + " (" +
                               Source(model, member.operation) + ")");
  }
  finding.actions = {std::string(kDecideAlike)};
  if (finding.hangs.empty()) {
    finding.confidence = Confidence::kLikely;
    finding.missing.push_back("no hang was recorded after it: the trace may have ended too early");
  }
  finding.occurrences = divergence.count;
  return finding;
}

void CheckCalls(const Model& model, Index communicator, Detection* detection) {
  const Divergence divergence = FindDivergence(model, model.communicators[communicator]);
  if (divergence.count == 0) return;
  if (AllWentOn(model, divergence)) {
    detection->unchecked.push_back("C10: the ranks' calls differ from operation " +
                                   std::to_string(divergence.first.front().operation.op) +
                                   " on, yet all ranks went on past it: the operation numbers do "
                                   "not line up, because the shim "
                                   "did not see every call of every rank");
    return;
  }
  detection->findings.push_back(DescribeDivergence(model, communicator, divergence));
}

// ---------------------------------------------------------------- what peers have announced

struct Announced {
  uint32_t rank;
  uint32_t tokens;
  uint32_t hidden;
  uint32_t kind;

  bool SameAs(const Announced& other) const {
    return tokens == other.tokens && hidden == other.hidden && kind == other.kind;
  }
};

// The call that this rank is in, as it has announced it and as its peers have: this rank's first.
std::vector<Announced> AnnouncedCalls(const Model& model, const RankState& state) {
  const uint32_t own = model.workspaces[state.workspace].rank;
  std::vector<Announced> calls;
  for (const PeerHeader& header : model.hangs[state.hang].headers) {
    if (header.workspace != state.workspace || !header.announced) continue;
    if (header.sequence != header.own_sequence) continue;
    const Announced call{header.peer, header.tokens, header.hidden, header.kind};
    calls.insert(header.peer == own ? calls.begin() : calls.end(), call);
  }
  return calls;
}

// Ranks outside the majority; all of them where there is none.
std::vector<uint32_t> Minority(const std::vector<Announced>& calls) {
  std::vector<uint32_t> ranks;
  for (const Announced& call : calls) {
    const auto same =
        std::ranges::count_if(calls, [&](const Announced& other) { return call.SameAs(other); });
    if (static_cast<size_t>(same) * 2 <= calls.size()) ranks.push_back(call.rank);
  }
  std::ranges::sort(ranks);
  return ranks;
}

// What a peer sends that has begun another call under this number is never taken.
void CheckHeaders(const Model& model, const RankState& state, Detection* detection) {
  const std::vector<Announced> calls = AnnouncedCalls(model, state);
  const Workspace& own = model.workspaces[state.workspace];
  if (calls.empty() || calls.front().rank != own.rank) return;
  const bool alike =
      std::ranges::all_of(calls, [&](const Announced& call) { return call.SameAs(calls.front()); });
  if (alike) return;
  Finding finding = NewFinding(model, own.communicator);
  finding.title = kDifferentCalls;
  finding.hangs = {state.hang};
  finding.ranks = Minority(calls);
  PlaceAtHang(model, state, FindStuckCalls(model, state), &finding);
  finding.summary = "The ranks have announced different calls under one number to " +
                    RankName(model, state.workspace) + ".";
  for (const Announced& call : calls) {
    finding.evidence.push_back("rank " + std::to_string(call.rank) + " announced " +
                               AnnouncedCall(call.tokens, call.hidden, call.kind));
  }
  finding.actions = {std::string(kDecideAlike)};
  detection->findings.push_back(std::move(finding));
}

// The calls themselves, where all ranks have left a trace, say the same.
bool FoundByCalls(const Detection& detection, Index communicator) {
  return std::ranges::any_of(detection.findings, [&](const Finding& finding) {
    return finding.title == kDifferentCalls && finding.place.communicator == communicator;
  });
}

// ---------------------------------------------------------------- a call that never came

// The rank's trace covers the time in which the call should have come.
bool WasWatched(const Process& peer, const Hang& hang) {
  return peer.closed || peer.last_ns >= hang.launched_ns + hang.timeout_ns / 2;
}

// The peer's process hangs itself, other than in another rank's end of this communicator.
bool HasOwnHang(const Model& model, Index peer) {
  const Workspace& own = model.workspaces[peer];
  return std::ranges::any_of(model.hangs, [&](const Hang& hang) {
    if (hang.process != own.process || hang.ended) return false;
    if (hang.workspace == kNone || hang.workspace == peer) return true;
    return model.workspaces[hang.workspace].communicator != own.communicator;
  });
}

std::optional<uint64_t> EarliestOp(const StuckCalls& stuck) {
  std::optional<uint64_t> op;
  for (const Operation& operation : stuck.operations)
    op = std::min(op.value_or(~0ull), operation.op);
  return op;
}

bool NeverLaunched(const Model& model, const RankState& state, Index peer, uint64_t op) {
  if (EndOfOperations(model.workspaces[peer]) > op) return false;
  const Index process = model.workspaces[peer].process;
  if (model.processes[process].events_lost || HasOwnHang(model, peer)) return false;
  return WasWatched(model.processes[process], model.hangs[state.hang]);
}

// The peer itself says that it has begun the call, or a later one, whatever was recorded of it.
bool HasAnnounced(const Model& model, const RankState& state, uint32_t rank) {
  return std::ranges::any_of(model.hangs[state.hang].headers, [&](const PeerHeader& header) {
    const auto ahead = static_cast<int32_t>(header.sequence - header.own_sequence);
    return header.workspace == state.workspace && header.peer == rank && header.announced &&
           ahead >= 0;
  });
}

Finding DescribeMissing(const Model& model, const RankState& state, const StuckCalls& stuck,
                        Index peer, uint64_t op) {
  const Workspace& other = model.workspaces[peer];
  const Process& process = model.processes[other.process];
  const Hang& hang = model.hangs[state.hang];
  Finding finding = NewFinding(model, other.communicator);
  finding.title = "Ranks diverge: rank " + std::to_string(other.rank) + " has not made the call";
  finding.ranks = {other.rank};
  finding.hangs = {state.hang};
  finding.summary = RankName(model, state.workspace) + " waits in operation " + std::to_string(op) +
                    " for " + RankName(model, peer) + ", which has not launched it.";
  PlaceAtHang(model, state, stuck, &finding);
  AddSlots(model, state, WordKind::kSentinel, &finding);
  AddAnnouncements(model, state, &finding);
  const uint64_t calls = EndOfOperations(other);
  finding.evidence.push_back(RankName(model, peer) + ": " + Count(calls, "operation") +
                             " recorded in all, none lost; the one awaited would be number " +
                             std::to_string(op));
  finding.evidence.push_back(process.closed
                                 ? "its process ended in an orderly way without it"
                                 : "its trace goes on for " +
                                       SecondsBetween(hang.launched_ns, process.last_ns) +
                                       " after the waiting launch, without it");
  finding.actions = {
      "Find why rank " + std::to_string(other.rank) +
          " left the common sequence: a skipped request, an early exit, an exception, or a host "
          "that waits elsewhere. Its host stacks say more.",
  };
  return finding;
}

// Ranks that the stuck call may wait for. Where nothing could be read, but the kernels' journals
// leave one call, it may be any: no call ends without all ranks.
std::vector<uint32_t> MayBeAwaited(const Model& model, const RankState& state,
                                   const StuckCalls& stuck) {
  const Workspace& own = model.workspaces[state.workspace];
  if (state.progress == Progress::kWaiting) return state.AbsentPeers(own.rank);
  std::vector<uint32_t> ranks;
  if (state.progress != Progress::kUnreadable || !stuck.exact || stuck.guessed) return ranks;
  for (uint32_t rank = 0; rank < model.communicators[own.communicator].members.size(); ++rank) {
    if (rank != own.rank) ranks.push_back(rank);
  }
  return ranks;
}

void CheckMissing(const Model& model, const RankState& state, Detection* detection) {
  const Workspace& own = model.workspaces[state.workspace];
  if (own.communicator == kNone) return;
  const StuckCalls stuck = FindStuckCalls(model, state);
  const std::optional<uint64_t> op = EarliestOp(stuck);
  if (!op) return;
  const std::vector<Index>& members = model.communicators[own.communicator].members;
  for (const uint32_t rank : MayBeAwaited(model, state, stuck)) {
    if (rank >= members.size() || members[rank] == kNone) continue;
    if (HasAnnounced(model, state, rank)) continue;
    if (!NeverLaunched(model, state, members[rank], *op)) continue;
    detection->findings.push_back(DescribeMissing(model, state, stuck, members[rank], *op));
  }
}

}  // namespace

Detection DetectC10(const Model& model) {
  Detection detection;
  for (Index i = 0; i < model.communicators.size(); ++i) CheckCalls(model, i, &detection);
  const Detection by_calls = detection;
  for (Index hang = 0; hang < model.hangs.size(); ++hang) {
    if (model.hangs[hang].ended) continue;
    for (const RankState& state : StatesOf(model, hang)) {
      const Index communicator = model.workspaces[state.workspace].communicator;
      if (!FoundByCalls(by_calls, communicator)) CheckHeaders(model, state, &detection);
      CheckMissing(model, state, &detection);
    }
  }
  return detection;
}

}  // namespace lamplight
