// Carries flag snapshots from one device's ring into the trace, on the drain thread: those of the
// shim's own nodes, and those that our kernels leave there themselves.
#pragma once

#include <set>

#include "shim/graphs.h"
#include "shim/recorder/recorder.h"
#include "shim/snapshot_ring.h"
#include "shim/workspaces.h"

namespace lamplight::shim {

class SnapshotDrain final : public DrainSource {
 public:
  SnapshotDrain(SnapshotRing& ring, const Graphs& graphs, const Workspaces& workspaces)
      : ring_(ring), graphs_(graphs), workspaces_(workspaces) {}

  void Drain(Recorder& recorder) override;

 private:
  void TakeEager(const SnapshotRecord& slot, Recorder& recorder);
  void TakeOfExec(const SnapshotRecord& slot, Recorder& recorder);
  bool CountNode(Exec& exec, const trace::Snapshot& record);
  Exec* Find(uint32_t exec_id);

  SnapshotRing& ring_;
  const Graphs& graphs_;
  const Workspaces& workspaces_;
  uint64_t counted_drops_ = 0;
  // Only while Drain runs.
  Exec* last_ = nullptr;  // consecutive snapshots mostly belong to one exec
  std::set<Exec*> told_;  // execs of which nodes have told
};

}  // namespace lamplight::shim
