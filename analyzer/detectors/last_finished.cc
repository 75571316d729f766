// From a finding's group, or the workspaces of its hangs, to the newest snapshot of each.
#include "analyzer/detectors/last_finished.h"

#include <set>

#include "analyzer/detectors/hang_state.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

std::set<Index> WorkspacesOf(const Model& model, const Finding& finding) {
  std::set<Index> workspaces;
  if (finding.place.communicator != kNone) {
    const std::vector<Index>& members = model.communicators[finding.place.communicator].members;
    workspaces.insert(members.begin(), members.end());
  }
  for (const Index hang : finding.hangs) workspaces.insert(model.hangs[hang].workspace);
  workspaces.erase(kNone);
  return workspaces;
}

LastFinishedCall Describe(const Model& model, Index workspace, const LastFinished& last) {
  LastFinishedCall call;
  call.rank = model.workspaces[workspace].rank;
  call.process = model.workspaces[workspace].process;
  call.node = NodeOf(model, last.operation);
  call.operation = last.operation.op;
  call.gpu_ns = last.gpu_ns;
  if (last.operation.replay == kNone) return call;
  const Replay& replay = model.replays[last.operation.replay];
  call.exec = replay.exec;
  call.replay = replay.number;
  return call;
}

}  // namespace

void AddLastFinished(const Model& model, Finding* finding) {
  for (const Index workspace : WorkspacesOf(model, *finding)) {
    const std::optional<LastFinished> last = LastToFinish(model, workspace);
    if (last) finding->last_finished.push_back(Describe(model, workspace, *last));
  }
}

}  // namespace lamplight
