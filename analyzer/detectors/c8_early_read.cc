// The shim has compared addresses when it read the graph; a graph counts once it has run.
#include "analyzer/detectors/c8_early_read.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <map>

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

std::string NodeName(const Graph& graph, uint32_t position) {
  const Node& node = At(graph, position);
  return "node " + std::to_string(position) + (node.name.empty() ? "" : " (" + node.name + ")");
}

std::string ReadText(const Graph& graph, const EarlyRead& read) {
  char range[64];
  std::snprintf(range, sizeof range, "%" PRIu64 " bytes at 0x%" PRIx64, read.bytes, read.address);
  return "node " + std::to_string(read.node) + " reads its " +
         (read.operand == trace::EarlyOperand::kGamma ? "weights (" : "residual (") + range +
         ") before it waits; " + NodeName(graph, read.from) +
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

Finding Describe(const Model& model, Index graph_index, const Runs& runs, Relation relation) {
  const Graph& graph = model.graphs[graph_index];
  Finding finding = relation == Relation::kWrites ? Proven() : Possible();
  finding.hazard = "C8";
  finding.occurrences = runs.count;
  for (const EarlyRead& read : graph.early_reads) {
    if (read.relation != relation) continue;
    finding.evidence.push_back(ReadText(graph, read));
    if (!finding.place.nodes.empty()) continue;
    const Call& call = At(graph, read.node).call;
    if (call.workspace != kNone) {
      PlaceAtReplay(model, call.workspace, runs.first, &finding);
      finding.ranks = {model.workspaces[call.workspace].rank};
    }
    finding.place.process = graph.process;
    finding.place.graph = graph_index;
    Operation operation;
    operation.call = &call;
    operation.node = read.node;
    finding.place.nodes = {NodeOf(model, operation)};
  }
  finding.actions = {
      "Use FlashInfer 0.7.1 or later, whose kernels wait first.",
      "Until then launch this call without programmatic dependence (launch_with_pdl=False), or "
      "swap it (LAMPLIGHT_SWAP=1): our kernel waits before it reads anything."};
  return finding;
}

}  // namespace

Detection DetectC8(const Model& model) {
  Detection detection;
  for (const auto& [index, runs] : RunsByGraph(model)) {
    for (const Relation relation : {Relation::kWrites, Relation::kNames}) {
      const bool any =
          std::ranges::find(model.graphs[index].early_reads, relation, &EarlyRead::relation) !=
          model.graphs[index].early_reads.end();
      if (any) detection.findings.push_back(Describe(model, index, runs, relation));
    }
  }
  return detection;
}

}  // namespace lamplight
