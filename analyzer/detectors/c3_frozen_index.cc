// The proof: index minus operation number, modulo three, is one constant wherever the host passes
// the index afresh. A node for which it changes from replay to replay names a generation of the
// past.
#include "analyzer/detectors/c3_frozen_index.h"

#include <algorithm>
#include <map>
#include <set>

#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

constexpr uint64_t kPeriod = protocol::kGenerations;
constexpr size_t kShown = 4;  // uses that the evidence lists

uint32_t PhaseOf(const Operation& operation) {
  const uint64_t index = operation.call->index_argument % kPeriod;
  return static_cast<uint32_t>((index + kPeriod - operation.op % kPeriod) % kPeriod);
}

// Every call of a workspace whose generation the host chose.
struct IndexUses {
  std::vector<Operation> eager;
  std::map<std::pair<Index, uint32_t>, std::vector<Operation>> by_node;  // exec, node
  std::set<uint32_t> indices;
};

IndexUses Collect(const Model& model, Index workspace) {
  IndexUses uses;
  ForEachOperation(model, workspace, [&](const Operation& operation) {
    if (!operation.call->host_index()) return;
    uses.indices.insert(operation.call->index_argument);
    if (operation.replay == kNone) {
      uses.eager.push_back(operation);
    } else {
      uses.by_node[{model.replays[operation.replay].exec, operation.node}].push_back(operation);
    }
  });
  return uses;
}

// The phase of the eager calls, where they agree.
std::optional<uint32_t> EagerPhase(const IndexUses& uses) {
  std::set<uint32_t> phases;
  for (const Operation& operation : uses.eager) phases.insert(PhaseOf(operation));
  if (phases.size() != 1) return std::nullopt;
  return *phases.begin();
}

struct Frozen {
  Index exec = kNone;
  std::vector<uint32_t> nodes;
  std::set<Index> stale_replays;
  std::vector<Operation> uses;  // of the first frozen node
  uint32_t phase = 0;           // what the uses should have
  uint64_t replays = 0;
};

// The frozen nodes of each exec.
std::vector<Frozen> FindFrozen(const IndexUses& uses) {
  std::map<Index, Frozen> by_exec;
  const std::optional<uint32_t> eager = EagerPhase(uses);
  for (const auto& [key, operations] : uses.by_node) {
    const uint32_t phase = eager.value_or(PhaseOf(operations.front()));
    std::set<Index> stale;
    for (const Operation& operation : operations) {
      if (PhaseOf(operation) != phase) stale.insert(operation.replay);
    }
    if (stale.empty()) continue;
    Frozen& frozen = by_exec[key.first];
    if (frozen.nodes.empty()) {
      frozen.exec = key.first;
      frozen.uses = operations;
      frozen.phase = phase;
    }
    frozen.nodes.push_back(key.second);
    frozen.replays = std::max<uint64_t>(frozen.replays, operations.size());
    frozen.stale_replays.insert(stale.begin(), stale.end());
  }
  std::vector<Frozen> all;
  for (auto& [exec, frozen] : by_exec) all.push_back(std::move(frozen));
  return all;
}

std::string UseLine(const Model& model, const Operation& operation, uint32_t phase) {
  const std::string who = operation.replay == kNone
                              ? "eager call"
                              : "replay " + std::to_string(model.replays[operation.replay].number) +
                                    ", node " + std::to_string(operation.node);
  const uint64_t due = (operation.op + phase) % kPeriod;
  const uint32_t used = operation.call->index_argument;
  return who + " is operation " + std::to_string(operation.op) + ": passes index " +
         std::to_string(used) +
         (used % kPeriod == due ? ", as due" : ", due is " + std::to_string(due));
}

void AddUses(const Model& model, const std::vector<Operation>& operations, uint32_t phase,
             Finding* finding) {
  for (size_t i = 0; i < std::min(operations.size(), kShown); ++i) {
    finding->evidence.push_back(UseLine(model, operations[i], phase));
  }
}

Finding Describe(const Model& model, Index workspace, const IndexUses& uses, const Frozen& frozen) {
  Finding finding;
  finding.hazard = "C3";
  finding.title = "Stale-index replay: the generation index is frozen in the graph";
  finding.severity = Severity::kSilent;
  finding.ranks = {model.workspaces[workspace].rank};
  const Index first = *frozen.stale_replays.begin();
  PlaceAtReplay(model, workspace, first, &finding);
  for (const Operation& operation : frozen.uses) {
    if (operation.replay != first) continue;
    finding.place.operation = operation.op;
    finding.place.nodes = {NodeOf(model, operation)};
  }
  finding.occurrences = frozen.stale_replays.size();
  finding.summary =
      "The kernel takes its generation index as an argument. The capture froze it, so " +
      std::to_string(frozen.stale_replays.size()) + " of " + Count(frozen.replays, "replay") +
      " worked on a generation that was not due: they may read data of an earlier call.";
  AddUses(model, uses.eager, frozen.phase, &finding);
  AddUses(model, frozen.uses, frozen.phase, &finding);
  if (frozen.nodes.size() > 1) {
    finding.evidence.push_back("the same holds for " + Count(frozen.nodes.size(), "node") +
                               " of this graph");
  }
  finding.actions = {
      "Let the kernel read its index from device memory and advance it there, as FlashInfer's "
      "kernels do with their flag words.",
      "Or set the argument anew before every launch with cudaGraphExecKernelNodeSetParams.",
      "Until then keep this kernel out of captured graphs. Results so far cannot be trusted.",
  };
  return finding;
}

void Check(const Model& model, Index workspace, Detection* detection) {
  const IndexUses uses = Collect(model, workspace);
  std::vector<Frozen> all = FindFrozen(uses);
  if (all.empty()) return;
  if (uses.indices.size() < 2) {
    detection->unchecked.push_back(
        "C3, " + RankName(model, workspace) + ": every call passes the same index " +
        std::to_string(*uses.indices.begin()) +
        "; no record shows that it ought to vary, so nothing is concluded from it");
    return;
  }
  for (const Frozen& frozen : all) {
    detection->findings.push_back(Describe(model, workspace, uses, frozen));
  }
}

}  // namespace

Detection DetectC3(const Model& model) {
  Detection detection;
  for (Index workspace = 0; workspace < model.workspaces.size(); ++workspace) {
    Check(model, workspace, &detection);
  }
  return detection;
}

}  // namespace lamplight
