// What was seen of the driver API: in front of its functions, and through CUPTI's callbacks; and
// where that was not to be had.
#include <map>
#include <set>

#include "analyzer/detectors/wording.h"
#include "analyzer/report/text_sections.h"

namespace lamplight {
namespace {

std::string Seen(uint64_t replays, uint64_t eager) {
  return Count(replays, "replay") + " and " + Count(eager, "eager call") + " were seen ";
}

std::string LineOf(const DriverCalls& calls) {
  if (!calls.in_force) return "calls of the driver API were not seen: " + calls.reason;
  return Seen(calls.replays, calls.eager) + "through CUPTI (" + calls.library +
         "), all others by the preload";
}

std::string LineOf(const DriverClients& clients) {
  return Seen(clients.replays, clients.eager) +
         "at the driver, of modules that have a CUDA runtime " +
         "of their own or none: " + Joined(clients.modules, ", ");
}

}  // namespace

void WriteDriverCalls(const Model& model, TextWriter* out) {
  // The same in most processes.
  std::map<std::string, std::set<std::string>> processes_of;
  for (const Process& process : model.processes) {
    const std::string pid = std::to_string(process.pid);
    if (process.driver_clients.replays + process.driver_clients.eager > 0) {
      processes_of[LineOf(process.driver_clients)].insert(pid);
    }
    if (process.driver_calls.asked) processes_of[LineOf(process.driver_calls)].insert(pid);
  }
  if (processes_of.empty()) return;
  out->Heading("CALLS OF THE DRIVER API");
  for (const auto& [line, pids] : processes_of) {
    const std::vector<std::string> in(pids.begin(), pids.end());
    out->Paragraph("  ", line + " (pid " + Joined(in, " ") + ")");
  }
}

}  // namespace lamplight
