// The proof: the flags stand where the last call left them, no block has arrived, and this rank's
// own slot is empty, so its kernel has not started; or the graph holds no collective at all.
#include "analyzer/detectors/c16_not_collective.h"

#include <algorithm>

#include "analyzer/detectors/hang_queue.h"
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
  AddHangEvidence(model, hang, &finding);
  return finding;
}

void AddWaiters(const Model& model, const RankState& state, Finding* finding) {
  for (const Index hang : HangsWaitingFor(model, state.workspace)) {
    finding->evidence.push_back(ProcessName(model, model.hangs[hang].process) +
                                " is inside its call and waits for words of this rank");
  }
}

constexpr char kBefore[] =
    " was launched but is stuck before the kernel that is due: it has sent nothing yet. What holds "
    "it "
    "is on this rank itself.";
constexpr char kAfter[] =
    " has completed all collectives of its replay and is stuck behind them, on this rank itself.";

Finding DescribeBefore(const Model& model, Index index, const std::vector<RankState>& states) {
  const Hang& hang = model.hangs[index];
  const RankState& first = states.front();
  const StuckCalls stuck = FindStuckCalls(model, first);
  Finding finding = NewFinding(model, index);
  finding.ranks = {model.workspaces[first.workspace].rank};
  PlaceAtHang(model, first, stuck, &finding);
  finding.summary =
      RankName(model, first.workspace) + (stuck.operations.empty() ? kAfter : kBefore);
  for (const RankState& state : states) {
    AddFlagEvidence(model, state, &finding);
    if (state.own_slots_read) {
      finding.evidence.push_back("the slots that this rank writes itself still hold the sentinel");
    } else {
      finding.confidence = Confidence::kLikely;
      finding.missing.push_back("the slots that this rank writes itself were not read");
    }
    AddWaiters(model, state, &finding);
  }
  if (stuck.past_all && !stuck.operations.empty()) {
    finding.evidence.push_back("the flags also fit a replay whose collectives are all complete");
  }
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
