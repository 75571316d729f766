// Order of the sections: what was lost, the verdict, one block per finding, then who took part.
#include "analyzer/report/text_report.h"

#include <algorithm>

#include "analyzer/detectors/registry.h"
#include "analyzer/detectors/wording.h"
#include "analyzer/report/names.h"
#include "analyzer/report/text_sections.h"

namespace lamplight {
namespace {

constexpr size_t kMaxLines = 20;  // of one list; the JSON report has all

std::vector<std::string> Shortened(std::vector<std::string> lines) {
  if (lines.size() <= kMaxLines) return lines;
  const size_t more = lines.size() - kMaxLines;
  lines.resize(kMaxLines);
  lines.push_back("and " + std::to_string(more) + " more (--format json lists all)");
  return lines;
}

void WriteLosses(const Model& model, TextWriter* out) {
  if (model.losses.empty()) return;
  std::vector<std::string> lines;
  for (const Loss& loss : model.losses) lines.push_back(loss.text);
  out->Line("LOST  Parts of the traces are missing. What follows rests on the rest.");
  out->List(Shortened(std::move(lines)), "  ");
  out->Line();
}

template <class Launches>
uint64_t NotRefused(const Launches& launches) {
  return static_cast<uint64_t>(
      std::ranges::count_if(launches, [](const auto& launch) { return launch.status == 0; }));
}

// C4 is what kernels of ours report.
bool CanReport(const Model& model) {
  return !model.troubles.empty() || std::ranges::any_of(model.kernels, [](const Kernel& kernel) {
    return kernel.descriptor.starts_with("lamplight-");
  });
}

std::string Checked(const Model& model) {
  return Count(NotRefused(model.replays), "graph replay") + " and " +
         Count(NotRefused(model.eager), "eager call") + " of " +
         std::to_string(model.processes.size()) +
         (model.processes.size() == 1 ? " process" : " processes") +
         (CanReport(model) ? " were checked for C1 to C4" : " were checked for C1 to C3") +
         ", C7 to C10 and C16." +
         (CanReport(model) ? "" : " Only kernels of Lamplight's own tell of C4.");
}

void WriteVerdictOf(const Model& model, const Finding& finding, TextWriter* out) {
  std::string line = finding.hazard + "  " + finding.title + " [" +
                     std::string(ToString(finding.severity)) + ", " +
                     std::string(ToString(finding.confidence)) + "]";
  if (finding.hazard == "H0") line = finding.hazard + "  " + finding.title;
  if (!finding.ranks.empty()) line += ", " + RankList(finding.ranks);
  out->Paragraph("  ", line);
  std::string where;
  if (finding.place.graph != kNone) {
    where = "graph " + std::to_string(model.graphs[finding.place.graph].id);
    const std::string site = SiteName(model, model.graphs[finding.place.graph].site);
    if (!site.empty()) where += ", captured in " + site;
  }
  if (finding.place.replay != 0) {
    where += (where.empty() ? "replay " : ", replay ") + std::to_string(finding.place.replay);
  }
  if (!where.empty()) out->Paragraph("      ", where);
}

void WriteVerdict(const Model& model, const Detection& diagnosis, TextWriter* out) {
  if (!HasFindings(diagnosis)) {
    out->Line("VERDICT  Nothing found.");
    out->Paragraph("  ", Checked(model));
    if (!diagnosis.unchecked.empty()) {
      out->Paragraph("  ", "Some checks were not possible: see NOT CHECKED below.");
    }
  } else {
    out->Line("VERDICT");
  }
  const bool advice = !HasFindings(diagnosis) && !diagnosis.findings.empty();
  if (advice) out->Line("  Advice, no fault of this run that is proven:");
  for (const Finding& finding : diagnosis.findings) WriteVerdictOf(model, finding, out);
}

void WriteNotes(const Model& model, TextWriter* out) {
  if (model.notes.empty()) return;
  std::vector<std::string> lines;
  for (const Note& note : model.notes) lines.push_back(note.text);
  out->Heading("NOTES");
  out->List(Shortened(std::move(lines)), "  ");
}

}  // namespace

std::string TextReport(const Model& model, const Detection& diagnosis) {
  TextWriter out;
  WriteLosses(model, &out);
  WriteVerdict(model, diagnosis, &out);
  for (size_t i = 0; i < diagnosis.findings.size(); ++i) {
    WriteFinding(model, diagnosis.findings[i], i + 1, &out);
  }
  WriteHangStacks(model, &out);
  out.Line();
  out.Rule();
  WriteProcesses(model, &out);
  WriteCommunicators(model, &out);
  WriteDriverCalls(model, &out);
  WriteSwaps(model, &out);
  if (!diagnosis.unchecked.empty()) {
    out.Heading("NOT CHECKED");
    out.List(Shortened(diagnosis.unchecked), "  ");
  }
  WriteNotes(model, &out);
  return out.Take();
}

}  // namespace lamplight
