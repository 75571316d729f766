#include "shim/troubles.h"

#include <algorithm>
#include <cstring>

#include "kernels/trouble_reader.h"
#include "kernels/trouble_text.h"
#include "shim/log.h"
#include "shim/mapped_copy.h"

namespace lamplight::shim {
namespace {

using kernels::Diagnostic;

constexpr auto kLastTrouble = static_cast<uint32_t>(kernels::Trouble::kMisaligned);

// The memory may have become another thing's.
bool Believable(const Diagnostic& found, const Workspace& workspace) {
  const bool nothing_else =
      std::ranges::all_of(found.unused, [](uint32_t word) { return word == 0; });
  return found.claim == 1 && found.trouble <= kLastTrouble && nothing_else &&
         found.rank == workspace.rank && found.kind >> 8 == workspace.world &&
         found.workspace == workspace.local_address;
}

void Tell(const Diagnostic& found, bool swapped) {
  char text[256];
  kernels::TroubleText(found, text, sizeof text);
  const char* whose = swapped ? "swapped" : "linked";
  if (found.workspace == 0) return LogError("{} kernel: {}", whose, text);
  LogError("{} kernel: {}; buffer at {:#x}", whose, text, found.workspace);
}

trace::Trouble RecordOf(const Workspace& workspace, const Diagnostic& found) {
  trace::Trouble record{};
  record.workspace_id = workspace.id;
  record.kind = found.trouble;
  record.buffer = found.workspace;
  record.epoch = found.epoch;
  record.waited_ns = found.waited_ns;
  record.index = found.index;
  record.rank = found.rank;
  record.peer = found.peer;
  record.token = found.token;
  record.word = found.word;
  record.stage = found.stage;
  std::memcpy(record.bits, found.bits, sizeof record.bits);
  record.arrivals = found.arrivals;
  record.tokens = found.tokens;
  record.hidden = found.hidden;
  record.call_kind = found.kind;
  record.peer_tokens = found.peer_tokens;
  record.peer_hidden = found.peer_hidden;
  record.peer_kind = found.peer_kind;
  return record;
}

}  // namespace

void Troubles::Own(uint64_t device_address, Diagnostic* host, uint32_t count) noexcept {
  const size_t at = ranges_used_.load(std::memory_order_relaxed);
  if (at == kMaxRanges) return;
  ranges_[at] = {device_address, host, count};
  ranges_used_.store(at + 1, std::memory_order_release);
}

Diagnostic* Troubles::OwnAt(uint64_t device_address) const noexcept {
  const size_t used = ranges_used_.load(std::memory_order_acquire);
  for (size_t i = 0; i < used; ++i) {
    const uint64_t index = (device_address - ranges_[i].device_address) / sizeof(Diagnostic);
    if (device_address >= ranges_[i].device_address && index < ranges_[i].count) {
      return ranges_[i].host + index;
    }
  }
  return nullptr;
}

void Troubles::Drain(Recorder& recorder) {
  const std::lock_guard lock(mutex_);
  workspaces_.ForEach([&](const Workspace& workspace) {
    const uint64_t address = workspace.diagnostic.load(std::memory_order_relaxed);
    if (address == 0) return;
    if (Diagnostic* own = OwnAt(address)) {
      LookAtOwn(workspace, *own, recorder);
    } else {
      LookAtLinked(workspace, address, recorder);
    }
  });
}

void Troubles::LookAtOwn(const Workspace& workspace, Diagnostic& shared, Recorder& recorder) {
  const Diagnostic found = kernels::ReadTrouble(shared);
  if (found.trouble == 0) return;
  Note(workspace, found, true, recorder);
  kernels::ForgetTrouble(shared);
}

// With unified addressing, memory that the host has mapped into the device has one address.
void Troubles::LookAtLinked(const Workspace& workspace, uint64_t address, Recorder& recorder) {
  const auto* shared = reinterpret_cast<const Diagnostic*>(address);
  if (!IsMappedAndSet(&shared->trouble)) {
    // The engine has made room for the next report.
    if (const auto seen = seen_.find(workspace.id); seen != seen_.end()) seen->second.last = {};
    return;
  }
  Diagnostic raw;
  if (!CopyMapped(shared, &raw, sizeof raw)) return;
  Diagnostic& last = seen_[workspace.id].last;
  if (!Believable(raw, workspace) || std::memcmp(&raw, &last, sizeof raw) == 0) return;
  last = raw;
  if (const Diagnostic found = kernels::ReadTrouble(raw); found.trouble != 0) {
    Note(workspace, found, false, recorder);
  }
}

void Troubles::Note(const Workspace& workspace, const Diagnostic& found, bool swapped,
                    Recorder& recorder) {
  uint32_t& reports = seen_[workspace.id].reports[std::min<size_t>(found.trouble, kKinds - 1)];
  const uint32_t repeated = reports++;
  if (repeated == 0) Tell(found, swapped);
  if (repeated >= kRecordedOfAKind) return;
  trace::Trouble record = RecordOf(workspace, found);
  record.flags = swapped ? trace::kTroubleSwapped : 0;
  record.repeated = repeated;
  recorder.Define(trace::RecordType::kTrouble, record);
}

}  // namespace lamplight::shim
