// One sentence for each state a rank can be found in.
#include "analyzer/detectors/h0_unexplained.h"

#include <algorithm>
#include <set>

#include "analyzer/detectors/silent_process.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

constexpr char kWhyAbsent[] = "why rank ";

std::string HangName(const Model& model, const Hang& hang) {
  if (hang.exec == kNone) return "an eager launch";
  return "replay " + std::to_string(hang.replay) + " of exec " +
         std::to_string(model.execs[hang.exec].id);
}

void AddHangEvidence(const Model& model, const Hang& hang, Finding* finding) {
  finding->evidence.push_back(ProcessName(model, hang.process) + ": " + HangName(model, hang) +
                              " launched, not complete " +
                              SecondsBetween(hang.launched_ns, hang.detected_ns) + " later");
  if (!hang.launch_returned) {
    finding->evidence.push_back(ProcessName(model, hang.process) +
                                ": the host is still inside the launch call");
  }
}

void AddAbsentPeers(const Model& model, const RankState& state, Finding* finding) {
  const Workspace& own = model.workspaces[state.workspace];
  const std::vector<uint32_t> absent = state.AbsentPeers(own.rank);
  if (absent.empty()) {
    finding->evidence.push_back(RankName(model, state.workspace) +
                                ": only words of its own are absent");
    return;
  }
  finding->evidence.push_back(RankName(model, state.workspace) + ": waits for words from " +
                              RankList(absent) + ", " + Count(state.Sentinel(), "word") +
                              " absent");
  AddSlots(model, state, WordKind::kSentinel, finding);
  for (const uint32_t rank : absent) {
    const bool traced = own.communicator != kNone &&
                        rank < model.communicators[own.communicator].members.size() &&
                        model.communicators[own.communicator].members[rank] != kNone;
    finding->missing.push_back(
        traced ? kWhyAbsent + std::to_string(rank) +
                     "'s words are absent: its own evidence does not tell"
               : "rank " + std::to_string(rank) +
                     " left no trace here: give its trace to the same report, or preload it too");
  }
}

void AddArrivedEvidence(const Model& model, const RankState& state, const StuckCalls& stuck,
                        Finding* finding) {
  finding->evidence.push_back(RankName(model, state.workspace) +
                              ": every awaited word has arrived, so it does not wait for a peer");
  if (state.Alias() > 0) {
    finding->evidence.push_back(
        Count(state.Alias(), "word") +
        " would look absent under flush-to-zero, but the kernel is known to "
        "compare bitwise or does not test those words");
  }
  for (const Operation& operation : stuck.operations) {
    const uint32_t expected = operation.call->expected_arrivals;
    if (expected == 0 || !state.flags.arrivals || expected == *state.flags.arrivals) continue;
    finding->evidence.push_back("arrivals " + std::to_string(*state.flags.arrivals) + " of " +
                                std::to_string(expected) + ": blocks of its own are missing");
    break;
  }
  finding->missing.push_back(
      "where the kernel's threads stand: attach cuda-gdb, or look for blocks that cannot be "
      "resident");
}

void AddState(const Model& model, const RankState& state, const StuckCalls& stuck,
              Finding* finding) {
  const std::string who = RankName(model, state.workspace);
  switch (state.progress) {
    case Progress::kUnreadable:
      finding->missing.push_back(who + ": " + state.why);
      return;
    case Progress::kMoving:
      finding->evidence.push_back(who + ": words still changed between the two reads, so it moves");
      finding->missing.push_back("whether it ever completes: the trace ends first");
      return;
    case Progress::kNotBegun:
      finding->evidence.push_back(who + ": the kernel that is due has not begun");
      break;
    case Progress::kWaiting:
      AddAbsentPeers(model, state, finding);
      break;
    case Progress::kAllArrived:
      AddArrivedEvidence(model, state, stuck, finding);
      break;
    case Progress::kBehind:
      finding->evidence.push_back(
          who + ": the flags have moved on past a call that may still poll aliased words");
      break;
    case Progress::kUnclear:
      finding->missing.push_back(
          who + (state.slots_read ? ": the flag words do not tell how far it has come"
                                  : ": its payload slots were not read (layout or size unknown)"));
      break;
  }
  AddFlagEvidence(model, state, finding);
}

void AddMissingGraph(const Model& model, const Hang& hang, Finding* finding) {
  if (hang.exec == kNone) {
    finding->missing.push_back("evidence of the workspace: the trace holds none for this hang");
    return;
  }
  for (const Kernel& kernel : model.kernels) {
    if (kernel.process != hang.process || !kernel.lamport || kernel.decoded) continue;
    finding->missing.push_back("the parameters of " + kernel.name + " were not decoded (" +
                               kernel.reason + "): describe it in a file for LAMPLIGHT_ABI");
  }
  finding->missing.push_back(
      "whether the graph holds a collective: its nodes are not all recorded, hidden in a "
      "conditional node, or not decoded");
}

Finding NewFinding(const Model& model, Index index) {
  const Hang& hang = model.hangs[index];
  Finding finding;
  finding.hazard = "H0";
  finding.title = "Hang without a proven cause";
  finding.severity = Severity::kHang;
  finding.confidence = Confidence::kProven;  // that it hangs; not why
  finding.hangs = {index};
  finding.place.process = hang.process;
  finding.place.hang = index;
  finding.place.exec = hang.exec;
  finding.place.replay = hang.replay;
  AddHangEvidence(model, hang, &finding);
  return finding;
}

void AddStates(const Model& model, Index index, const std::vector<RankState>& states,
               Finding* finding) {
  std::set<uint32_t> ranks;
  for (const RankState& state : states) {
    const StuckCalls stuck = FindStuckCalls(model, state);
    ranks.insert(model.workspaces[state.workspace].rank);
    if (finding->place.workspace == kNone) PlaceAtHang(model, state, stuck, finding);
    AddState(model, state, stuck, finding);
  }
  finding->ranks.assign(ranks.begin(), ranks.end());
  if (states.empty()) AddMissingGraph(model, model.hangs[index], finding);
}

bool AllRanksTraced(const Model& model, const RankState& state) {
  const Index communicator = model.workspaces[state.workspace].communicator;
  return communicator != kNone &&
         std::ranges::find(model.communicators[communicator].members, kNone) ==
             model.communicators[communicator].members.end();
}

std::vector<std::string> ActionsFor(const Model& model, const Hang& hang,
                                    const std::vector<RankState>& states) {
  std::vector<std::string> actions;
  const bool all_traced =
      !states.empty() && std::ranges::all_of(states, [&](const RankState& state) {
        return AllRanksTraced(model, state);
      });
  if (!all_traced) actions.push_back("Give the traces of all ranks to one report.");
  if (model.processes[hang.process].mode != "journal") {
    actions.push_back(
        "Run again with LAMPLIGHT_MODE=journal: it records a snapshot after every Lamport node.");
  }
  actions.push_back(
      "HOST STACKS, behind the findings, show where the hosts stood; cuda-gdb, attached to the "
      "process, shows where the kernel does.");
  return actions;
}

// Ranks that the hung one waits for, or may wait for where its evidence could not be read, and
// whose processes are silent.
std::vector<Index> SilentPeers(const Model& model, Index index,
                               const std::vector<RankState>& states) {
  std::vector<Index> silent;
  for (const RankState& state : states) {
    const Workspace& own = model.workspaces[state.workspace];
    if (own.communicator == kNone || model.communicators[own.communicator].guessed) continue;
    const std::vector<uint32_t> absent = state.AbsentPeers(own.rank);
    for (const Index member : model.communicators[own.communicator].members) {
      if (member == kNone || member == state.workspace) continue;
      const Workspace& peer = model.workspaces[member];
      const bool awaited = state.progress == Progress::kUnreadable ||
                           (state.progress == Progress::kWaiting &&
                            std::ranges::find(absent, peer.rank) != absent.end());
      if (awaited && SilentFor(model, peer.process, model.hangs[index])) silent.push_back(member);
    }
  }
  return silent;
}

}  // namespace

std::optional<Finding> DescribeSilentPeer(const Model& model, Index index) {
  const std::vector<RankState> states = StatesOf(model, index);
  const std::vector<Index> silent = SilentPeers(model, index, states);
  if (silent.empty()) return std::nullopt;
  Finding finding = NewFinding(model, index);
  finding.title = "A rank that others wait for has fallen silent: killed, crashed or stopped";
  AddStates(model, index, states, &finding);
  std::set<uint32_t> ranks;
  for (const Index peer : silent) {
    const Workspace& other = model.workspaces[peer];
    const std::string text = RankName(model, peer) + ": " +
                             SilenceText(*SilentFor(model, other.process, model.hangs[index]));
    if (finding.summary.empty()) {
      finding.summary = ProcessName(model, model.hangs[index].process) + " waits for " +
                        RankName(model, peer) + ", which has written nothing more: " +
                        SilenceText(*SilentFor(model, other.process, model.hangs[index])) + ".";
    }
    finding.evidence.insert(finding.evidence.begin(), text);
    ranks.insert(other.rank);
  }
  finding.ranks.assign(ranks.begin(), ranks.end());
  std::erase_if(finding.missing,
                [](const std::string& line) { return line.starts_with(kWhyAbsent); });
  finding.actions = AdviceOnSilence();
  return finding;
}

Finding DescribeUnexplained(const Model& model, Index index) {
  Finding finding = NewFinding(model, index);
  finding.summary = "The replay does not complete, and no detector can prove why.";
  const std::vector<RankState> states = StatesOf(model, index);
  AddStates(model, index, states, &finding);
  finding.actions = ActionsFor(model, model.hangs[index], states);
  return finding;
}

Finding DescribeSlow(const Model& model, Index index) {
  const Hang& hang = model.hangs[index];
  Finding finding;
  finding.hazard = "H0";
  finding.title = "Slow, not hung";
  finding.severity = Severity::kAdvisory;
  finding.hangs = {index};
  finding.place.process = hang.process;
  finding.place.hang = index;
  finding.place.exec = hang.exec;
  finding.place.replay = hang.replay;
  finding.summary = ProcessName(model, hang.process) + ": " + HangName(model, hang) +
                    " exceeded the timeout of " + Seconds(hang.timeout_ns) +
                    " and completed after all.";
  if (hang.ended_ns > hang.launched_ns) {
    finding.evidence.push_back("it took at most " +
                               SecondsBetween(hang.launched_ns, hang.ended_ns));
  }
  finding.actions = {"If that is normal for this server, raise LAMPLIGHT_TIMEOUT."};
  return finding;
}

}  // namespace lamplight
