// A tail snapshot follows the last Lamport node; where all calls journal, or leave marks, there is
// none.
#include "analyzer/replay_progress.h"

#include <algorithm>
#include <set>

namespace lamplight {
namespace {

// Of the marks on a workspace, the newest is recorded: those before it are there as well.
bool MarkedThrough(const ExecVersion& version, size_t call, const std::set<uint32_t>& told) {
  for (size_t i = call; i < version.calls.size(); ++i) {
    if (version.calls[i].workspace != version.calls[call].workspace) continue;
    if (version.calls[i].marks() && told.contains(version.lamport_order[i])) return true;
  }
  return false;
}

}  // namespace

bool PastItsCollectives(const Model& model, Index replay_index, uint64_t by_ns) {
  const Replay& replay = model.replays[replay_index];
  std::set<uint32_t> told;
  for (const Index index : replay.snapshots) {
    const Snapshot& snapshot = model.snapshots[index];
    if (snapshot.time_ns >= by_ns) continue;
    if (snapshot.place == trace::SnapshotPlace::kTail) return true;
    if (snapshot.place == trace::SnapshotPlace::kNode) told.insert(snapshot.node);
  }
  if (told.empty() || replay.version >= model.execs[replay.exec].versions.size()) return false;
  const ExecVersion& version = model.execs[replay.exec].versions[replay.version];
  for (size_t i = 0; i < version.calls.size(); ++i) {
    const Call& call = version.calls[i];
    if (!call.advances()) continue;
    if (call.marks() && MarkedThrough(version, i, told)) continue;
    if (!call.journals() || !told.contains(version.lamport_order[i])) return false;
  }
  return true;
}

}  // namespace lamplight
