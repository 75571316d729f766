// Notices eager Lamport calls that do not complete. They leave no event behind, so their stream and
// their workspace's flag words have to tell.
//
// Used by the watchdog thread only; asks the driver through the probe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "shim/evidence.h"
#include "shim/probe.h"
#include "shim/session.h"

namespace lamplight::shim {

class EagerWatch {
 public:
  EagerWatch(Session& session, Probe& probe, EvidenceReader& evidence, uint64_t timeout_ns)
      : session_(session), probe_(probe), evidence_(evidence), timeout_ns_(timeout_ns) {}

  enum class News {
    kNone,
    kHangs,  // the workspace's newest eager call; told once
    kOver,   // what was told has completed after all
  };
  News Look(Workspace& workspace, uint64_t now);
  // The process did not run until then: nothing is late for what was to come before.
  void AwakeSince(uint64_t time_ns) { awake_since_ns_ = time_ns; }
  // After kHangs.
  const Workspace::Eager& HungCall(const Workspace& workspace) {
    return seen_[&workspace].hung_call;
  }

 private:
  struct Seen {
    uint64_t checked = 0;   // eager calls when the workspace was last found quiet or hung
    uint64_t watched = 0;   // eager calls when `flags` were read
    uint64_t since_ns = 0;  // that long they have not moved
    std::vector<uint32_t> flags;
    bool hangs = false;
    Workspace::Eager hung_call;
    uint32_t first_index = 0;  // of the workspace's first call
    bool first_known = false;
  };

  uint64_t DueSince(const Workspace::Eager& eager) const {
    return std::max(eager.time_ns, awake_since_ns_);
  }
  bool Hangs(Workspace& workspace, const Workspace::Eager& eager, Device& device, uint64_t now,
             Seen& seen);
  bool IsOver(Workspace& workspace, Device& device, Seen& seen);
  bool FlagsStand(Workspace& workspace, const Workspace::Eager& eager, Device& device, uint64_t now,
                  Seen& seen);
  std::optional<bool> StreamDone(uint32_t stream_id, Device& device);
  bool AnyReplayPending(const Workspace& workspace) const;
  void LearnFirstIndex(const Workspace& workspace, uint64_t calls, Seen& seen) const;
  static bool IndexShowsPending(const Workspace& workspace, const Seen& seen);
  bool PollsBehindTheFlags(Workspace& workspace, const Workspace::Eager& eager, Device& device);

  Session& session_;
  Probe& probe_;
  EvidenceReader& evidence_;
  const uint64_t timeout_ns_;
  uint64_t awake_since_ns_ = 0;
  std::unordered_map<const Workspace*, Seen> seen_;
};

}  // namespace lamplight::shim
