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
constexpr size_t kShownEager = 2;  // uses that the evidence lists
constexpr size_t kShownStale = 3;

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
  std::vector<Operation> uses;  // of its first frozen node
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

std::string UseLine(const Model& model, const Operation& operation) {
  const std::string who = operation.replay == kNone
                              ? "eager call"
                              : "replay " + std::to_string(model.replays[operation.replay].number) +
                                    ", node " + std::to_string(operation.node);
  return who + ": operation " + std::to_string(operation.op) + ", index argument " +
         std::to_string(operation.call->index_argument) + ", generation " +
         std::to_string(operation.call->index_argument % kPeriod);
}

void AddUses(const Model& model, const IndexUses& uses, const Frozen& frozen, Finding* finding) {
  if (EagerPhase(uses)) {
    for (size_t i = 0; i < std::min(uses.eager.size(), kShownEager); ++i) {
      finding->evidence.push_back(UseLine(model, uses.eager[i]));
    }
  } else {
    finding->evidence.push_back(UseLine(model, frozen.uses.front()));
  }
  size_t shown = 0;
  for (const Operation& operation : frozen.uses) {
    if (PhaseOf(operation) == frozen.phase || shown == kShownStale) continue;
    finding->evidence.push_back(UseLine(model, operation) + "; due is generation " +
                                std::to_string((operation.op + frozen.phase) % kPeriod));
    ++shown;
  }
}

uint64_t StaleReplays(const std::vector<Frozen>& all) {
  uint64_t sum = 0;
  for (const Frozen& frozen : all) sum += frozen.stale_replays.size();
  return sum;
}

uint64_t Replays(const std::vector<Frozen>& all) {
  uint64_t sum = 0;
  for (const Frozen& frozen : all) sum += frozen.replays;
  return sum;
}

void PlaceAtFirstStale(const Model& model, Index workspace, const Frozen& frozen,
                       Finding* finding) {
  for (const Operation& operation : frozen.uses) {
    if (PhaseOf(operation) == frozen.phase) continue;
    PlaceAtReplay(model, workspace, operation.replay, finding);
    finding->place.operation = operation.op;
    finding->place.nodes = {NodeOf(model, operation)};
    return;
  }
}

// What an exec passes that may have been updated is not known; that it does not change is.
bool OnlyTheValueTells(const Model& model, const Frozen& frozen) {
  return IsAssumed(model, frozen.uses.front()) &&
         std::ranges::all_of(frozen.uses, [&](const Operation& operation) {
           return PhaseOf(operation) == PhaseOf(frozen.uses.front());
         });
}

Finding Describe(const Model& model, Index workspace, const IndexUses& uses,
                 const std::vector<Frozen>& all) {
  const Frozen& frozen = all.front();
  Finding finding;
  finding.hazard = "C3";
  finding.title = "Stale-index replay: the generation index is frozen in the graph";
  finding.severity = Severity::kSilent;
  finding.ranks = {model.workspaces[workspace].rank};
  PlaceAtFirstStale(model, workspace, frozen, &finding);
  finding.occurrences = StaleReplays(all);
  if (OnlyTheValueTells(model, frozen)) finding.confidence = Confidence::kLikely;
  finding.summary =
      "The kernel takes its generation index as an argument. The capture froze it, so " +
      std::to_string(finding.occurrences) + " of " + Count(Replays(all), "replay") +
      " worked on a generation that was not due: they may read data of an earlier call.";
  AddUses(model, uses, frozen, &finding);
  finding.evidence.push_back("frozen in " + Count(all.size(), "exec") + ", " +
                             Count(frozen.nodes.size(), "node") + " of the first");
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
  detection->findings.push_back(Describe(model, workspace, uses, all));
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
