// One instantiated graph: what the shim added to it, and how far its replays have come.
//
// `calls`, and what snapshots read, may change by an update and are read under `mutex`; the rest of
// the plan is immutable once the exec is registered. Counters are atomic and may be read by any
// thread.
#pragma once

#include <cuda.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "shim/device.h"
#include "shim/graph_shape.h"
#include "shim/trace_format.h"
#include "shim/workspaces.h"

namespace lamplight::shim {

// One snapshot node that every replay runs.
struct PlannedSnapshot {
  trace::SnapshotPlace place;
  std::vector<uint32_t> after;         // own nodes it depends on
  std::vector<uint32_t> before;        // own nodes that wait for it (strict and journal modes only)
  uint32_t node;                       // Lamport node that it speaks of
  uint64_t counter;                    // device address of its SnapshotCounter
  std::vector<Workspace*> workspaces;  // an update may change them; under the exec's mutex
  bool stopped = false;                // for good: it no longer knows what it would read
  bool paused = false;                 // while no call that is on is on one of its workspaces

  bool Reads(const Workspace& workspace) const noexcept {
    return std::ranges::find(workspaces, &workspace) != workspaces.end();
  }
};

// A node with a kernel of ours, which leaves a snapshot itself in every replay.
struct JournalledNode {
  // In the ring: the counter of its runs, as Journal names it. Otherwise the number of its mark.
  uint32_t counter = 0;
  bool followers_wait = false;      // CallOption::kFollowersWait
  std::atomic<uint64_t> newest{0};  // the newest replay whose snapshot was seen
  // Up to this replay its runs count the replays. Not behind it, for good: the host has disabled it
  // or given it another kernel.
  std::atomic<uint64_t> sure{kForEver};

  static constexpr uint64_t kForEver = ~uint64_t{0};
  bool doubtful() const noexcept { return sure.load(std::memory_order_relaxed) != kForEver; }
  // True the first time.
  bool Doubt(uint64_t launched) noexcept {
    uint64_t expected = kForEver;
    return sure.compare_exchange_strong(expected, launched, std::memory_order_relaxed);
  }
};

struct WorkspaceOps {
  std::atomic<Workspace*> workspace{nullptr};
  std::atomic<uint32_t> ops{0};  // advancing calls in one replay
};

struct Exec {
  uint32_t id = 0;
  std::atomic<uint32_t> graph_id{0};
  Device* device = nullptr;
  uint32_t own_nodes = 0;
  std::vector<CUgraphNode> nodes;  // the host's node handles, by position; child graphs' too
  std::vector<PlannedSnapshot> snapshots;
  std::map<uint32_t, JournalledNode> journals;  // by node; which ones there are never changes
  // All that its nodes were given. Empty where somebody else might write to it, too.
  HeldNumbers held;
  bool in_ring = false;       // where the journals go; otherwise to marks
  bool tells_itself = false;  // all that moves flags on is in the ring: no tail snapshot is needed
  std::vector<uint32_t> sinks;
  CUevent done = nullptr;    // recorded by every replay; null: completion is not watched
  bool done_behind = false;  // not by a node, but behind the launch, where the graph takes none
  mutable std::mutex mutex;
  std::vector<GraphShape::Call> calls;
  std::array<WorkspaceOps, trace::kMaxWorkspacesPerGraph> ops{};

  std::atomic<uint64_t> launched{0};       // replays handed to the driver
  std::atomic<uint64_t> returned{0};       // of those, launch calls that came back
  std::atomic<uint64_t> completed{0};      // replays known complete
  std::atomic<uint64_t> recorded{0};       // with done_behind: the newest that it was recorded for
  std::atomic<bool> unrecordable{false};   // the driver refused that: completion is not watched
  std::atomic<uint64_t> snapshot_runs{0};  // replays whose collectives all are seen complete
  std::atomic<uint32_t> stream_id{0};
  // It was launched into a capture, so that another graph has its nodes, too, for nobody knows how
  // long: what they write to is nobody else's any more.
  std::atomic<bool> borrowed{false};
  std::atomic<bool> uploaded{false};    // cudaGraphUpload has run: a first replay is like any other
  std::atomic<uint64_t> retired_ns{0};  // when the host destroyed it, 0: alive

  // A launch call may block for as long as what runs hangs.
  bool InLaunch() const noexcept {
    return launched.load(std::memory_order_acquire) > returned.load(std::memory_order_acquire);
  }
  bool CompletionIsWatched() const noexcept {
    return done != nullptr && !unrecordable.load(std::memory_order_relaxed);
  }
  // No replay is under way, and that is known.
  bool Over() const noexcept {
    const uint64_t all = launched.load(std::memory_order_acquire);
    return all == 0 || (CompletionIsWatched() && completed.load(std::memory_order_relaxed) >= all);
  }
  // Replays that `done` has certainly been recorded for, or will be by their own node.
  uint64_t Recorded() const noexcept {
    return (done_behind ? recorded : returned).load(std::memory_order_acquire);
  }
  // Launch time of a recent replay; 0 where it has been forgotten.
  uint64_t LaunchTime(uint64_t replay) const noexcept {
    const LaunchMark& mark = marks_[replay % kMarks];
    return mark.replay.load(std::memory_order_acquire) == replay
               ? mark.time_ns.load(std::memory_order_relaxed)
               : 0;
  }
  uint64_t OpBefore(uint64_t replay) const noexcept {
    const LaunchMark& mark = marks_[replay % kMarks];
    return mark.replay.load(std::memory_order_acquire) == replay
               ? mark.op_before.load(std::memory_order_relaxed)
               : 0;
  }
  void MarkLaunch(uint64_t replay, uint64_t time_ns, uint64_t op_before) noexcept {
    LaunchMark& mark = marks_[replay % kMarks];
    mark.time_ns.store(time_ns, std::memory_order_relaxed);
    mark.op_before.store(op_before, std::memory_order_relaxed);
    mark.replay.store(replay, std::memory_order_release);
  }
  // Replays in which every node that journals has done so. Lags behind by what was lost.
  uint64_t JournalledReplays() const noexcept {
    uint64_t least = journals.empty() ? 0 : ~uint64_t{0};
    for (const auto& [node, journal] : journals) {
      least = std::min(least, journal.newest.load(std::memory_order_relaxed));
    }
    return least;
  }
  bool Uses(const Workspace& workspace) const noexcept {
    return std::any_of(ops.begin(), ops.end(), [&](const WorkspaceOps& slot) {
      return slot.workspace.load(std::memory_order_acquire) == &workspace;
    });
  }
  // Whether a node that is switched on does. Under the mutex.
  bool Calls(const Workspace& workspace) const noexcept {
    return std::ranges::any_of(calls, [&](const GraphShape::Call& call) {
      return call.enabled && call.decodable && call.decoded.call.workspace_id == workspace.id;
    });
  }

 private:
  static constexpr size_t kMarks = 64;
  struct LaunchMark {
    std::atomic<uint64_t> replay{0};
    std::atomic<uint64_t> time_ns{0};
    std::atomic<uint64_t> op_before{0};  // on the first workspace
  };
  std::array<LaunchMark, kMarks> marks_{};
};

}  // namespace lamplight::shim
