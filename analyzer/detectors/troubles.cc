#include "analyzer/detectors/troubles.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "analyzer/detectors/history.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

using kernels::Diagnostic;
using Kind = kernels::Trouble;

std::string Who(const Model& model, const Trouble& trouble) {
  return trouble.workspace != kNone
             ? RankName(model, trouble.workspace)
             : "rank " + std::to_string(trouble.report.rank) + " (pid " +
                   std::to_string(model.processes[trouble.process].pid) + ")";
}

std::string Hex(const char* format, uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// The kind is packed as in kernels/trouble.cuh.
kernels::Protocol ProtocolOf(const Diagnostic& report) {
  return static_cast<kernels::Protocol>(report.kind >> 4 & 3);
}

// Workspaces of the field's do not count calls.
bool IsNumbered(const Diagnostic& report) {
  return report.epoch != 0 || ProtocolOf(report) == kernels::Protocol::kEpoch;
}

std::string ArrivedClusters(const Diagnostic& report) {
  const char* how = ProtocolOf(report) == kernels::Protocol::kEpoch ? " done" : " begun";
  return std::to_string(report.arrivals) + " of its clusters" + how;
}

std::string CallOf(const Diagnostic& report) {
  return AnnouncedName(report.tokens, report.hidden, report.kind);
}

// Where the kernel looked, and what was there.
std::string PacketText(const Diagnostic& report) {
  std::string text = "token " + std::to_string(report.token) + ", word " +
                     std::to_string(report.word) + " of rank " + std::to_string(report.peer) +
                     ", stage " + std::to_string(report.stage) + " of generation " +
                     std::to_string(report.index) + " held";
  for (const uint32_t bits : report.bits) text += Hex(" %08" PRIx64, bits);
  return text;
}

std::string Found(const Diagnostic& report) {
  switch (static_cast<Kind>(report.trouble)) {
    case Kind::kTimeout:
      return "has waited " + Seconds(report.waited_ns) + " for rank " +
             std::to_string(report.peer) + ": " + PacketText(report) + "; " +
             ArrivedClusters(report);
    case Kind::kDivergence:
      return "rank " + std::to_string(report.peer) + " has announced " +
             AnnouncedName(report.peer_tokens, report.peer_hidden, report.peer_kind) + "; " +
             PacketText(report);
    case Kind::kCapacity:
      return "refused, its results are NaN: generation " + std::to_string(report.index) +
             " has no room for it";
    case Kind::kCorruptState:
      return "refused, its results are NaN: the state words name generation " +
             std::to_string(report.index);
    case Kind::kArrivalResidue:
      return Count(report.arrivals, "arrival") + " left over, taken off again";
    case Kind::kMisaligned:
      return "refused, its results are NaN: an address is no multiple of 16 bytes";
    case Kind::kNothing:
      break;
  }
  return "a trouble of kind " + std::to_string(report.trouble) +
         ", which this version does not know";
}

// ---------------------------------------------------------------- findings

struct Words {
  Kind kind;
  const char* hazard;
  Confidence confidence;
  const char* title;
  const char* summary;  // behind the rank's name
  const char* action;
};

constexpr Words kWords[] = {
    {Kind::kCapacity, "C4", Confidence::kProven, "A call does not fit its workspace",
     " made a call that is larger than a generation of its workspace. The kernel refused it and "
     "wrote NaN.",
     "Create the workspace for the largest call (tokens x hidden size, of the widest type and of "
     "the algorithm that needs most), or split the call."},
    {Kind::kCorruptState, "C4", Confidence::kProven, "A workspace's state words are impossible",
     " found state words that no call leaves behind. The kernel refused the call and wrote NaN.",
     "Find what wrote to the state words (the buffer_flags tensor): memory that was freed and used "
     "again, a missing initialisation, or kernels with another layout of them."},
    {Kind::kMisaligned, "C4", Confidence::kProven, "An address of a call is misaligned",
     " made a call with an address that is no multiple of 16 bytes. The kernel refused it and "
     "wrote NaN.",
     "Align inputs, outputs, residuals, weights and workspace to 16 bytes: look for a view or a "
     "slice that starts inside a row."},
    {Kind::kArrivalResidue, "C3b", Confidence::kLikely, "Arrivals are left over in a workspace",
     " found more arrivals than its own call counts. The kernel took them off again; its results "
     "are right. A kernel that is not ours would have hung or moved the index too early.",
     "Find the other user of the workspace: two launches at once, or a kernel that was stopped "
     "half-way (an abort, a context that was reset)."},
};

Finding NewFinding(const Model& model, const Trouble& trouble, Index index) {
  Finding finding;
  finding.severity = Severity::kSilent;
  finding.ranks = {trouble.report.rank};
  finding.occurrences = uint64_t{trouble.repeated} + 1;
  PlaceAtTrouble(model, trouble, &finding);
  AddTroubleEvidence(model, {index}, &finding);
  return finding;
}

Finding Describe(const Model& model, Index index, const Words& words) {
  const Trouble& trouble = model.troubles[index];
  Finding finding = NewFinding(model, trouble, index);
  finding.hazard = words.hazard;
  finding.confidence = words.confidence;
  finding.title = words.title;
  finding.summary = Who(model, trouble) + words.summary;
  finding.actions = {words.action};
  if (trouble.kind() == Kind::kArrivalResidue) {
    finding.missing = {
        "whether the other kernel ran at the same time (C9) or was stopped half-way"};
  }
  return finding;
}

// A newer snapshot: the workspace's calls went on.
bool WentOn(const Model& model, const Trouble& trouble) {
  if (trouble.workspace == kNone) return false;
  const std::vector<Index>& snapshots = model.workspaces[trouble.workspace].snapshots;
  return std::ranges::any_of(snapshots, [&](Index snapshot) {
    return model.snapshots[snapshot].time_ns > trouble.time_ns;
  });
}

bool DuringAHang(const Trouble& trouble, const Hang& hang) {
  return hang.process == trouble.process && trouble.time_ns >= hang.launched_ns &&
         (hang.workspace == kNone || trouble.workspace == kNone ||
          hang.workspace == trouble.workspace);
}

// A wait of which no hang tells: it came after all, or the process ended with it.
Finding DescribeWait(const Model& model, Index index) {
  const Trouble& trouble = model.troubles[index];
  Finding finding = NewFinding(model, trouble, index);
  finding.hazard = "H0";
  const std::string wait = Who(model, trouble) + " waited " + Seconds(trouble.report.waited_ns) +
                           " for rank " + std::to_string(trouble.report.peer);
  if (WentOn(model, trouble) || model.processes[trouble.process].closed) {
    finding.title = "Slow, not hung";
    finding.severity = Severity::kAdvisory;
    finding.summary = wait + ", longer than its limit, and went on.";
    finding.actions = {"If that is normal for this server, raise LAMPLIGHT_TIMEOUT."};
    return finding;
  }
  finding.title = "A kernel waits, and its process ends";
  finding.severity = Severity::kHang;
  finding.summary = wait +
                    ", longer than its limit, and nothing tells that it went on: the kernel was "
                    "told to trap, or the process was killed before the watchdog spoke.";
  finding.actions = {"Give the traces of all ranks to one report: why rank " +
                     std::to_string(trouble.report.peer) + " sent nothing is on its side."};
  return finding;
}

// A divergence in a group that is not known; C10 has the others.
Finding DescribeDivergence(const Model& model, Index index) {
  const Trouble& trouble = model.troubles[index];
  Finding finding = NewFinding(model, trouble, index);
  finding.hazard = "C10";
  finding.title = "Ranks diverge: different calls under one operation number";
  finding.ranks = {trouble.report.rank, trouble.report.peer};
  std::ranges::sort(finding.ranks);
  finding.summary = "A kernel of " + Who(model, trouble) + " met another call of rank " +
                    std::to_string(trouble.report.peer) + " and wrote NaN for what cannot come.";
  return finding;
}

bool InAGroup(const Model& model, const Trouble& trouble) {
  return trouble.workspace != kNone && model.workspaces[trouble.workspace].communicator != kNone;
}

}  // namespace

std::string_view TroubleName(Kind kind) {
  switch (kind) {
    case Kind::kTimeout:
      return "timeout";
    case Kind::kDivergence:
      return "divergence";
    case Kind::kCapacity:
      return "capacity";
    case Kind::kCorruptState:
      return "corrupt_state";
    case Kind::kArrivalResidue:
      return "arrival_residue";
    case Kind::kMisaligned:
      return "misaligned";
    case Kind::kNothing:
      break;
  }
  return "unknown";
}

std::string TroubleLine(const Model& model, const Trouble& trouble) {
  const Diagnostic& report = trouble.report;
  std::string line = Who(model, trouble) + ": its " + (trouble.swapped ? "swapped" : "linked") +
                     " kernel (" + CallOf(report);
  if (IsNumbered(report)) line += ", call number " + std::to_string(report.epoch);
  if (report.workspace != 0) line += ", buffer " + Hex("0x%" PRIx64, report.workspace);
  return line + ") reports: " + Found(report);
}

void PlaceAtTrouble(const Model& model, const Trouble& trouble, Finding* finding) {
  finding->place.process = trouble.process;
  if (trouble.workspace == kNone) return;
  PlaceAtReplay(model, trouble.workspace, kNone, finding);
  // Kernels count calls where the shim counts operations, if it saw the first one.
  const auto operation = FindOperation(model, trouble.workspace, trouble.report.epoch);
  if (!IsNumbered(trouble.report) || !operation) return;
  const bool fits = operation->call->tokens == trouble.report.tokens &&
                    operation->call->dim == trouble.report.hidden;
  if (!fits) return;
  PlaceAtReplay(model, trouble.workspace, operation->replay, finding);
  finding->place.operation = operation->op;
  finding->place.nodes = {NodeOf(model, *operation)};
}

std::vector<Index> DivergenceReports(const Model& model, Index communicator) {
  std::vector<Index> reports;
  for (Index i = 0; i < model.troubles.size(); ++i) {
    const Trouble& trouble = model.troubles[i];
    if (trouble.kind() != Kind::kDivergence || !InAGroup(model, trouble)) continue;
    if (model.workspaces[trouble.workspace].communicator == communicator) reports.push_back(i);
  }
  std::ranges::stable_sort(reports, {}, [&](Index i) { return model.troubles[i].time_ns; });
  return reports;
}

void AddTroubleEvidence(const Model& model, const std::vector<Index>& troubles, Finding* finding) {
  for (const Index index : troubles) {
    finding->troubles.push_back(index);
    finding->evidence.push_back(TroubleLine(model, model.troubles[index]));
  }
}

void AddReportedWaits(const Model& model, Finding* finding) {
  std::vector<Index> hangs = finding->hangs;
  for (const Consequence& consequence : finding->consequences) hangs.push_back(consequence.hang);
  std::vector<Index> waits;
  for (Index i = 0; i < model.troubles.size(); ++i) {
    if (model.troubles[i].kind() != Kind::kTimeout) continue;
    const bool during = std::ranges::any_of(hangs, [&](Index hang) {
      return hang != kNone && DuringAHang(model.troubles[i], model.hangs[hang]);
    });
    if (during) waits.push_back(i);
  }
  AddTroubleEvidence(model, waits, finding);
}

Detection DetectTroubles(const Model& model) {
  Detection detection;
  for (Index i = 0; i < model.troubles.size(); ++i) {
    const Trouble& trouble = model.troubles[i];
    const auto words = std::ranges::find(kWords, trouble.kind(), &Words::kind);
    const bool hung = std::ranges::any_of(
        model.hangs, [&](const Hang& hang) { return DuringAHang(trouble, hang); });
    if (words != std::end(kWords)) {
      detection.findings.push_back(Describe(model, i, *words));
    } else if (trouble.kind() == Kind::kTimeout && !hung) {
      detection.findings.push_back(DescribeWait(model, i));
    } else if (trouble.kind() == Kind::kDivergence && !InAGroup(model, trouble)) {
      detection.findings.push_back(DescribeDivergence(model, i));
    }
  }
  return detection;
}

}  // namespace lamplight
