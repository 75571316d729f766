// The Lamport workspaces that launches name: one entry for each rank's flag words.
//
// Resolve may run in any hook: wait-free for a known workspace. Entries live for ever and are
// internally synchronised.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "shim/handle_map.h"
#include "shim/lamport/recognition.h"
#include "shim/recorder/recorder.h"
#include "shim/snapshot_args.h"

namespace lamplight::shim {

struct Workspace {
  uint32_t id = 0;
  uint32_t device = 0;
  uint32_t rank = 0;
  uint32_t world = 0;
  trace::FlagLayout layout = trace::FlagLayout::kUnknown;
  uint16_t flag_words = 0;
  bool indirect = false;  // flags_address holds a pointer to the flag words
  uint64_t flags_address = 0;
  uint64_t sizes_address = 0;  // of a pointer to int64 {elements to clear, bytes of a generation}
  uint64_t peers_address = 0;
  uint64_t local_address = 0;
  uint64_t multicast_address = 0;
  uint64_t generation_bytes = 0;  // 0: the flag words say it
  uint64_t header_offset = 0;     // 0: there are no headers

  std::atomic<uint64_t> diagnostic{
      0};                        // where kernels of ours report, as the last call said; 0: none
  std::atomic<uint64_t> ops{0};  // advancing calls launched so far, eager and replayed
  // The last eager call, for the watchdog.
  struct Eager {
    uint64_t calls = 0;
    uint64_t time_ns = 0;
    uint64_t op_before = 0;
    uint32_t stream_id = 0;
    lamport::DecodedCall call{};
  };
  void NoteEager(const lamport::DecodedCall& call, uint32_t stream_id, uint64_t time_ns,
                 uint64_t op_before) noexcept;
  Eager last_eager() const noexcept;

 private:
  mutable std::mutex mutex_;
  Eager eager_;
};

class Workspaces {
 public:
  explicit Workspaces(Recorder& recorder) : recorder_(recorder) {}

  // The workspace that a decoded call uses; defined in the trace when first seen, or when the same
  // address has come to belong to another rank or group. Sets call.workspace_id.
  Workspace* Resolve(const lamport::Recognition& recognition, uint32_t device,
                     lamport::DecodedCall* call);

  Workspace* ById(uint32_t id) const noexcept;
  // The last one that was seen at these flag words; null if there was none. Wait-free.
  const Workspace* At(const void* flags) const noexcept { return by_flags_.Find(flags); }

  // Whether the process has used any workspace yet.
  bool any() const noexcept { return any_.load(std::memory_order_relaxed); }

  template <class F>
  void ForEach(F visit) const {
    by_flags_.ForEach(visit);
  }

 private:
  Workspace* Define(const lamport::Recognition& recognition, uint32_t device,
                    const lamport::DecodedCall& call);

  Recorder& recorder_;
  HandleMap<Workspace> by_flags_;
  std::mutex mutex_;
  uint32_t next_id_ = 1;
  std::atomic<bool> any_{false};
};

SnapshotSource SourceOf(const Workspace& workspace);

}  // namespace lamplight::shim
