// Carries flag snapshots from one device's ring into the trace, on the drain thread.
#pragma once

#include "shim/graphs.h"
#include "shim/recorder/recorder.h"
#include "shim/snapshot_ring.h"

namespace lamplight::shim {

class SnapshotDrain final : public DrainSource {
 public:
  SnapshotDrain(SnapshotRing& ring, const Graphs& graphs) : ring_(ring), graphs_(graphs) {}

  void Drain(Recorder& recorder) override;

 private:
  SnapshotRing& ring_;
  const Graphs& graphs_;
  uint64_t counted_drops_ = 0;
};

}  // namespace lamplight::shim
