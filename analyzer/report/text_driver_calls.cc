// What was seen through CUPTI's callbacks of the driver API, and where that was not to be had.
#include <map>
#include <set>

#include "analyzer/detectors/wording.h"
#include "analyzer/report/text_sections.h"

namespace lamplight {
namespace {

std::string LineOf(const DriverCalls& calls) {
  if (!calls.in_force) return "calls of the driver API were not seen: " + calls.reason;
  return std::to_string(calls.replays) + " replays and " + std::to_string(calls.eager) +
         " eager calls were seen through CUPTI (" + calls.library + "), all others by the preload";
}

}  // namespace

void WriteDriverCalls(const Model& model, TextWriter* out) {
  // The same in most processes.
  std::map<std::string, std::set<std::string>> processes_of;
  for (const Process& process : model.processes) {
    if (!process.driver_calls.asked) continue;
    processes_of[LineOf(process.driver_calls)].insert(std::to_string(process.pid));
  }
  if (processes_of.empty()) return;
  out->Heading("CALLS OF THE DRIVER API (LAMPLIGHT_CUPTI)");
  for (const auto& [line, pids] : processes_of) {
    const std::vector<std::string> in(pids.begin(), pids.end());
    out->Paragraph("  ", line + " (pid " + Joined(in, " ") + ")");
  }
}

}  // namespace lamplight
