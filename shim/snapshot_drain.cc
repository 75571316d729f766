// Ring slots become trace records; tail snapshots also tell the watchdog how far an exec has come.
#include "shim/snapshot_drain.h"

#include <algorithm>

namespace lamplight::shim {

void SnapshotDrain::Drain(Recorder& recorder) {
  SnapshotRecord slot;
  Exec* last = nullptr;  // consecutive snapshots mostly belong to one exec
  while (ring_.Next(&slot)) {
    trace::Snapshot record{};
    record.exec_id = slot.exec_id;
    record.workspace_id = slot.workspace_id;
    record.replay = static_cast<uint64_t>(slot.replay_high) << 32 | slot.replay_low;
    record.gpu_ns = static_cast<uint64_t>(slot.gpu_ns_high) << 32 | slot.gpu_ns_low;
    record.node = slot.node;
    record.place = static_cast<uint16_t>(slot.place_and_words);
    record.words = static_cast<uint16_t>(slot.place_and_words >> 16);
    std::copy_n(slot.word, kSnapshotWords, record.word);
    recorder.WriteEvent(trace::RecordType::kSnapshot, record);
    if (record.place != static_cast<uint16_t>(trace::SnapshotPlace::kTail)) continue;
    if (last == nullptr || last->id != slot.exec_id) last = graphs_.ExecById(slot.exec_id);
    if (last != nullptr) last->snapshot_runs.store(record.replay, std::memory_order_relaxed);
  }
  if (ring_.dropped() > counted_drops_) {
    recorder.CountSnapshotDrops(ring_.dropped() - counted_drops_);
    counted_drops_ = ring_.dropped();
  }
}

}  // namespace lamplight::shim
