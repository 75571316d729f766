// Three ways to see it: two nodes of a graph without a path, two launches without an order of which
// the first was demonstrably unfinished, and more arrivals than one launch has.
#include "analyzer/detectors/c9_overlap.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "analyzer/detectors/graph_paths.h"
#include "analyzer/detectors/happens_before.h"
#include "analyzer/detectors/memo.h"
#include "analyzer/detectors/wording.h"
#include "analyzer/replay_progress.h"

namespace lamplight {
namespace {

Finding NewFinding(const Model& model, Index workspace) {
  Finding finding;
  finding.hazard = "C9";
  finding.title = "Overlap: two launches use one workspace at a time";
  finding.severity = Severity::kHang;
  finding.ranks = {model.workspaces[workspace].rank};
  finding.actions = {
      "Order the two launches: same stream, or cudaEventRecord after the first and "
      "cudaStreamWaitEvent before the second.",
      "Or give each stream its own all-reduce workspace.",
  };
  return finding;
}

// ---------------------------------------------------------------- inside one graph

std::vector<Operation> CallsOn(const ExecVersion& version, Index workspace) {
  std::vector<Operation> calls;
  const size_t count = std::min(version.lamport_order.size(), version.calls.size());
  for (size_t i = 0; i < count; ++i) {
    if (version.calls[i].workspace != workspace) continue;
    calls.push_back({0, &version.calls[i], kNone, kNone, version.lamport_order[i], kNone});
  }
  return calls;
}

std::set<Index> WorkspacesOf(const ExecVersion& version) {
  std::set<Index> workspaces;
  for (const Call& call : version.calls) workspaces.insert(call.workspace);
  workspaces.erase(kNone);
  return workspaces;
}

struct Runs {
  Index first = kNone;  // replay
  uint64_t count = 0;
};

// By version.
std::vector<Runs> RunsOf(const Model& model, const Exec& exec) {
  std::vector<Runs> runs(exec.versions.size());
  for (const Index index : exec.replays) {
    const Replay& replay = model.replays[index];
    if (replay.status != 0 || replay.version >= runs.size()) continue;
    if (runs[replay.version].count++ == 0) runs[replay.version].first = index;
  }
  return runs;
}

Finding DescribeNodes(const Model& model, Index workspace, Index replay, const Operation& first,
                      const Operation& second) {
  Finding finding = NewFinding(model, workspace);
  PlaceAtReplay(model, workspace, replay, &finding);
  finding.place.nodes = {NodeOf(model, first), NodeOf(model, second)};
  finding.summary = "Nodes " + std::to_string(first.node) + " and " + std::to_string(second.node) +
                    " of one graph are Lamport kernels on the same workspace, and no path of the "
                    "graph orders them: they may run at the same time.";
  const Graph& graph = model.graphs[finding.place.graph];
  finding.evidence.push_back("all " + Count(graph.nodes.size(), "node") + " and " +
                             Count(graph.edges.size(), "edge") +
                             " of the graph are recorded; none of its paths joins the two nodes");
  finding.actions.insert(
      finding.actions.begin(),
      "Capture both calls on one stream, or join the forked streams between them.");
  return finding;
}

// The first two calls in a row of the workspace that no path joins.
void CheckPaths(const Model& model, const ExecVersion& version, Index workspace, const Runs& runs,
                Detection* detection) {
  const GraphPaths paths(model.graphs[version.graph]);
  const std::vector<Operation> calls = CallsOn(version, workspace);
  for (size_t i = 1; i < calls.size(); ++i) {
    if (paths.Reaches(calls[i - 1].node, calls[i].node)) continue;
    Finding finding = DescribeNodes(model, workspace, runs.first, calls[i - 1], calls[i]);
    finding.occurrences = runs.count;
    if (version.assumed) finding.confidence = Confidence::kLikely;
    detection->findings.push_back(std::move(finding));
    return;
  }
}

void CheckGraphs(const Model& model, Detection* detection) {
  std::set<std::pair<Index, Index>> done;  // graph, workspace
  for (const Exec& exec : model.execs) {
    if (model.processes[exec.process].definitions_lost) continue;
    const std::vector<Runs> runs = RunsOf(model, exec);
    for (Index v = 0; v < exec.versions.size(); ++v) {
      const ExecVersion& version = exec.versions[v];
      if (version.graph == kNone || !model.graphs[version.graph].complete) continue;
      if (runs[v].count == 0) continue;
      for (const Index workspace : WorkspacesOf(version)) {
        if (!done.insert({version.graph, workspace}).second) continue;
        CheckPaths(model, version, workspace, runs[v], detection);
      }
    }
  }
}

// ---------------------------------------------------------------- between launches

Launch LaunchOf(const Turn& turn) { return {turn.replay, turn.eager}; }

std::string Name(const Model& model, const Turn& turn) {
  const std::string stream =
      turn.stream == kNone ? "?" : std::to_string(model.streams[turn.stream].id);
  if (turn.replay == kNone) return "eager call on stream " + stream;
  const Replay& replay = model.replays[turn.replay];
  return "replay " + std::to_string(replay.number) + " of exec " +
         std::to_string(model.execs[replay.exec].id) + " on stream " + stream;
}

// One clock: hosts may share a name, and containers of one host have several.
bool SameHost(const Model& model, Index a, Index b) {
  const Process& first = model.processes[a];
  const Process& second = model.processes[b];
  if (first.boot.empty() && second.boot.empty()) return first.hostname == second.hostname;
  return first.boot == second.boot;
}

// A collective cannot end before its last rank has launched it.
std::string PeerCameLater(const Model& model, Index workspace, const Turn& first,
                          const Turn& second) {
  const Workspace& own = model.workspaces[workspace];
  if (own.communicator == kNone || first.ops == 0) return "";
  if (model.communicators[own.communicator].guessed) return "";
  for (const Index peer : model.communicators[own.communicator].members) {
    if (peer == kNone || peer == workspace) continue;
    if (!SameHost(model, own.process, model.workspaces[peer].process)) continue;
    const auto operation = FindOperation(model, peer, first.before + first.ops - 1);
    if (!operation) continue;
    const uint64_t launched = LaunchTime(model, {operation->replay, operation->eager});
    if (launched <= second.time_ns) continue;
    return RankName(model, peer) + " launched its part of the first only " +
           std::to_string((launched - second.time_ns) / 1000) +
           " us after this rank had launched the second: the first cannot have been over";
  }
  return "";
}

std::string FirstNeverEnded(const Model& model, const Turn& first) {
  for (const Hang& hang : model.hangs) {
    if (hang.ended || hang.replay_index == kNone || hang.replay_index != first.replay) continue;
    return "the first never completed: it is the hung replay";
  }
  return "";
}

std::string GpuSawItEarlier(const Model& model, Index workspace, const Turn& first,
                            const Turn& second) {
  if (first.replay == kNone || second.replay == kNone) return "";
  if (!PastItsCollectives(model, first.replay)) return "";
  uint64_t first_end = 0;
  for (const Index i : model.replays[first.replay].snapshots) {
    const Snapshot& snapshot = model.snapshots[i];
    if (snapshot.workspace == workspace) first_end = std::max(first_end, snapshot.gpu_ns);
  }
  for (const Index i : model.replays[second.replay].snapshots) {
    const Snapshot& snapshot = model.snapshots[i];
    if (snapshot.workspace != workspace || snapshot.gpu_ns == 0) continue;
    if (snapshot.gpu_ns >= first_end) continue;
    return "the GPU passed a snapshot of the second " +
           std::to_string((first_end - snapshot.gpu_ns) / 1000) + " us before the first had ended";
  }
  return "";
}

bool NonBlocking(const Model& model, Index stream) {
  return stream != kNone && (model.streams[stream].flags & trace::kStreamNonBlocking) != 0;
}

Finding DescribeLaunches(const Model& model, Index workspace, const Turn& first, const Turn& second,
                         const std::vector<std::string>& proof) {
  Finding finding = NewFinding(model, workspace);
  PlaceAtReplay(model, workspace, first.replay != kNone ? first.replay : second.replay, &finding);
  finding.place.operation = first.before;
  finding.summary = "The " + Name(model, first) + " and the " + Name(model, second) +
                    " use the same workspace; nothing orders them, and the first was not over when "
                    "the second was launched.";
  finding.evidence.push_back("no event, wait or synchronisation between the two was recorded");
  finding.evidence.insert(finding.evidence.end(), proof.begin(), proof.end());
  if (!NonBlocking(model, first.stream) || !NonBlocking(model, second.stream)) {
    finding.confidence = Confidence::kLikely;
    finding.missing.push_back(
        "not both streams are known to be non-blocking: work on the legacy default stream, which "
        "is "
        "not recorded unless it is a collective, could order them");
  }
  return finding;
}

void CheckLaunches(const Model& model, Index workspace, const LaunchOrder& order,
                   Detection* detection) {
  const std::vector<Turn>& timeline = model.workspaces[workspace].timeline;
  std::optional<Finding> finding;
  uint64_t unproven = 0;
  for (size_t i = 1; i < timeline.size(); ++i) {
    const Turn& first = timeline[i - 1];
    const Turn& second = timeline[i];
    if (order.Ordered(LaunchOf(first), LaunchOf(second))) continue;
    std::vector<std::string> proof{PeerCameLater(model, workspace, first, second),
                                   FirstNeverEnded(model, first),
                                   GpuSawItEarlier(model, workspace, first, second)};
    std::erase(proof, "");
    if (proof.empty()) {
      ++unproven;
    } else if (finding) {
      ++finding->occurrences;
    } else {
      finding = DescribeLaunches(model, workspace, first, second, proof);
    }
  }
  if (finding) detection->findings.push_back(std::move(*finding));
  if (unproven > 0) {
    detection->unchecked.push_back(
        "C9, " + RankName(model, workspace) + ": " + Count(unproven, "pair") +
        " of launches on different streams without a recorded order; synchronisation that is not "
        "recorded (cudaMemcpy, the driver's own calls) may order them");
  }
}

bool UsesSeveralStreams(const Workspace& workspace) {
  return std::ranges::any_of(workspace.timeline, [&](const Turn& turn) {
    return turn.stream != workspace.timeline.front().stream;
  });
}

// ---------------------------------------------------------------- arrivals

// The most arrivals that any of the calls waits for; 0 where one of them is not known.
uint32_t MostExpected(const StuckCalls& stuck) {
  uint32_t most = 0;
  for (const Operation& operation : stuck.operations) {
    if (!operation.call->advances()) continue;
    if (operation.call->expected_arrivals == 0) return 0;
    most = std::max(most, operation.call->expected_arrivals);
  }
  return most;
}

bool LastSnapshotWasQuiet(const Model& model, Index workspace) {
  std::vector<Observation> own;
  const std::vector<Observation>& observations = Observed(model, workspace, &own);
  return !observations.empty() && observations.back().flags.arrivals == 0u;
}

void CheckArrivals(const Model& model, const RankState& state, Detection* detection) {
  if (state.progress == Progress::kUnreadable || state.progress == Progress::kMoving) return;
  const StuckCalls stuck = FindStuckCalls(model, state);
  const uint32_t expected = MostExpected(stuck);
  if (expected == 0 || state.flags.arrivals.value_or(0) <= expected) return;
  Finding finding = NewFinding(model, state.workspace);
  finding.hangs = {state.hang};
  PlaceAtHang(model, state, stuck, &finding);
  finding.summary = "The arrivals word counts " + std::to_string(*state.flags.arrivals) +
                    ", but the launch that is stuck has only " + std::to_string(expected) +
                    ": another launch has counted on the same word.";
  AddFlagEvidence(model, state, &finding);
  if (!LastSnapshotWasQuiet(model, state.workspace)) {
    finding.confidence = Confidence::kPossible;
    finding.missing.push_back(
        "no snapshot shows that the arrivals word was 0 before: it may be a residue (C3b)");
  }
  detection->findings.push_back(std::move(finding));
}

}  // namespace

Detection DetectC9(const Model& model) {
  Detection detection;
  CheckGraphs(model, &detection);
  std::map<Index, std::unique_ptr<LaunchOrder>> own;
  for (Index workspace = 0; workspace < model.workspaces.size(); ++workspace) {
    if (!UsesSeveralStreams(model.workspaces[workspace])) continue;
    const Index process = model.workspaces[workspace].process;
    CheckLaunches(model, workspace, OrderOf(model, process, &own[process]), &detection);
  }
  for (Index hang = 0; hang < model.hangs.size(); ++hang) {
    if (model.hangs[hang].ended) continue;
    for (const RankState& state : StatesOf(model, hang)) CheckArrivals(model, state, &detection);
  }
  return detection;
}

}  // namespace lamplight
