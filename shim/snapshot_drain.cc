// Ring slots become trace records, and tell the watchdog how far an exec has come.
#include "shim/snapshot_drain.h"

#include <algorithm>

#include "shim/journals.h"

namespace lamplight::shim {
namespace {

uint64_t Whole(uint32_t low, uint32_t high) { return static_cast<uint64_t>(high) << 32 | low; }

constexpr auto kNode = static_cast<uint16_t>(trace::SnapshotPlace::kNode);
constexpr auto kTail = static_cast<uint16_t>(trace::SnapshotPlace::kTail);

}  // namespace

void SnapshotDrain::Drain(Recorder& recorder) {
  SnapshotRecord slot;
  last_ = nullptr;
  told_.clear();
  while (ring_.Next(&slot)) {
    if (ring_.dropped() > counted_drops_) {
      recorder.CountSnapshotDrops(ring_.dropped() - counted_drops_);
      counted_drops_ = ring_.dropped();
    }
    slot.exec_id == 0 ? TakeEager(slot, recorder) : TakeOfExec(slot, recorder);
  }
  for (Exec* exec : told_) {
    if (exec->tells_itself) exec->snapshot_runs.store(exec->JournalledReplays());
  }
}

void SnapshotDrain::TakeEager(const SnapshotRecord& slot, Recorder& recorder) {
  const Workspace* workspace = workspaces_.ById(slot.workspace_id);
  if (workspace == nullptr) return;
  trace::EagerSnapshot record{};
  record.workspace_id = slot.workspace_id;
  record.words = static_cast<uint16_t>(slot.place_and_words >> 16);
  record.op = WholeOperation(slot.node, workspace->ops.load(std::memory_order_relaxed));
  record.gpu_ns = Whole(slot.gpu_ns_low, slot.gpu_ns_high);
  std::copy_n(slot.word, kSnapshotWords, record.word);
  recorder.WriteEvent(trace::RecordType::kEagerSnapshot, record);
}

void SnapshotDrain::TakeOfExec(const SnapshotRecord& slot, Recorder& recorder) {
  trace::Snapshot record{};
  record.exec_id = slot.exec_id;
  record.workspace_id = slot.workspace_id;
  record.replay = Whole(slot.replay_low, slot.replay_high);
  record.gpu_ns = Whole(slot.gpu_ns_low, slot.gpu_ns_high);
  record.node = slot.node;
  record.place = static_cast<uint16_t>(slot.place_and_words);
  record.words = static_cast<uint16_t>(slot.place_and_words >> 16);
  std::copy_n(slot.word, kSnapshotWords, record.word);
  Exec* exec = record.place == kNode || record.place == kTail ? Find(record.exec_id) : nullptr;
  if (exec != nullptr && record.place == kNode && !CountNode(*exec, record)) return;
  if (exec != nullptr && record.place == kTail) {
    exec->snapshot_runs.store(record.replay, std::memory_order_relaxed);
  }
  recorder.WriteEvent(trace::RecordType::kSnapshot, record);
}

// False where the runs that the node has counted are no replays any more.
bool SnapshotDrain::CountNode(Exec& exec, const trace::Snapshot& record) {
  const auto node = exec.journals.find(record.node);
  if (node == exec.journals.end()) return true;  // a snapshot node behind a kernel of others
  if (record.replay > node->second.sure.load(std::memory_order_relaxed)) return false;
  node->second.newest.store(record.replay, std::memory_order_relaxed);
  told_.insert(&exec);
  return true;
}

Exec* SnapshotDrain::Find(uint32_t exec_id) {
  if (last_ == nullptr || last_->id != exec_id) last_ = graphs_.ExecById(exec_id);
  return last_;
}

}  // namespace lamplight::shim
