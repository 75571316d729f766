// The proof: the flags stand where the last call left them, no block has arrived, and this rank's
// own slot is empty, so its kernel has not started; or the graph holds no collective at all.
#include "analyzer/detectors/c16_not_collective.h"

#include <algorithm>
#include <set>

#include "analyzer/detectors/hang_queue.h"
#include "analyzer/detectors/other_collectives.h"
#include "analyzer/detectors/silent_process.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

// CUgraphNodeType values of nodes that wait for something, or hide what they run.
constexpr uint32_t kHostNode = 3;
constexpr uint32_t kWaitEventNode = 6;
constexpr uint32_t kSemaphoreWaitNode = 9;
constexpr uint32_t kBatchMemOpNode = 12;
constexpr uint32_t kConditionalNode = 13;

const ExecVersion* VersionAt(const Model& model, const Hang& hang) {
  if (hang.replay_index != kNone) return VersionOf(model, model.replays[hang.replay_index]);
  if (hang.exec == kNone || model.execs[hang.exec].versions.empty()) return nullptr;
  return &model.execs[hang.exec].versions.back();
}

const Graph* GraphAt(const Model& model, const Hang& hang) {
  const ExecVersion* version = VersionAt(model, hang);
  return version == nullptr || version->graph == kNone ? nullptr : &model.graphs[version->graph];
}

// Known to hold no Lamport kernel: all nodes recorded, none hidden, none recognised but undecoded.
bool HasNoCollective(const Model& model, const Hang& hang) {
  const ExecVersion* version = VersionAt(model, hang);
  const Graph* graph = GraphAt(model, hang);
  if (graph == nullptr || !graph->complete || graph->declared_lamport_nodes != 0) return false;
  if (!version->lamport_order.empty()) return false;
  for (const Node& node : graph->nodes) {
    if (node.kind == kConditionalNode || node.call.lamport()) return false;
    for (const Kernel& kernel : model.kernels) {
      if (kernel.lamport && kernel.process == graph->process && kernel.name == node.name) {
        return false;
      }
    }
  }
  return true;
}

std::string NodeKind(uint32_t kind) {
  switch (kind) {
    case kHostNode:
      return "host function";
    case kWaitEventNode:
      return "event wait";
    case kSemaphoreWaitNode:
      return "external semaphore wait";
    case kBatchMemOpNode:
      return "memory operation batch (may wait on a value)";
    case kConditionalNode:
      return "conditional node";
    default:
      return "";
  }
}

void AddWaitingNodes(const Model& model, const Hang& hang, Finding* finding) {
  const Graph* graph = GraphAt(model, hang);
  if (graph == nullptr) return;
  for (const Node& node : graph->nodes) {
    const std::string kind = NodeKind(node.kind);
    if (kind.empty()) continue;
    finding->evidence.push_back("node " + std::to_string(node.position) +
                                " of the graph can wait by itself: " + kind);
  }
}

void AddHangEvidence(const Model& model, const Hang& hang, Finding* finding) {
  if (hang.exec != kNone) {
    finding->evidence.push_back("replay " + std::to_string(hang.replay) + " of exec " +
                                std::to_string(model.execs[hang.exec].id) + ": launched, and " +
                                SecondsBetween(hang.launched_ns, hang.detected_ns) +
                                " later not complete");
  } else {
    finding->evidence.push_back("an eager call: launched, and " +
                                SecondsBetween(hang.launched_ns, hang.detected_ns) +
                                " later not complete");
  }
  if (!hang.launch_returned) {
    finding->evidence.push_back("the host is still inside the launch call");
  }
  AddWaitingNodes(model, hang, finding);
}

void AddActions(const Hang& hang, Finding* finding) {
  if (!hang.launch_returned) {
    finding->actions.push_back(
        "Look at the host thread inside the launch call (stacks below): full launch queues and "
        "module "
        "loading block there. CUDA_MODULE_LOADING=EAGER rules the latter out.");
  }
  finding->actions.push_back(
      "Look for what this rank's stream waits for ahead of its collective: host functions, event "
      "or value waits, long copies, a kernel of the graph that does not end. HOST STACKS, behind "
      "the "
      "findings, show where its threads stand.");
  finding->actions.push_back(
      "Where ranks share one GPU, check that all their blocks can be resident.");
}

Finding NewFinding(const Model& model, Index hang) {
  Finding finding;
  finding.hazard = "C16";
  finding.title = "A stall on this rank, not the collective";
  finding.severity = Severity::kHang;
  finding.hangs = {hang};
  finding.place.process = model.hangs[hang].process;
  finding.place.hang = hang;
  AddActions(model.hangs[hang], &finding);
  return finding;
}

// ---------------------------------------------------------------- other collectives

constexpr char kThisRankOrAnother[] =
    "A stall ahead of the collective: on this rank, or in another collective";

void AddSuspects(const OtherCollectives& others, Finding* finding) {
  for (const Node* node : others.undecoded) {
    finding->confidence = Confidence::kPossible;
    finding->missing.push_back("node " + std::to_string(node->position) + ", " + node->name +
                               ", is a Lamport kernel that was not decoded: the stall may be in it "
                               "(describe it in a file for LAMPLIGHT_ABI)");
  }
  for (const Node* node : others.named) {
    finding->confidence = std::max(finding->confidence, Confidence::kLikely);
    finding->evidence.push_back("node " + std::to_string(node->position) +
                                " of the graph is another collective, by its name: " + node->name);
  }
  if (others.named.empty()) return;
  finding->missing.push_back(
      "whether it is stuck in such a node: nothing is recorded of these collectives");
  finding->actions.insert(finding->actions.begin(),
                          "Look at that collective on all ranks: a rank that has not joined it "
                          "holds up the others (NCCL: its flight recorder, NCCL_DEBUG=INFO).");
}

bool Empty(const OtherCollectives& others) {
  return others.undecoded.empty() && others.named.empty();
}

bool HasBegun(const RankState& state) {
  return state.own_written || state.progress == Progress::kWaiting ||
         state.progress == Progress::kAllArrived || state.progress == Progress::kBehind ||
         state.flags.arrivals.value_or(0) != 0 || state.flags.share.value_or(0) != 0;
}

bool AnyInside(const Model& model, Index workspace) {
  for (Index hang = 0; hang < model.hangs.size(); ++hang) {
    if (model.hangs[hang].ended) continue;
    for (const RankState& state : StatesOf(model, hang)) {
      if (state.workspace == workspace && HasBegun(state)) return true;
    }
  }
  return false;
}

// The rank has ended the replay, or whatever it was, that holds its part of operation `op`.
bool HasEnded(const Model& model, Index workspace, uint64_t op) {
  const auto operation = FindOperation(model, workspace, op);
  return operation && operation->replay != kNone &&
         model.replays[operation->replay].completed_ns != 0;
}

// Whether another rank of the group shows that what holds this one up is not common to all: it is
// inside the call that this rank has not joined, or it has ended what this rank is stuck behind.
bool GroupIsElsewhere(const Model& model, const RankState& state) {
  const Workspace& own = model.workspaces[state.workspace];
  if (own.communicator == kNone || model.communicators[own.communicator].guessed) return false;
  const Index replay = model.hangs[state.hang].replay_index;
  const OpRange* range =
      replay == kNone ? nullptr : RangeOf(model.replays[replay], state.workspace);
  for (const Index member : model.communicators[own.communicator].members) {
    if (member == kNone || member == state.workspace) continue;
    if (AnyInside(model, member)) return true;
    if (range != nullptr && range->ops > 0 &&
        HasEnded(model, member, range->before + range->ops - 1)) {
      return true;
    }
  }
  return false;
}

// Every process hangs, and none inside a collective that is decoded.
bool AllHangOutside(const Model& model) {
  std::set<Index> hung;
  for (Index hang = 0; hang < model.hangs.size(); ++hang) {
    if (model.hangs[hang].ended) continue;
    hung.insert(model.hangs[hang].process);
    const std::vector<RankState> states = StatesOf(model, hang);
    if (std::ranges::any_of(states, HasBegun)) return false;
  }
  return model.processes.size() > 1 && hung.size() == model.processes.size();
}

constexpr char kNobodyInside[] =
    "no rank of the group is known to be inside its call: another collective in front of it, in "
    "the "
    "graph or on its stream, in which all ranks wait would look the same";

Finding DescribeWithout(const Model& model, Index index) {
  const Hang& hang = model.hangs[index];
  Finding finding = NewFinding(model, index);
  finding.summary = ProcessName(model, hang.process) +
                    ": the replay that does not complete has no Lamport kernel among its nodes.";
  finding.place.exec = hang.exec;
  finding.place.replay = hang.replay;
  finding.place.graph = VersionAt(model, hang)->graph;
  finding.evidence.push_back("all " + Count(GraphAt(model, hang)->nodes.size(), "node") +
                             " of the graph are recorded, none is a Lamport kernel");
  AddSuspects(OthersIn(model, *GraphAt(model, hang)), &finding);
  if (AllHangOutside(model)) {
    finding.confidence = std::max(finding.confidence, Confidence::kLikely);
    finding.missing.push_back(
        "every process hangs, none inside a collective that was decoded: they may wait for each "
        "other in another one");
  }
  finding.place.assumed = VersionAt(model, hang)->assumed;
  if (finding.place.assumed) finding.confidence = std::max(finding.confidence, Confidence::kLikely);
  if (finding.confidence != Confidence::kProven) {
    finding.title = kThisRankOrAnother;
    finding.summary += " What holds it is on this rank, or another collective of the graph.";
  }
  AddHangEvidence(model, hang, &finding);
  return finding;
}

// ---------------------------------------------------------------- before or behind its collectives

void AddWaiters(const Model& model, const RankState& state, Finding* finding) {
  for (const Index hang : HangsWaitingFor(model, state.workspace)) {
    finding->evidence.push_back(ProcessName(model, model.hangs[hang].process) +
                                " is inside its call and waits for words of this rank");
  }
}

constexpr char kBefore[] =
    " was launched but is stuck before the kernel that is due: it has sent nothing yet. ";
constexpr char kAfter[] = " has completed all collectives of its replay and is stuck behind them. ";
constexpr char kSomewhere[] = " was launched and is stuck, and none of its collectives has begun. ";

// The workspace whose call is due, of those that the replay uses.
struct Due {
  const RankState* state = nullptr;
  StuckCalls stuck;
  bool all_complete = true;
};

// Where a node stands among the calls of the replay.
size_t PlaceOf(const Model& model, const Hang& hang, const Operation& operation) {
  const ExecVersion* version = VersionAt(model, hang);
  if (version == nullptr) return 0;
  const auto at = std::ranges::find(version->lamport_order, operation.node);
  return static_cast<size_t>(at - version->lamport_order.begin());
}

Due FindDue(const Model& model, const Hang& hang, const std::vector<RankState>& states) {
  Due due;
  size_t earliest = 0;
  for (const RankState& state : states) {
    StuckCalls stuck = FindStuckCalls(model, state);
    due.all_complete &= stuck.operations.empty() && stuck.past_all;
    if (due.state == nullptr) due.state = &state;
    if (stuck.operations.empty()) continue;
    const size_t place = PlaceOf(model, hang, stuck.operations.front());
    if (!due.stuck.operations.empty() && place >= earliest) continue;
    earliest = place;
    due.state = &state;
    due.stuck = std::move(stuck);
  }
  due.stuck.past_all |= due.all_complete;
  return due;
}

std::string Summary(const Model& model, const Due& due, const Finding& finding,
                    const OtherCollectives& others) {
  std::string text = RankName(model, due.state->workspace);
  text += due.all_complete ? kAfter : due.stuck.operations.empty() ? kSomewhere : kBefore;
  if (finding.title != kThisRankOrAnother) return text + "What holds it is on this rank itself.";
  text += "What holds it is on this rank, or another collective ";
  return text + (Empty(others) ? "in front of it." : "of the graph.");
}

void AddSlotEvidence(const Model& model, const RankState& state, bool several, Finding* finding) {
  if (!state.own_slots_read) {
    finding->confidence = std::max(finding->confidence, Confidence::kLikely);
    finding->missing.push_back("the slots that this rank writes itself were not read");
    return;
  }
  std::string line = "the slots that this rank writes itself still hold the sentinel";
  if (several) line += " (workspace " + std::to_string(model.workspaces[state.workspace].id) + ")";
  finding->evidence.push_back(std::move(line));
}

// A rank that is gone holds up the others wherever they are.
void AddSilentPeers(const Model& model, const Hang& hang, const RankState& state,
                    Finding* finding) {
  const Index communicator = model.workspaces[state.workspace].communicator;
  if (communicator == kNone || model.communicators[communicator].guessed) return;
  bool any = false;
  for (const Index member : model.communicators[communicator].members) {
    if (member == kNone || member == state.workspace) continue;
    const auto silent = SilentFor(model, model.workspaces[member].process, hang);
    if (!silent) continue;
    any = true;
    finding->evidence.push_back(RankName(model, member) + ": " + SilenceText(*silent));
  }
  if (!any) return;
  finding->confidence = std::max(finding->confidence, Confidence::kLikely);
  finding->title = kThisRankOrAnother;
  finding->missing.push_back(
      "whether another collective waits for the rank whose process has written nothing more");
  const std::vector<std::string> advice = AdviceOnSilence();
  finding->actions.insert(finding->actions.begin(), advice.begin(), advice.end());
}

Finding DescribeBefore(const Model& model, Index index, const std::vector<RankState>& states) {
  const Hang& hang = model.hangs[index];
  const Due due = FindDue(model, hang, states);
  Finding finding = NewFinding(model, index);
  finding.ranks = {model.workspaces[due.state->workspace].rank};
  PlaceAtHang(model, *due.state, due.stuck, &finding);
  for (const RankState& state : states) {
    AddFlagEvidence(model, state, &finding);
    AddSlotEvidence(model, state, states.size() > 1, &finding);
    AddWaiters(model, state, &finding);
  }
  if (due.stuck.past_all && !due.stuck.operations.empty()) {
    finding.evidence.push_back("the flags also fit a replay whose collectives are all complete");
  }
  const OtherCollectives others = OthersAheadOf(model, *due.state, due.stuck);
  AddSuspects(others, &finding);
  const bool elsewhere = std::ranges::any_of(
      states, [&](const RankState& state) { return GroupIsElsewhere(model, state); });
  if (!elsewhere) {
    finding.confidence = std::max(finding.confidence, Confidence::kLikely);
    finding.missing.push_back(kNobodyInside);
  }
  if (!elsewhere || !Empty(others)) finding.title = kThisRankOrAnother;
  AddSilentPeers(model, hang, *due.state, &finding);
  finding.summary = Summary(model, due, finding, others);
  AddHangEvidence(model, hang, &finding);
  return finding;
}

}  // namespace

Detection DetectC16(const Model& model) {
  Detection detection;
  for (Index i = 0; i < model.hangs.size(); ++i) {
    const Hang& hang = model.hangs[i];
    if (hang.ended || HangInFront(model, i) != kNone) continue;
    const std::vector<RankState> states = StatesOf(model, i);
    if (states.empty()) {
      if (HasNoCollective(model, hang)) detection.findings.push_back(DescribeWithout(model, i));
      continue;
    }
    const bool none_begun = std::ranges::all_of(
        states, [](const RankState& state) { return state.progress == Progress::kNotBegun; });
    if (none_begun) detection.findings.push_back(DescribeBefore(model, i, states));
  }
  return detection;
}

}  // namespace lamplight
