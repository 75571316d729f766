// Order of work: detect, drop doubts that something surer explains, attribute, name what is left.
#include "analyzer/detectors/registry.h"

#include <algorithm>

#include "analyzer/detectors/c10_divergence.h"
#include "analyzer/detectors/c16_not_collective.h"
#include "analyzer/detectors/c1_payload_is_sentinel.h"
#include "analyzer/detectors/c1_sentinel_aliasing.h"
#include "analyzer/detectors/c2_other_width.h"
#include "analyzer/detectors/c3_frozen_index.h"
#include "analyzer/detectors/c3b_index_not_advanced.h"
#include "analyzer/detectors/c7_open_barrier.h"
#include "analyzer/detectors/c8_early_read.h"
#include "analyzer/detectors/c9_overlap.h"
#include "analyzer/detectors/causality.h"
#include "analyzer/detectors/h0_unexplained.h"
#include "analyzer/detectors/last_finished.h"
#include "analyzer/detectors/memo.h"
#include "analyzer/detectors/troubles.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

using Detector = Detection (*)(const Model&);

// Where several explain one hang, the earlier one is named first.
constexpr Detector kDetectors[] = {DetectC1,  DetectC1Payload, DetectC2,      DetectC3,
                                   DetectC3b, DetectC7,        DetectC8,      DetectC9,
                                   DetectC10, DetectC16,       DetectTroubles};

int Weight(const Finding& finding) {
  const int severity = finding.severity == Severity::kAdvisory ? 2 : finding.hazard == "H0" ? 1 : 0;
  return severity * 10 + static_cast<int>(finding.confidence);
}

bool ExplainedElsewhere(const Model& model, const Finding& doubt,
                        const std::vector<Finding>& sure) {
  if (doubt.hangs.empty()) return false;
  std::vector<Finding> copy = sure;
  Attribute(model, &copy);
  return std::ranges::all_of(doubt.hangs, [&](Index hang) {
    return std::ranges::any_of(copy, [&](const Finding& finding) {
      return std::ranges::find(finding.hangs, hang) != finding.hangs.end() ||
             std::ranges::any_of(finding.consequences,
                                 [&](const Consequence& c) { return c.hang == hang; });
    });
  });
}

// A finding that is only possible goes where proven ones explain all of its hangs.
std::vector<Finding> DropDoubts(const Model& model, std::vector<Finding> findings) {
  std::vector<Finding> sure, doubts;
  for (Finding& finding : findings) {
    (finding.confidence == Confidence::kPossible ? doubts : sure).push_back(std::move(finding));
  }
  std::vector<Finding> kept = sure;
  for (Finding& doubt : doubts) {
    if (!ExplainedElsewhere(model, doubt, sure)) kept.push_back(std::move(doubt));
  }
  return kept;
}

// Two launches at once on one workspace leave flags and operation numbers that fit neither: what a
// rank of the group seems to miss or wait for afterwards is no evidence any more.
bool ComesFromOverlap(const Finding& finding, const Finding& overlap) {
  if (overlap.hazard != "C9" || overlap.severity == Severity::kAdvisory) return false;
  if (overlap.confidence == Confidence::kPossible) return false;
  const bool residue = finding.hazard == "C3b" && !finding.troubles.empty();
  if (finding.hazard != "C10" && finding.hazard != "C16" && !residue) return false;
  if (finding.place.communicator != overlap.place.communicator) return false;
  const bool known = finding.place.operation != Place::kNoOperation &&
                     overlap.place.operation != Place::kNoOperation;
  return !known || finding.place.operation >= overlap.place.operation;
}

// What kernels reported of it stays, as evidence of the overlap.
void DropWhatOverlapExplains(const Model& model, std::vector<Finding>* findings) {
  std::vector<Finding> kept;
  std::vector<Finding> explained;
  for (Finding& finding : *findings) {
    const bool comes = std::ranges::any_of(
        *findings, [&](const Finding& overlap) { return ComesFromOverlap(finding, overlap); });
    (comes ? explained : kept).push_back(finding);
  }
  for (const Finding& finding : explained) {
    const auto overlap = std::ranges::find_if(
        kept, [&](const Finding& other) { return ComesFromOverlap(finding, other); });
    AddTroubleEvidence(model, finding.troubles, &*overlap);
  }
  *findings = std::move(kept);
}

// Far more than any server can have: beyond it, damage speaks.
constexpr size_t kMaxHangs = 256;
constexpr size_t kMaxTroubles = 4096;

template <class T>
void Shorten(std::string_view what, size_t most, std::vector<T>* all,
             std::vector<std::string>* notes) {
  if (all->size() <= most) return;
  notes->push_back("only the first " + Count(most, what) + " of " + std::to_string(all->size()) +
                   " were looked at");
  all->resize(most);
}

void NoteUndecoded(const Model& model, Detection* detection) {
  std::vector<std::string> seen;
  for (const Kernel& kernel : model.kernels) {
    if (!kernel.lamport || kernel.decoded) continue;
    if (std::ranges::find(seen, kernel.symbol) != seen.end()) continue;
    seen.push_back(kernel.symbol);
    detection->unchecked.push_back("kernel " + kernel.name + " was recognised but not decoded (" +
                                   kernel.reason + "): its calls were not checked");
  }
}

void NoteNoCollective(const Model& model, Detection* detection) {
  if (model.processes.empty() || !model.workspaces.empty()) return;
  detection->unchecked.push_back(
      "no Lamport all-reduce was decoded in any process, so only hangs of whole graphs could be "
      "seen; a kernel of your own needs a descriptor (LAMPLIGHT_ABI)");
}

void NoteLosses(const Model& model, Detection* detection) {
  for (const Process& process : model.processes) {
    if (!process.events_lost && !process.snapshots_lost && !process.definitions_lost) continue;
    detection->unchecked.push_back(
        "pid " + std::to_string(process.pid) +
        ": records were lost, so hazards that show only in those were not seen");
  }
}

// Summaries begin with the name of a rank or with a word.
void Capitalise(std::string* text) {
  if (!text->empty() && text->front() >= 'a' && text->front() <= 'z') text->front() -= 'a' - 'A';
}

void NoteAssumption(const Model& model, Finding* finding) {
  const Place& place = finding->place;
  if (!place.assumed || place.graph == kNone || place.exec == kNone) return;
  finding->missing.push_back("whether exec " + std::to_string(model.execs[place.exec].id) +
                             " still ran graph " + std::to_string(model.graphs[place.graph].id) +
                             " as it was captured: older events were overwritten, and an update of "
                             "it may have been among them");
}

// Hangs that wait for a process that has ended or stands still, and what follows from them. Returns
// what is left.
std::vector<Index> AttributeToSilence(const Model& model, std::vector<Finding>* findings) {
  std::vector<Finding> silent;
  for (const Index hang : Attribute(model, findings)) {
    if (auto finding = DescribeSilentPeer(model, hang)) silent.push_back(*std::move(finding));
  }
  std::ranges::move(Merge(std::move(silent)), std::back_inserter(*findings));
  return Attribute(model, findings);
}

Detection DiagnoseAll(const Model& model) {
  const Memo memo(model);
  Detection diagnosis;
  std::vector<Finding> findings;
  for (const Detector detector : kDetectors) {
    Detection detection = detector(model);
    std::ranges::move(detection.findings, std::back_inserter(findings));
    std::ranges::move(detection.unchecked, std::back_inserter(diagnosis.unchecked));
  }
  findings = DropDoubts(model, std::move(findings));
  DropWhatOverlapExplains(model, &findings);
  findings = Merge(std::move(findings));
  std::vector<Finding> rest;
  for (const Index hang : AttributeToSilence(model, &findings)) {
    rest.push_back(DescribeUnexplained(model, hang));
  }
  for (Index hang = 0; hang < model.hangs.size(); ++hang) {
    if (model.hangs[hang].ended) rest.push_back(DescribeSlow(model, hang));
  }
  std::ranges::move(Merge(std::move(rest)), std::back_inserter(findings));
  for (Finding& finding : findings) {
    Capitalise(&finding.summary);
    NoteAssumption(model, &finding);
    if (finding.hangs.empty()) continue;
    AddLastFinished(model, &finding);
    AddReportedWaits(model, &finding);
  }
  std::ranges::stable_sort(findings, {}, Weight);
  diagnosis.findings = std::move(findings);
  NoteNoCollective(model, &diagnosis);
  NoteUndecoded(model, &diagnosis);
  NoteLosses(model, &diagnosis);
  return diagnosis;
}

}  // namespace

Detection Diagnose(const Model& model) {
  const bool few = model.hangs.size() <= kMaxHangs && model.troubles.size() <= kMaxTroubles;
  if (few) return DiagnoseAll(model);
  Model shortened = model;
  std::vector<std::string> notes;
  Shorten("hang", kMaxHangs, &shortened.hangs, &notes);
  Shorten("kernels' report", kMaxTroubles, &shortened.troubles, &notes);
  Detection diagnosis = DiagnoseAll(shortened);
  std::ranges::move(notes, std::back_inserter(diagnosis.unchecked));
  return diagnosis;
}

bool HasFindings(const Detection& diagnosis) {
  return std::ranges::any_of(diagnosis.findings, [](const Finding& finding) {
    return finding.severity != Severity::kAdvisory;
  });
}

}  // namespace lamplight
