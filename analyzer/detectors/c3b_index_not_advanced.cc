// The proof: between two snapshots the index must move by the advancing calls between them, modulo
// the generations. Operation numbers count those calls even where single records were lost.
#include "analyzer/detectors/c3b_index_not_advanced.h"

#include <algorithm>
#include <memory>

#include "analyzer/detectors/happens_before.h"
#include "analyzer/detectors/memo.h"
#include "analyzer/detectors/other_collectives.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

// Two neighbouring observations whose indices do not fit the calls between them.
struct Jump {
  Observation before;
  Observation after;
  uint64_t expected = 0;
  bool inside_replay = false;  // nothing but the second one's replay lies between
  bool same_replay = false;    // both are of one replay: nothing at all from outside
};

// The index, or the count of calls where the workspace has one.
uint64_t IndexOf(const FlagWords& flags) { return flags.epoch.value_or(*flags.index); }

uint64_t Expected(const Observation& before, const Observation& after) {
  const uint64_t moved = IndexOf(before.flags) + (after.position - before.position);
  return before.flags.epoch ? moved : moved % before.flags.generations;
}

bool Fits(const Observation& before, const Observation& after) {
  return Leads(before.flags, after.position - before.position, after.flags);
}

bool Reinitialised(const Observation& before, const Observation& after) {
  // A count that has gone back is another workspace's, at the same address.
  if (before.flags.epoch && after.flags.epoch) return *after.flags.epoch < *before.flags.epoch;
  return before.flags.bytes && after.flags.bytes && *before.flags.bytes != *after.flags.bytes;
}

Jump MakeJump(const Model& model, Index workspace, const Observation& before,
              const Observation& after) {
  Jump jump{before, after, Expected(before, after), false, false};
  if (after.replay == kNone) return jump;
  jump.same_replay = before.replay == after.replay;
  const OpRange* range = RangeOf(model.replays[after.replay], workspace);
  jump.inside_replay = range != nullptr && range->before <= before.position;
  return jump;
}

// Replays that ran in another order than they were launched make the index jump there and back.
bool JumpsBack(const std::vector<Observation>& observations, size_t at) {
  if (at + 1 >= observations.size()) return false;
  const Observation& before = observations[at - 1];
  const Observation& next = observations[at + 1];
  return Fits(before, next);
}

bool OnOneStream(const Model& model, const Observation& a, const Observation& b) {
  if (a.replay == kNone || b.replay == kNone) return false;
  return model.replays[a.replay].stream == model.replays[b.replay].stream;
}

struct Jumps {
  std::vector<Jump> found;
  uint64_t observations = 0;
  uint64_t reordered = 0;
  uint64_t reinitialised = 0;
};

Jumps FindJumps(const Model& model, Index workspace) {
  std::vector<Observation> own;
  const std::vector<Observation>& all = Observed(model, workspace, &own);
  Jumps jumps;
  jumps.observations = all.size();
  for (size_t i = 1; i < all.size(); ++i) {
    if (Reinitialised(all[i - 1], all[i])) {
      ++jumps.reinitialised;
    } else if (!Fits(all[i - 1], all[i])) {
      if (JumpsBack(all, i) && !OnOneStream(model, all[i - 1], all[i])) {
        ++jumps.reordered;
        ++i;  // the way back
      } else {
        jumps.found.push_back(MakeJump(model, workspace, all[i - 1], all[i]));
      }
    }
  }
  return jumps;
}

std::string ReplayName(const Model& model, Index replay) {
  if (replay == kNone) return "an eager call";
  const Replay& own = model.replays[replay];
  return "replay " + std::to_string(own.number) + " of exec " +
         std::to_string(model.execs[own.exec].id);
}

std::string JumpLine(const Model& model, const Jump& jump) {
  const uint64_t calls = jump.after.position - jump.before.position;
  const std::string entry = "index " + std::to_string(IndexOf(jump.before.flags)) +
                            " after operation " + std::to_string(jump.before.position);
  return ReplayName(model, jump.after.replay) + ": " + entry + ", then " +
         Count(calls, "advancing call") + ", exit index " +
         std::to_string(IndexOf(jump.after.flags)) + ", expected " + std::to_string(jump.expected);
}

// Whether the host may have set the index to 0 ahead of the second one's replay, or further back:
// the calls since then then lead to what was read.
bool FitsARestart(const Model& model, Index workspace, const Jump& jump) {
  if (jump.same_replay || jump.after.flags.epoch) return false;
  const uint64_t calls = jump.after.position - jump.before.position;
  const OpRange* range =
      jump.after.replay == kNone ? nullptr : RangeOf(model.replays[jump.after.replay], workspace);
  const uint64_t least =
      range == nullptr ? std::min<uint64_t>(calls, 1) : jump.after.position - range->before;
  const uint64_t period = jump.after.flags.generations;
  // One period more of calls changes nothing.
  for (uint64_t since = least; since <= std::min(calls, least + period); ++since) {
    if (since % period == *jump.after.flags.index) return true;
  }
  return false;
}

// A host may initialise a workspace anew at the same address, once or several times.
bool MayBeRestarts(const Model& model, Index workspace, const std::vector<Jump>& jumps) {
  if (jumps.size() == 1) return !jumps.front().same_replay;
  return std::ranges::all_of(
      jumps, [&](const Jump& jump) { return FitsARestart(model, workspace, jump); });
}

Finding NewFinding(const Model& model, Index workspace, const Observation& at) {
  Finding finding;
  finding.hazard = "C3b";
  finding.severity = Severity::kSilent;
  finding.ranks = {model.workspaces[workspace].rank};
  PlaceAtReplay(model, workspace, at.replay, &finding);
  finding.place.operation = at.position;
  return finding;
}

void AddNodes(const Model& model, Index workspace, const Jump& jump, Finding* finding) {
  if (!jump.inside_replay) return;
  const ExecVersion* version = VersionOf(model, model.replays[jump.after.replay]);
  for (size_t i = 0; version != nullptr && i < version->calls.size(); ++i) {
    const Call& call = version->calls[i];
    if (call.workspace != workspace || !call.advances()) continue;
    finding->place.nodes.push_back(
        NodeOf(model, {0, &call, jump.after.replay, kNone, version->lamport_order[i], kNone}));
  }
}

Finding DescribeJumps(const Model& model, Index workspace, const Jumps& jumps) {
  const Jump& first = jumps.found.front();
  Finding finding = NewFinding(model, workspace, first.after);
  finding.title = "Stale-index replay: the index did not advance with the calls";
  finding.occurrences = jumps.found.size();
  finding.place.operation = first.before.position;
  AddNodes(model, workspace, first, &finding);
  const uint64_t period = first.after.flags.generations;
  const uint64_t behind = first.expected + period - IndexOf(first.after.flags);
  const bool lost = first.after.flags.epoch ? behind > period : behind % period == 1;
  finding.summary = std::string(lost ? "An update of the generation index was lost"
                                     : "The generation index moved further than the calls") +
                    (first.inside_replay ? " inside a replay" : " between two replays") +
                    ": later calls read generations that still hold data of earlier ones.";
  finding.evidence.push_back(JumpLine(model, first));
  finding.evidence.push_back(std::to_string(jumps.found.size()) + " of " +
                             Count(jumps.observations, "snapshot") +
                             " deviate; all others fit the calls before them");
  if (MayBeRestarts(model, workspace, jumps.found)) {
    finding.confidence = Confidence::kLikely;
    finding.missing.push_back(
        jumps.found.size() == 1
            ? "a single jump can also come from a workspace that the host initialised anew in "
              "between"
            : "each of the jumps fits a workspace that the host initialised anew, with generation "
              "0, in between");
  }
  finding.actions = {
      "Check the kernel's flag update: one block must write it, after all blocks have arrived, in "
      "every launch.",
      "LAMPLIGHT_MODE=journal records the index after every node and names the one that fails.",
      "Until then replace this kernel. Results after the first deviation cannot be trusted.",
  };
  return finding;
}

// ---------------------------------------------------------------- arrivals

// Nothing else can have been running on the workspace when the snapshot was taken.
bool WasQuiet(const Model& model, Index workspace, const Observation& at,
              const LaunchOrder& order) {
  const std::vector<Turn>& timeline = model.workspaces[workspace].timeline;
  if (at.replay == kNone) return false;
  const OpRange* range = RangeOf(model.replays[at.replay], workspace);
  if (range == nullptr) return false;
  auto turn = std::ranges::lower_bound(timeline, range->before, {}, &Turn::before);
  while (turn != timeline.end() && turn->before == range->before && turn->replay != at.replay) {
    ++turn;
  }
  if (turn == timeline.end() || turn->replay != at.replay) return false;
  if (turn != timeline.begin()) {
    const Turn& previous = *(turn - 1);
    if (!order.Ordered({previous.replay, previous.eager}, {turn->replay, kNone})) return false;
  }
  if (turn + 1 == timeline.end()) return true;
  const Turn& next = *(turn + 1);
  if (next.stream != kNone && next.stream == turn->stream) return true;
  return model.snapshots[at.snapshot].time_ns <= next.time_ns;
}

void CheckArrivals(const Model& model, Index workspace, Detection* detection) {
  std::unique_ptr<LaunchOrder> own_order;
  std::optional<Finding> finding;
  std::vector<Observation> own;
  for (const Observation& at : Observed(model, workspace, &own)) {
    const uint32_t left = at.flags.arrivals.value_or(0) + at.flags.share.value_or(0);
    if (left == 0) continue;
    if (model.snapshots[at.snapshot].place != trace::SnapshotPlace::kTail) continue;
    const LaunchOrder& order = OrderOf(model, model.workspaces[workspace].process, &own_order);
    if (!WasQuiet(model, workspace, at, order)) continue;
    if (finding) {
      ++finding->occurrences;
      continue;
    }
    finding = NewFinding(model, workspace, at);
    finding->title = "Arrivals were left over: the next call counts them as its own";
    finding->summary =
        "After a replay, with nothing else running, the arrivals word was not back at 0. The next "
        "call's flag update then fires before all its blocks have arrived.";
    finding->evidence.push_back(ReplayName(model, at.replay) + ": arrivals " +
                                std::to_string(left) + " after its last call");
    finding->actions = {
        "Check the kernel's flag update: it must reset the arrivals word in every launch.",
        "Look for a launch that was aborted, or for two launches that overlapped (C9).",
    };
  }
  if (finding) detection->findings.push_back(std::move(*finding));
}

// ---------------------------------------------------------------- what stands in the way

void CheckJumps(const Model& model, Index workspace, Detection* detection) {
  const Jumps jumps = FindJumps(model, workspace);
  const std::string who = "C3b, " + RankName(model, workspace) + ": ";
  if (jumps.reordered > 0) {
    detection->unchecked.push_back(who + Count(jumps.reordered, "snapshot") +
                                   " of replays on several streams ran in another order than they "
                                   "were launched; the index around them was not judged");
  }
  if (jumps.reinitialised > 0) {
    detection->unchecked.push_back(who + "the workspace was initialised anew " +
                                   Count(jumps.reinitialised, "time") +
                                   " (its size changed); the index was not judged across that");
  }
  if (jumps.found.empty()) return;
  const std::string unknown = UndecodedKernel(model, model.workspaces[workspace].process);
  if (!unknown.empty()) {
    detection->unchecked.push_back(who + "the index does not fit the calls, but calls of " +
                                   unknown + " were not decoded and may have moved it");
    return;
  }
  detection->findings.push_back(DescribeJumps(model, workspace, jumps));
}

}  // namespace

Detection DetectC3b(const Model& model) {
  Detection detection;
  for (Index workspace = 0; workspace < model.workspaces.size(); ++workspace) {
    CheckJumps(model, workspace, &detection);
    CheckArrivals(model, workspace, &detection);
  }
  return detection;
}

}  // namespace lamplight
