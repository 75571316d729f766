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
  journals_.clear();
  while (ring_.Next(&slot)) {
    if (ring_.dropped() > counted_drops_) {
      // Records keep their places before and behind what was lost.
      WriteAll(recorder);
      recorder.CountSnapshotDrops(ring_.dropped() - counted_drops_);
      counted_drops_ = ring_.dropped();
    }
    slot.exec_id == 0 ? TakeEager(slot, recorder) : TakeOfExec(slot, recorder);
  }
  WriteAll(recorder);
  for (const auto& [exec, replay] : journals_) {
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
  if (exec != nullptr && record.place == kNode && exec->journals.contains(record.node)) {
    return TakeOfNode(*exec, record, recorder);
  }
  if (exec != nullptr && record.place == kTail) {
    exec->snapshot_runs.store(record.replay, std::memory_order_relaxed);
  }
  recorder.WriteEvent(trace::RecordType::kSnapshot, record);
}

void SnapshotDrain::TakeOfNode(Exec& exec, const trace::Snapshot& record, Recorder& recorder) {
  JournalledNode& node = exec.journals.at(record.node);
  if (record.replay > node.sure.load(std::memory_order_relaxed)) return;
  node.newest.store(record.replay, std::memory_order_relaxed);
  std::vector<trace::Snapshot>& replay = journals_[&exec];
  if (!replay.empty() && replay.front().replay != record.replay) WriteAll(&replay, recorder);
  replay.push_back(record);
  // Replays of one exec do not overlap, and each node runs once in each: this one is whole.
  if (replay.size() < exec.journals.size()) return;
  exec.tells_itself && !every_node_ ? WriteTails(&replay, recorder) : WriteAll(&replay, recorder);
}

// The last of each workspace stands for all of them.
void SnapshotDrain::WriteTails(std::vector<trace::Snapshot>* replay, Recorder& recorder) {
  for (auto record = replay->begin(); record != replay->end(); ++record) {
    const auto later = std::any_of(record + 1, replay->end(), [&](const trace::Snapshot& other) {
      return other.workspace_id == record->workspace_id;
    });
    if (later) continue;
    record->place = kTail;
    recorder.WriteEvent(trace::RecordType::kSnapshot, *record);
  }
  replay->clear();
}

void SnapshotDrain::WriteAll(std::vector<trace::Snapshot>* replay, Recorder& recorder) {
  for (trace::Snapshot& record : *replay) {
    recorder.WriteEvent(trace::RecordType::kSnapshot, record);
  }
  replay->clear();
}

void SnapshotDrain::WriteAll(Recorder& recorder) {
  for (auto& [exec, replay] : journals_) WriteAll(&replay, recorder);
}

Exec* SnapshotDrain::Find(uint32_t exec_id) {
  if (last_ == nullptr || last_->id != exec_id) last_ = graphs_.ExecById(exec_id);
  return last_;
}

}  // namespace lamplight::shim
