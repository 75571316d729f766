// Ways to see it: the same operation number names different calls, by the calls themselves, by what
// kernels of ours reported, or by their headers; or a rank that others wait for has never launched
// the operation.
#include "analyzer/detectors/c10_divergence.h"

#include <algorithm>
#include <map>

#include "analyzer/detectors/aligned_operations.h"
#include "analyzer/detectors/announced_calls.h"
#include "analyzer/detectors/gone_on.h"
#include "analyzer/detectors/hang_queue.h"
#include "analyzer/detectors/other_collectives.h"
#include "analyzer/detectors/silent_process.h"
#include "analyzer/detectors/troubles.h"
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

// Ranks that really diverge do not go on: a rank is never more than one call ahead of its peers.
bool AllWentOn(const Model& model, const Divergence& divergence) {
  return std::ranges::all_of(divergence.first, [&](const Member& member) {
    return HasGoneOn(model, member.workspace, member.operation.op);
  });
}

bool Assumed(const Model& model, const Divergence& divergence) {
  return std::ranges::any_of(
      divergence.first, [&](const Member& member) { return IsAssumed(model, member.operation); });
}

// One past the communicator's last operation that may be part of the hang; 0: none is.
uint64_t EndOfHang(const Model& model, Index index, Index communicator) {
  const Hang& hang = model.hangs[index];
  for (const Index workspace : WorkspacesOf(model, index)) {
    if (model.workspaces[workspace].communicator != communicator) continue;
    const OpRange* range =
        hang.replay_index == kNone ? nullptr : RangeOf(model.replays[hang.replay_index], workspace);
    if (range != nullptr) return range->before + range->ops;
    if (workspace == hang.workspace) return hang.op_before + 1;
  }
  return 0;
}

// The hangs of the communicator at or after the operation.
std::vector<Index> HangsSince(const Model& model, Index communicator, uint64_t op) {
  std::vector<Index> hangs;
  for (Index i = 0; i < model.hangs.size(); ++i) {
    if (!model.hangs[i].ended && EndOfHang(model, i, communicator) > op) hangs.push_back(i);
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
constexpr char kNoHangRecorded[] =
    "no hang was recorded after it: the trace may have ended too early";
constexpr std::string_view kDecideAlike =
    "Find why the ranks choose differently at this point: token counts, padding to graph buckets, "
    "one-shot/two-shot thresholds and fall-backs must be decided the same way on all ranks.";

// Where ranks were put together by a guess, others may be the ones that belong together.
bool InGuessedGroup(const Model& model, Index communicator) {
  return communicator != kNone && model.communicators[communicator].guessed;
}

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

// The words that ranks still await in their call of the operation.
void AddAwaited(const Model& model, const Divergence& divergence, Finding* finding) {
  for (const Index hang : finding->hangs) {
    for (const RankState& state : StatesOf(model, hang)) {
      if (state.progress != Progress::kWaiting) continue;
      const StuckCalls stuck = FindStuckCalls(model, state);
      const bool in_it = std::ranges::any_of(divergence.first, [&](const Member& member) {
        return member.workspace == state.workspace && stuck.exact &&
               stuck.operations.front().op == member.operation.op;
      });
      if (in_it) AddSlots(model, state, WordKind::kSentinel, finding);
    }
  }
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
    finding.missing.push_back(kNoHangRecorded);
  }
  if (Assumed(model, divergence)) {
    finding.confidence = std::max(finding.confidence, Confidence::kLikely);
    finding.missing.push_back(
        "whether all of the execs still ran these calls: older events were overwritten, and an "
        "update of an exec may have been among them");
  }
  if (InGuessedGroup(model, communicator)) finding.confidence = Confidence::kPossible;
  finding.occurrences = divergence.count;
  AddAwaited(model, divergence, &finding);
  return finding;
}

// What the kernels that met the divergence have said themselves.
void TakeReports(const Model& model, const std::vector<Index>& reports, Finding* finding) {
  if (reports.empty()) return;
  AddTroubleEvidence(model, reports, finding);
  finding->confidence = Confidence::kProven;
  finding->occurrences = std::max<uint64_t>(finding->occurrences, reports.size());
  if (!finding->hangs.empty()) return;
  finding->severity = Severity::kSilent;
  finding->summary +=
      " The kernels noticed and did not wait: what could not come became NaN in their results.";
  std::erase_if(finding->missing, [](const std::string& line) { return line == kNoHangRecorded; });
}

// The shapes that ranks give in the first reports: their own, and what they have seen of peers that
// report nothing themselves.
std::vector<AnnouncedCall> ReportedCalls(const Model& model, const std::vector<Index>& reports) {
  std::vector<AnnouncedCall> calls;
  const auto add = [&](const AnnouncedCall& call) {
    const bool known = std::ranges::any_of(
        calls, [&](const AnnouncedCall& other) { return other.rank == call.rank; });
    if (!known) calls.push_back(call);
  };
  const uint64_t epoch = model.troubles[reports.front()].report.epoch;
  for (const bool own : {true, false}) {
    for (const Index index : reports) {
      const kernels::Diagnostic& r = model.troubles[index].report;
      if (r.epoch != epoch) continue;
      add(own ? AnnouncedCall{r.rank, r.tokens, r.hidden, r.kind}
              : AnnouncedCall{r.peer, r.peer_tokens, r.peer_hidden, r.peer_kind});
    }
  }
  return calls;
}

// From the kernels' reports alone: a rank without a trace, or calls that the shim did not see.
Finding DescribeReported(const Model& model, Index communicator,
                         const std::vector<Index>& reports) {
  const Trouble& first = model.troubles[reports.front()];
  const std::vector<AnnouncedCall> calls = ReportedCalls(model, reports);
  Finding finding = NewFinding(model, communicator);
  finding.title = kDifferentCalls;
  PlaceAtTrouble(model, first, &finding);
  finding.hangs = HangsSince(model, communicator, first.report.epoch);
  finding.summary = "A kernel of " + RankName(model, first.workspace) +
                    " met another call of rank " + std::to_string(first.report.peer) +
                    " under the same number.";
  finding.ranks = Minority(calls);
  if (AllAlike(calls)) {
    finding.title = "Ranks diverge: a rank went on without sending what a peer awaits";
    finding.ranks = {first.report.peer};
    finding.summary = RankList({first.report.peer}) + " has ended the call that " +
                      RankName(model, first.workspace) + " is in, without having sent all of it.";
  }
  for (const AnnouncedCall& call : calls) {
    finding.evidence.push_back(RankList({call.rank}) + ": " +
                               AnnouncedName(call.tokens, call.hidden, call.kind));
  }
  finding.actions = {std::string(kDecideAlike)};
  TakeReports(model, reports, &finding);
  return finding;
}

std::string DoNotLineUp(const Divergence& divergence, bool shifted, bool assumed) {
  const std::string differ = "C10: the ranks' calls differ from operation " +
                             std::to_string(divergence.first.front().operation.op) + " on, yet ";
  if (assumed) {
    return differ +
           "all ranks went on past it: some are calls of a graph that its exec may not have run "
           "any "
           "more, since events that may tell of an update were overwritten";
  }
  return differ +
         (shifted ? "they are the same calls under other numbers" : "all ranks went on past it") +
         ": the operation numbers do not line up, because the shim did not see every call of every "
         "rank";
}

// Whether the calls themselves prove a divergence, or the kernels that met it do. Kernels of ours
// go on after one, with results that are no numbers.
enum class Calls : uint8_t { kAgree, kDiverge, kDoNotLineUp };

Calls CheckCalls(const Model& model, Index communicator, Detection* detection) {
  const Divergence divergence = FindDivergence(model, model.communicators[communicator]);
  const std::vector<Index> reports = DivergenceReports(model, communicator);
  if (divergence.count == 0 && reports.empty()) return Calls::kAgree;
  if (divergence.count == 0) {
    detection->findings.push_back(DescribeReported(model, communicator, reports));
    return Calls::kDiverge;
  }
  const bool shifted =
      AreShifted(model, model.communicators[communicator], divergence.first.front().operation.op);
  if (reports.empty() && (shifted || AllWentOn(model, divergence))) {
    detection->unchecked.push_back(DoNotLineUp(divergence, shifted, Assumed(model, divergence)));
    return Calls::kDoNotLineUp;
  }
  Finding finding = DescribeDivergence(model, communicator, divergence);
  TakeReports(model, reports, &finding);
  detection->findings.push_back(std::move(finding));
  return Calls::kDiverge;
}

// ---------------------------------------------------------------- what peers have announced

// The call that this rank is in, as it has announced it and as its peers have: this rank's first.
std::vector<AnnouncedCall> AnnouncedCalls(const Model& model, const RankState& state) {
  const uint32_t own = model.workspaces[state.workspace].rank;
  std::vector<AnnouncedCall> calls;
  for (const PeerHeader& header : model.hangs[state.hang].headers) {
    if (header.workspace != state.workspace || !header.announced) continue;
    if (header.sequence != header.own_sequence) continue;
    const AnnouncedCall call{header.peer, header.tokens, header.hidden, header.kind};
    calls.insert(header.peer == own ? calls.begin() : calls.end(), call);
  }
  return calls;
}

// What a peer sends that has begun another call under this number is never taken.
void CheckHeaders(const Model& model, const RankState& state, Detection* detection) {
  const std::vector<AnnouncedCall> calls = AnnouncedCalls(model, state);
  const Workspace& own = model.workspaces[state.workspace];
  if (calls.empty() || calls.front().rank != own.rank) return;
  if (AllAlike(calls)) return;
  Finding finding = NewFinding(model, own.communicator);
  finding.title = kDifferentCalls;
  finding.hangs = {state.hang};
  finding.ranks = Minority(calls);
  PlaceAtHang(model, state, FindStuckCalls(model, state), &finding);
  finding.summary = "The ranks have announced different calls under one number to " +
                    RankName(model, state.workspace) + ".";
  for (const AnnouncedCall& call : calls) {
    finding.evidence.push_back(RankList({call.rank}) + " announced " +
                               AnnouncedName(call.tokens, call.hidden, call.kind));
  }
  finding.actions = {std::string(kDecideAlike)};
  detection->findings.push_back(std::move(finding));
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

// The kernel, where a call that was not decoded may be the missing one.
std::string MayHideTheCall(const Model& model, Index peer) {
  return UndecodedKernel(model, model.workspaces[peer].process);
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
  if (InGuessedGroup(model, other.communicator)) finding.confidence = Confidence::kPossible;
  finding.actions = {
      "Find why rank " + std::to_string(other.rank) +
          " left the common sequence: a skipped request, an early exit, an exception, or a host "
          "that waits elsewhere. Its host stacks say more.",
  };
  if (const auto silent = SilentFor(model, other.process, hang)) {
    finding.evidence.push_back(RankName(model, peer) + ": " + SilenceText(*silent));
    const std::vector<std::string> advice = AdviceOnSilence();
    finding.actions.insert(finding.actions.begin(), advice.begin(), advice.end());
  }
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
    if (const std::string hidden = MayHideTheCall(model, members[rank]); !hidden.empty()) {
      detection->unchecked.push_back("C10: " + RankName(model, state.workspace) + " waits for " +
                                     RankName(model, members[rank]) +
                                     ", of which no such call is recorded, but calls of " + hidden +
                                     " were not decoded and may be it");
      continue;
    }
    detection->findings.push_back(DescribeMissing(model, state, stuck, members[rank], *op));
  }
}

}  // namespace

Detection DetectC10(const Model& model) {
  Detection detection;
  std::map<Index, Calls> calls;  // by communicator
  for (Index i = 0; i < model.communicators.size(); ++i) {
    calls[i] = CheckCalls(model, i, &detection);
  }
  for (Index hang = 0; hang < model.hangs.size(); ++hang) {
    if (model.hangs[hang].ended) continue;
    for (const RankState& state : StatesOf(model, hang)) {
      const Index communicator = model.workspaces[state.workspace].communicator;
      const Calls of_group = communicator == kNone ? Calls::kAgree : calls[communicator];
      // Headers say the same once more; without numbers that line up, no call is known to be
      // missing.
      if (of_group != Calls::kDiverge) CheckHeaders(model, state, &detection);
      if (of_group != Calls::kDoNotLineUp) CheckMissing(model, state, &detection);
    }
  }
  return detection;
}

}  // namespace lamplight
