// Ring slots become trace records; tail snapshots also tell the watchdog how far an exec has come.
#include "shim/snapshot_drain.h"

#include <algorithm>

namespace lamplight::shim {

void SnapshotDrain::Drain(Recorder& recorder) {
  SnapshotSlot slot;
  Exec* last = nullptr;  // consecutive snapshots mostly belong to one exec
  while (ring_.Next(&slot)) {
    trace::Snapshot record{};
    record.exec_id = slot.exec_id;
    record.workspace_id = slot.workspace_id;
    record.replay = slot.replay;
    record.gpu_ns = slot.gpu_ns;
    record.node = slot.node;
    record.place = slot.place;
    record.words = slot.words;
    std::copy_n(slot.word, kSnapshotWords, record.word);
    recorder.WriteEvent(trace::RecordType::kSnapshot, record);
    if (slot.place != static_cast<uint16_t>(trace::SnapshotPlace::kTail)) continue;
    if (last == nullptr || last->id != slot.exec_id) last = graphs_.ExecById(slot.exec_id);
    if (last != nullptr) last->snapshot_runs.store(slot.replay, std::memory_order_relaxed);
  }
  if (ring_.dropped() > counted_drops_) {
    recorder.CountSnapshotDrops(ring_.dropped() - counted_drops_);
    counted_drops_ = ring_.dropped();
  }
}

}  // namespace lamplight::shim
