// Who took part: processes, communicators, and what the hosts were doing in a hang.
#include <algorithm>
#include <map>
#include <set>

#include "analyzer/detectors/wording.h"
#include "analyzer/report/names.h"
#include "analyzer/report/text_sections.h"

namespace lamplight {
namespace {

constexpr size_t kStackFrames = 8;

struct Totals {
  uint64_t replays = 0;
  uint64_t completed = 0;
  uint64_t eager = 0;
  uint64_t refused = 0;
};

Totals TotalsOf(const Model& model, Index process) {
  Totals totals;
  for (const Replay& replay : model.replays) {
    if (replay.exec == kNone || model.execs[replay.exec].process != process) continue;
    ++(replay.status == 0 ? totals.replays : totals.refused);
    totals.completed += replay.completed_ns != 0;
  }
  for (const EagerLaunch& launch : model.eager) {
    if (launch.process == process) ++(launch.status == 0 ? totals.eager : totals.refused);
  }
  return totals;
}

std::string RanksOf(const Model& model, Index process) {
  std::set<uint32_t> ranks;
  for (const Workspace& workspace : model.workspaces) {
    if (workspace.process == process) ranks.insert(workspace.rank);
  }
  std::vector<std::string> parts;
  for (const uint32_t rank : ranks) parts.push_back(rank == kUnknown ? "?" : std::to_string(rank));
  return parts.empty() ? "-" : Joined(parts, " ");
}

std::string DevicesOf(const Model& model, Index process) {
  std::vector<std::string> names;
  for (Index i = 0; i < model.devices.size(); ++i) {
    if (model.devices[i].process == process) names.push_back(DeviceName(model, i));
  }
  return names.empty() ? "-" : Joined(names, "; ");
}

// The stacks that were written already, by their text: threads of a pool wait alike.
using Written = std::map<std::vector<std::string>, std::string>;

void WriteThread(const Model& model, const HostThread& thread, Written* written, TextWriter* out) {
  const std::string name =
      std::to_string(thread.tid) + (thread.name.empty() ? "" : " " + thread.name);
  const std::string title = "    thread " + name;
  if (thread.site == kNone) return out->Line(title + ": did not answer in time");
  std::vector<std::string> lines;
  for (const Frame& frame : HostFrames(model, thread.site, kStackFrames)) {
    lines.push_back("      " + FrameLine(frame));
  }
  const auto [entry, is_new] = written->try_emplace(lines, name);
  if (!is_new) return out->Line(title + ": as thread " + entry->second);
  out->Line(title);
  for (const std::string& line : lines) out->Clipped(line);
}

void WriteText(const HangText& text, TextWriter* out) {
  if (text.kind == trace::TextKind::kVerdict) return;
  out->Line(text.kind == trace::TextKind::kPythonStacks ? "    Python" : "    note");
  size_t begin = 0;
  while (begin < text.text.size()) {
    const size_t end = std::min(text.text.find('\n', begin), text.text.size());
    out->Line("      " + text.text.substr(begin, end - begin));
    begin = end + 1;
  }
}

}  // namespace

void WriteHangStacks(const Model& model, TextWriter* out) {
  bool heading = false;
  Written written;
  for (const Hang& hang : model.hangs) {
    if (hang.threads.empty() && hang.texts.empty()) continue;
    if (!heading) {
      out->Line();
      out->Rule();
      out->Line("HOST STACKS when the hang was noticed");
      heading = true;
    }
    out->Line("  " + ProcessName(model, hang.process) + ", hang " + std::to_string(hang.id));
    for (const HostThread& thread : hang.threads) WriteThread(model, thread, &written, out);
    for (const HangText& text : hang.texts) WriteText(text, out);
  }
}

void WriteProcesses(const Model& model, TextWriter* out) {
  std::vector<std::vector<std::string>> rows{
      {"pid", "host", "ranks", "replays", "complete", "eager", "mode", "device"}};
  for (Index i = 0; i < model.processes.size(); ++i) {
    const Process& process = model.processes[i];
    const Totals totals = TotalsOf(model, i);
    rows.push_back({std::to_string(process.pid), process.hostname, RanksOf(model, i),
                    std::to_string(totals.replays), std::to_string(totals.completed),
                    std::to_string(totals.eager), process.mode, DevicesOf(model, i)});
  }
  out->Line("PROCESSES");
  out->Table(rows, "  ");
  for (Index i = 0; i < model.processes.size(); ++i) {
    const uint64_t refused = TotalsOf(model, i).refused;
    if (refused == 0) continue;
    out->Paragraph("  ", "pid " + std::to_string(model.processes[i].pid) + ": " +
                             std::to_string(refused) +
                             (refused == 1 ? " launch was" : " launches were") +
                             " refused by the driver and not counted");
  }
}

void WriteSwaps(const Model& model, TextWriter* out) {
  if (model.swaps.empty()) return;
  // The same on most ranks: one line for each outcome.
  std::map<std::string, std::set<std::string>> processes_of;
  for (const KernelSwap& swap : model.swaps) {
    const std::string launched = ShortFunction(model.kernels[swap.kernel].name);
    const std::string line = swap.by == kNone
                                 ? "left " + launched + " as it is: " + swap.reason
                                 : "ran " + model.kernels[swap.by].name + " for " + launched;
    processes_of[line].insert(std::to_string(model.processes[swap.process].pid));
  }
  out->Heading("SWAPPED KERNELS (LAMPLIGHT_SWAP)");
  for (const auto& [line, pids] : processes_of) {
    const std::vector<std::string> in(pids.begin(), pids.end());
    out->Paragraph("  ", line + " (pid " + Joined(in, " ") + ")");
  }
}

constexpr size_t kMissingRanks = 16;  // that are listed; the JSON report has all

std::string Shortened(std::vector<std::string> ranks) {
  if (ranks.size() <= kMissingRanks) return Joined(ranks, ", ");
  const std::string more = " and " + std::to_string(ranks.size() - kMissingRanks) + " more";
  ranks.resize(kMissingRanks);
  return Joined(ranks, ", ") + more;
}

void WriteCommunicators(const Model& model, TextWriter* out) {
  if (model.communicators.empty()) return;
  out->Heading("COMMUNICATORS");
  for (Index i = 0; i < model.communicators.size(); ++i) {
    const Communicator& communicator = model.communicators[i];
    std::vector<std::string> missing;
    size_t present = 0;
    for (size_t rank = 0; rank < communicator.members.size(); ++rank) {
      if (communicator.members[rank] != kNone)
        ++present;
      else
        missing.push_back(std::to_string(rank));
    }
    std::string line = std::to_string(i + 1) + ": " + std::to_string(present) + " of " +
                       Count(communicator.world, "rank");
    if (!missing.empty()) line += ", no trace of rank " + Shortened(missing);
    if (!communicator.basis.empty()) line += "; " + communicator.basis;
    out->Paragraph("  ", line);
  }
}

}  // namespace lamplight
