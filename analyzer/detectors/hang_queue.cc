// Order between hangs: same stream first, the launch order of the process otherwise.
#include "analyzer/detectors/hang_queue.h"

#include <algorithm>

#include "analyzer/detectors/hang_state.h"
#include "analyzer/detectors/happens_before.h"

namespace lamplight {
namespace {

bool InFront(const Hang& first, const Hang& second, const LaunchOrder& order) {
  if (first.launched_ns >= second.launched_ns) return false;
  if (first.stream != kNone && first.stream == second.stream) return true;
  if (first.replay_index == kNone || second.replay_index == kNone) return false;
  return order.Ordered({first.replay_index, kNone}, {second.replay_index, kNone});
}

}  // namespace

Index HangInFront(const Model& model, Index index) {
  const Hang& hang = model.hangs[index];
  std::vector<Index> others;
  for (Index i = 0; i < model.hangs.size(); ++i) {
    const Hang& other = model.hangs[i];
    if (i != index && !other.ended && other.process == hang.process) others.push_back(i);
  }
  if (others.empty()) return kNone;
  const LaunchOrder order(model, hang.process);
  Index front = kNone;
  for (const Index i : others) {
    if (!InFront(model.hangs[i], hang, order)) continue;
    if (front == kNone || model.hangs[i].launched_ns < model.hangs[front].launched_ns) front = i;
  }
  return front;
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
