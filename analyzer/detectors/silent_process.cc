// Every process that runs writes an anchor of its clock each second.
#include "analyzer/detectors/silent_process.h"

#include <algorithm>

#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

// When the hang was noticed, an anchor was overdue; and as far as the hung process's records go, so
// were at least three: a host under load may be late with one.
constexpr uint64_t kOverdue = 1'500'000'000;
constexpr uint64_t kSilence = 3'000'000'000;

}  // namespace

std::optional<uint64_t> SilentFor(const Model& model, Index index, const Hang& hang) {
  const Process& process = model.processes[index];
  const bool comparable = process.clock_aligned && model.processes[hang.process].clock_aligned;
  if (process.closed || process.last_ns == 0 || !comparable || index == hang.process) {
    return std::nullopt;
  }
  const uint64_t last = process.last_ns;
  // Of an earlier run: it was gone before the one that waits was there.
  if (last < model.processes[hang.process].start_ns) return std::nullopt;
  if (hang.detected_ns < last || hang.detected_ns - last < kOverdue) return std::nullopt;
  const uint64_t watched = std::max(hang.detected_ns, model.processes[hang.process].last_ns);
  if (watched - last < kSilence) return std::nullopt;
  return hang.detected_ns - last;
}

std::string SilenceText(uint64_t silent_ns) {
  return "its trace ends " + Seconds(silent_ns) +
         " before the hang was noticed and was not closed: the process was killed, has crashed or "
         "stands still (SIGSTOP, a debugger, a frozen container), unless its recording ended early";
}

std::vector<std::string> AdviceOnSilence() {
  return {
      "Look at how that process ended: its exit status and output, dmesg (the OOM killer, Xid "
      "errors of the GPU), the events of its container or scheduler.",
      "If it still exists, see whether it is stopped: state T in /proc/PID/status, a debugger, a "
      "frozen control group.",
      "If its stderr has a line of Lamplight's by which the recording ended, or its trace was "
      "copied while it ran, the trace says no more of it: record anew, or copy all traces again.",
  };
}

}  // namespace lamplight
