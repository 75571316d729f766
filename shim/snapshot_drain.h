// Carries flag snapshots from one device's ring into the trace, on the drain thread: those of the
// shim's own nodes, and those that our kernels leave themselves.
//
// Where all calls of a graph journal, a replay that has come as a whole is written as one tail
// snapshot for each workspace, unless every node is asked for: the event ring would otherwise hold
// seconds instead of minutes. What is still under way at the end of a round is written node by
// node.
#pragma once

#include <map>
#include <vector>

#include "shim/graphs.h"
#include "shim/recorder/recorder.h"
#include "shim/snapshot_ring.h"
#include "shim/workspaces.h"

namespace lamplight::shim {

class SnapshotDrain final : public DrainSource {
 public:
  SnapshotDrain(SnapshotRing& ring, const Graphs& graphs, const Workspaces& workspaces,
                bool every_node)
      : ring_(ring), graphs_(graphs), workspaces_(workspaces), every_node_(every_node) {}

  void Drain(Recorder& recorder) override;

 private:
  void TakeEager(const SnapshotRecord& slot, Recorder& recorder);
  void TakeOfExec(const SnapshotRecord& slot, Recorder& recorder);
  void TakeOfNode(Exec& exec, const trace::Snapshot& record, Recorder& recorder);
  static void WriteTails(std::vector<trace::Snapshot>* replay, Recorder& recorder);
  static void WriteAll(std::vector<trace::Snapshot>* replay, Recorder& recorder);
  void WriteAll(Recorder& recorder);
  Exec* Find(uint32_t exec_id);

  SnapshotRing& ring_;
  const Graphs& graphs_;
  const Workspaces& workspaces_;
  const bool every_node_;
  uint64_t counted_drops_ = 0;
  // Only while Drain runs.
  Exec* last_ = nullptr;  // consecutive snapshots mostly belong to one exec
  // Execs whose nodes have told of themselves, and what is not yet written of their newest replay.
  std::map<Exec*, std::vector<trace::Snapshot>> journals_;
};

}  // namespace lamplight::shim
