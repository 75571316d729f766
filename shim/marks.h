// The marks that nodes with kernels of ours leave in device memory, read when something hangs:
// which of an exec's has ended last on each workspace.
//
// Plan on the watchdog thread, Read on the probe thread. The watchdog may abandon it there, so it
// owns all that it touches.
#pragma once

#include <cstdint>
#include <vector>

#include "shim/exec.h"
#include "shim/probe.h"
#include "shim/trace_format.h"
#include "shim/workspaces.h"

namespace lamplight::shim {

// Of the node that left the mark: those that have ended.
uint64_t RunsIn(const NodeMark& mark);
// The `count` flag words behind the newest of them, and the time; zeros where they are not known.
void TakeWords(const NodeMark& from, uint32_t count, trace::Mark* to);

class Marks {
 public:
  explicit Marks(const Workspaces& workspaces) : workspaces_(workspaces) {}

  // In the exec's order of calls.
  void Plan(const Exec& exec);
  bool empty() const { return places_.empty(); }

  // False where they could not be read.
  bool Read(Probe& probe, Device& device);
  // One for each exec and workspace, without the hang's id.
  std::vector<trace::Mark> Newest() const;

  static constexpr Probe::Duration kLimit = std::chrono::milliseconds(500);

 private:
  struct Place {
    uint32_t exec_id;
    uint32_t workspace_id;
    uint32_t node;
    uint32_t mark;
    uint64_t sure;  // its runs are replays up to this one
    NodeMark seen{};
  };

  void Describe(const Place& place, trace::Mark* mark) const;

  const Workspaces& workspaces_;
  std::vector<Place> places_;
};

}  // namespace lamplight::shim
