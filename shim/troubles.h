// What kernels of ours report while they run (kernels/collective_call.h, Diagnostic): recorded in
// the trace at once, and told on stderr.
//
// A swapped kernel reports into memory of the shim's own. One that an engine links reports into the
// engine's, which may be freed at any moment: it is read by the operating system, and believed only
// where it names the rank, world and buffer of its workspace. It is never written to.
//
// Own is for one thread at a time; Drain for any, the drain thread among them. Never destroyed.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "kernels/collective_call.h"
#include "shim/recorder/recorder.h"
#include "shim/workspaces.h"

namespace lamplight::shim {

class Troubles final : public DrainSource {
 public:
  explicit Troubles(const Workspaces& workspaces) : workspaces_(workspaces) {}

  // Reports at these device addresses are of swapped kernels. They are forgotten when they have
  // been recorded, so that the next one finds room.
  void Own(uint64_t device_address, kernels::Diagnostic* host, uint32_t count) noexcept;

  void Drain(Recorder& recorder) override;

  // Of one kind, on one workspace; more are only counted.
  static constexpr uint32_t kRecordedOfAKind = 8;

 private:
  static constexpr size_t kMaxRanges = 64;
  static constexpr size_t kKinds = 8;

  struct Range {
    uint64_t device_address;
    kernels::Diagnostic* host;
    uint32_t count;
  };
  struct Seen {
    kernels::Diagnostic last{};  // of a linked kernel: what is still there
    std::array<uint32_t, kKinds> reports{};
  };

  kernels::Diagnostic* OwnAt(uint64_t device_address) const noexcept;
  void LookAtOwn(const Workspace& workspace, kernels::Diagnostic& shared, Recorder& recorder);
  void LookAtLinked(const Workspace& workspace, uint64_t address, Recorder& recorder);
  void Note(const Workspace& workspace, const kernels::Diagnostic& found, bool swapped,
            Recorder& recorder);

  const Workspaces& workspaces_;
  std::mutex mutex_;
  std::atomic<size_t> ranges_used_{0};
  std::array<Range, kMaxRanges> ranges_{};
  std::unordered_map<uint32_t, Seen> seen_;  // by workspace
};

}  // namespace lamplight::shim
