// The shim has compared addresses when it read the graph; a graph counts once it has run.
#include "analyzer/detectors/c8_early_read.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <map>
#include <tuple>

#include "analyzer/detectors/advice.h"
#include "analyzer/detectors/history.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

using Relation = trace::EarlyRelation;

struct Runs {
  uint64_t count = 0;
  Index first = kNone;
};

std::map<Index, Runs> RunsByGraph(const Model& model) {
  std::map<Index, Runs> runs;
  for (Index i = 0; i < model.replays.size(); ++i) {
    const Replay& replay = model.replays[i];
    const ExecVersion* version = replay.status == 0 ? VersionOf(model, replay) : nullptr;
    if (version == nullptr || version->graph == kNone) continue;
    Runs& of_graph = runs[version->graph];
    if (of_graph.count++ == 0) of_graph.first = i;
  }
  return runs;
}

// `positions` are known to be there; they are dense unless nodes were lost.
const Node& At(const Graph& graph, uint32_t position) {
  return *std::ranges::lower_bound(graph.nodes, position, {}, &Node::position);
}

std::string NodeName(const Model& model, const Graph& graph, uint32_t position) {
  const Node& node = At(graph, position);
  return "node " + std::to_string(position) +
         (node.call.lamport() ? " (" + CallName(model, node.call) + ")" : "");
}

std::string ReadText(const Model& model, const Graph& graph, const EarlyRead& read) {
  char range[64];
  std::snprintf(range, sizeof range, "%" PRIu64 " bytes at 0x%" PRIx64, read.bytes, read.address);
  return "node " + std::to_string(read.node) + " reads its " +
         (read.operand == trace::EarlyOperand::kGamma ? "weights (" : "residual (") + range +
         ") before it waits; " + NodeName(model, graph, read.from) +
         ", in front of it by a programmatic edge, " +
         (read.relation == Relation::kWrites ? "writes there"
                                             : "has an address of it among its parameters");
}

Finding Proven() {
  Finding finding;
  finding.title = "A call reads what the kernel in front of it still writes";
  finding.severity = Severity::kSilent;
  finding.summary =
      "The kernel reads its residual or weights before it waits for the kernel in front of it, "
      "which writes them and lets it start early: it may use the old contents.";
  return finding;
}

Finding Possible() {
  Finding finding;
  finding.title = "A call may read what the kernel in front of it still writes";
  finding.severity = Severity::kAdvisory;
  finding.confidence = Confidence::kPossible;
  finding.summary =
      "The kernel reads its residual or weights before it waits for the kernel in front of it, "
      "which has their address and may let it start early.";
  finding.missing = {
      "whether that kernel writes there, or only reads; and whether it lets the "
      "next one start before it has ended"};
  return finding;
}

// What one rank has of one kind: many graphs are alike.
struct Group {
  Index graph = kNone;  // of the first read
  const EarlyRead* read = nullptr;
  Index first_replay = kNone;
  Index newest_graph = kNone;
  uint64_t replays = 0;
  uint64_t reads = 0;
};
using Groups = std::map<std::tuple<Index, Index, Relation>, Group>;  // process, workspace

void AddReads(const Model& model, Index index, const Runs& runs, Groups* groups) {
  const Graph& graph = model.graphs[index];
  for (const EarlyRead& read : graph.early_reads) {
    if (read.relation != Relation::kWrites && read.relation != Relation::kNames) continue;
    const Index workspace = At(graph, read.node).call.workspace;
    Group& group = (*groups)[{graph.process, workspace, read.relation}];
    if (group.reads++ == 0) {
      group.graph = index;
      group.read = &read;
      group.first_replay = runs.first;
    }
    if (group.newest_graph != index) group.replays += runs.count;
    group.newest_graph = index;
  }
}

Groups GroupReads(const Model& model) {
  Groups groups;
  for (const auto& [index, runs] : RunsByGraph(model)) AddReads(model, index, runs, &groups);
  return groups;
}

void Place(const Model& model, const Group& group, Finding* finding) {
  const Call& call = At(model.graphs[group.graph], group.read->node).call;
  if (call.workspace != kNone) {
    PlaceAtReplay(model, call.workspace, group.first_replay, finding);
    finding->ranks = {model.workspaces[call.workspace].rank};
  }
  finding->place.process = model.graphs[group.graph].process;
  finding->place.graph = group.graph;
  Operation operation;
  operation.call = &call;
  operation.node = group.read->node;
  finding->place.nodes = {NodeOf(model, operation)};
}

Finding Describe(const Model& model, const Group& group, Relation relation) {
  const Graph& graph = model.graphs[group.graph];
  Finding finding = relation == Relation::kWrites ? Proven() : Possible();
  finding.hazard = "C8";
  finding.occurrences = group.replays;
  Place(model, group, &finding);
  const std::string who =
      (finding.place.workspace == kNone ? ProcessName(model, graph.process)
                                        : RankName(model, finding.place.workspace)) +
      ": ";
  finding.evidence = {who + ReadText(model, graph, *group.read)};
  if (group.reads > 1) {
    finding.evidence.push_back(who + std::to_string(group.reads) +
                               " such reads in all graphs that have run");
  }
  finding.actions = AdviceOnEarlyReads(finding);
  return finding;
}

}  // namespace

Detection DetectC8(const Model& model) {
  Detection detection;
  for (const auto& [key, group] : GroupReads(model)) {
    detection.findings.push_back(Describe(model, group, std::get<Relation>(key)));
  }
  return detection;
}

}  // namespace lamplight
