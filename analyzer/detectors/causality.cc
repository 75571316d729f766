// Fixed point over "waits for": each round explains hangs by what earlier rounds have explained.
#include "analyzer/detectors/causality.h"

#include <algorithm>
#include <optional>
#include <set>

#include "analyzer/detectors/hang_queue.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

template <class T>
void AppendNew(std::vector<T>* into, const std::vector<T>& from) {
  for (const T& value : from) {
    if (std::ranges::find(*into, value) == into->end()) into->push_back(value);
  }
}

bool Mergeable(const Finding& a, const Finding& b) {
  if (a.hazard != b.hazard || a.title != b.title || a.confidence != b.confidence ||
      a.severity != b.severity) {
    return false;
  }
  if (a.place.communicator == kNone) {
    return b.place.communicator == kNone && a.place.process == b.place.process &&
           a.severity != Severity::kAdvisory;
  }
  return a.place.communicator == b.place.communicator;
}

void MergeInto(Finding* into, const Finding& from) {
  std::vector<uint32_t> new_ranks;
  for (const uint32_t rank : from.ranks) {
    if (std::ranges::find(into->ranks, rank) == into->ranks.end()) new_ranks.push_back(rank);
  }
  if (!new_ranks.empty()) into->summary += " The same on " + RankList(new_ranks) + ".";
  AppendNew(&into->ranks, from.ranks);
  std::ranges::sort(into->ranks);
  into->slots.insert(into->slots.end(), from.slots.begin(), from.slots.end());
  AppendNew(&into->evidence, from.evidence);
  AppendNew(&into->missing, from.missing);
  AppendNew(&into->actions, from.actions);
  AppendNew(&into->hangs, from.hangs);
  AppendNew(&into->troubles, from.troubles);
  into->occurrences = std::max(into->occurrences, from.occurrences);
}

// ---------------------------------------------------------------- attribution

bool Explains(const Finding& finding, Index hang) {
  if (std::ranges::find(finding.hangs, hang) != finding.hangs.end()) return true;
  return std::ranges::any_of(finding.consequences,
                             [&](const Consequence& c) { return c.hang == hang; });
}

Finding* Explanation(std::vector<Finding>* findings, Index hang) {
  const auto found = std::ranges::find_if(
      *findings, [&](const Finding& finding) { return Explains(finding, hang); });
  return found == findings->end() ? nullptr : &*found;
}

// Hazards that leave wrong state behind, so that any rank of the group may hang later. Arrivals
// that a kernel of ours found left over it has taken off again.
bool CorruptsState(const Finding& finding) {
  const bool healed = finding.hazard == "C3b" && !finding.troubles.empty();
  return finding.hazard == "C3" || (finding.hazard == "C3b" && !healed) || finding.hazard == "C9";
}

// Whether others may wait for ever for a rank that the finding names: it hangs itself, it has wrong
// state, or its kernel has refused or given up a call.
bool HoldsUpOthers(const Finding& finding) {
  return finding.severity == Severity::kHang || CorruptsState(finding) ||
         (finding.severity == Severity::kSilent &&
          (finding.hazard == "C4" || finding.hazard == "C10"));
}

struct Link {
  Finding* finding = nullptr;
  std::string text;
};

// A hang of the rank that the finding explains, where its cause is another rank's.
bool ExplainsHangOf(const Model& model, const Finding& finding, Index communicator, uint32_t rank) {
  if (communicator == kNone) return false;
  const auto is_of = [&](Index workspace) {
    return model.workspaces[workspace].communicator == communicator &&
           model.workspaces[workspace].rank == rank;
  };
  return std::ranges::any_of(finding.hangs, [&](Index hang) {
    return std::ranges::any_of(WorkspacesOf(model, hang), is_of);
  });
}

bool IsRankOf(const Model& model, const Finding& finding, Index communicator, uint32_t rank) {
  if (finding.place.communicator == communicator &&
      std::ranges::find(finding.ranks, rank) != finding.ranks.end()) {
    return true;
  }
  if (ExplainsHangOf(model, finding, communicator, rank)) return true;
  for (const Consequence& consequence : finding.consequences) {
    if (consequence.rank == rank && finding.place.communicator == communicator) return true;
  }
  // A stall without a workspace names only its process.
  if (communicator == kNone || finding.place.process == kNone || !finding.ranks.empty())
    return false;
  const std::vector<Index>& members = model.communicators[communicator].members;
  return rank < members.size() && members[rank] != kNone &&
         model.workspaces[members[rank]].process == finding.place.process;
}

Link LinkByQueue(const Model& model, Index hang, std::vector<Finding>* findings) {
  const Index front = HangInFront(model, hang);
  if (front == kNone) return {};
  Finding* finding = Explanation(findings, front);
  if (finding == nullptr) return {};
  return {finding, ProcessName(model, model.hangs[hang].process) +
                       ": a later launch is queued behind the one that hangs"};
}

Link LinkByWait(const Model& model, const RankState& state, std::vector<Finding>* findings) {
  const Workspace& own = model.workspaces[state.workspace];
  if (state.progress != Progress::kWaiting) return {};
  for (const uint32_t peer : state.AbsentPeers(own.rank)) {
    for (Finding& finding : *findings) {
      if (!HoldsUpOthers(finding)) continue;
      if (!IsRankOf(model, finding, own.communicator, peer)) continue;
      return {&finding, RankName(model, state.workspace) + " waits for words from rank " +
                            std::to_string(peer)};
    }
  }
  return {};
}

Link LinkByGroup(const Model& model, const RankState& state, std::vector<Finding>* findings) {
  const Index communicator = model.workspaces[state.workspace].communicator;
  if (communicator == kNone) return {};
  for (Finding& finding : *findings) {
    if (finding.place.communicator != communicator) continue;
    if (CorruptsState(finding)) {
      return {&finding, RankName(model, state.workspace) +
                            " hangs after it, on the same workspace "
                            "group"};
    }
    if (state.progress == Progress::kUnreadable && finding.severity == Severity::kHang &&
        finding.confidence != Confidence::kPossible) {
      return {&finding, RankName(model, state.workspace) +
                            " hangs in the same group; its own evidence could not be read (" +
                            state.why + ")"};
    }
  }
  return {};
}

Link FindLink(const Model& model, Index hang, std::vector<Finding>* findings) {
  if (Link link = LinkByQueue(model, hang, findings); link.finding != nullptr) return link;
  const std::vector<RankState> states = StatesOf(model, hang);
  for (const RankState& state : states) {
    if (Link link = LinkByWait(model, state, findings); link.finding != nullptr) return link;
  }
  for (const RankState& state : states) {
    if (Link link = LinkByGroup(model, state, findings); link.finding != nullptr) return link;
  }
  return {};
}

void AddConsequence(const Model& model, Index hang, const Link& link) {
  Consequence consequence;
  consequence.process = model.hangs[hang].process;
  consequence.hang = hang;
  consequence.text = link.text;
  if (model.hangs[hang].workspace != kNone) {
    consequence.rank = model.workspaces[model.hangs[hang].workspace].rank;
  }
  link.finding->consequences.push_back(std::move(consequence));
}

}  // namespace

std::vector<Finding> Merge(std::vector<Finding> findings) {
  std::vector<Finding> merged;
  for (Finding& finding : findings) {
    const auto same = std::ranges::find_if(
        merged, [&](const Finding& other) { return Mergeable(other, finding); });
    if (same == merged.end()) {
      merged.push_back(std::move(finding));
    } else {
      MergeInto(&*same, finding);
    }
  }
  return merged;
}

std::vector<Index> Attribute(const Model& model, std::vector<Finding>* findings) {
  std::vector<Index> open;
  for (Index hang = 0; hang < model.hangs.size(); ++hang) {
    if (!model.hangs[hang].ended && Explanation(findings, hang) == nullptr) open.push_back(hang);
  }
  for (bool progress = true; progress;) {
    progress = false;
    std::vector<Index> still_open;
    for (const Index hang : open) {
      const Link link = FindLink(model, hang, findings);
      if (link.finding == nullptr) {
        still_open.push_back(hang);
        continue;
      }
      AddConsequence(model, hang, link);
      progress = true;
    }
    open = std::move(still_open);
  }
  return open;
}

}  // namespace lamplight
