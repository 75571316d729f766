// Order between hangs: same stream first, the launch order of the process otherwise.
#include "analyzer/detectors/hang_queue.h"

#include <algorithm>
#include <memory>

#include "analyzer/detectors/hang_state.h"
#include "analyzer/detectors/happens_before.h"
#include "analyzer/detectors/memo.h"

namespace lamplight {
namespace {

// Both members kNone: the record of the launch is lost.
Launch LaunchOf(const Model& model, const Hang& hang) {
  if (hang.exec != kNone) return {hang.replay_index, kNone};
  if (hang.workspace == kNone) return {};
  for (const Turn& turn : model.workspaces[hang.workspace].timeline) {
    if (turn.eager != kNone && turn.before == hang.op_before) return {kNone, turn.eager};
  }
  return {};
}

bool IsKnown(const Launch& launch) { return launch.replay != kNone || launch.eager != kNone; }

bool InFront(const Model& model, const Hang& first, const Hang& second, const LaunchOrder& order) {
  if (first.launched_ns >= second.launched_ns) return false;
  if (first.stream != kNone && first.stream == second.stream) return true;
  const Launch earlier = LaunchOf(model, first);
  const Launch later = LaunchOf(model, second);
  return IsKnown(earlier) && IsKnown(later) && order.Ordered(earlier, later);
}

Index FindInFront(const Model& model, Index index) {
  const Hang& hang = model.hangs[index];
  std::vector<Index> others;
  for (Index i = 0; i < model.hangs.size(); ++i) {
    const Hang& other = model.hangs[i];
    if (i != index && !other.ended && other.process == hang.process) others.push_back(i);
  }
  if (others.empty()) return kNone;
  std::unique_ptr<LaunchOrder> own;
  const LaunchOrder& order = OrderOf(model, hang.process, &own);
  Index front = kNone;
  for (const Index i : others) {
    if (!InFront(model, model.hangs[i], hang, order)) continue;
    if (front == kNone || model.hangs[i].launched_ns < model.hangs[front].launched_ns) front = i;
  }
  return front;
}

}  // namespace

Index HangInFront(const Model& model, Index index) {
  Memo* const memo = Memo::Of(model);
  if (memo == nullptr) return FindInFront(model, index);
  const auto known = memo->in_front.find(index);
  if (known != memo->in_front.end()) return known->second;
  return memo->in_front[index] = FindInFront(model, index);
}

std::vector<Index> HangsWaitingFor(const Model& model, Index workspace) {
  std::vector<Index> waiting;
  const Workspace& own = model.workspaces[workspace];
  if (own.communicator == kNone) return waiting;
  for (Index hang = 0; hang < model.hangs.size(); ++hang) {
    if (model.hangs[hang].ended) continue;
    for (const RankState& state : StatesOf(model, hang)) {
      const Workspace& other = model.workspaces[state.workspace];
      if (other.communicator != own.communicator || state.workspace == workspace) continue;
      if (state.progress != Progress::kWaiting) continue;
      const std::vector<uint32_t> absent = state.AbsentPeers(other.rank);
      if (std::ranges::find(absent, own.rank) != absent.end()) waiting.push_back(hang);
    }
  }
  return waiting;
}

}  // namespace lamplight
