// What kernels of ours have reported of their own calls: findings of their own where they refused
// or gave up something, evidence where a finding is there already.
//
// Pure functions over a finished model; safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "analyzer/detectors/detection.h"
#include "analyzer/finding.h"

namespace lamplight {

// Reports other than divergences, which are C10's, and than waits that are part of a recorded hang.
Detection DetectTroubles(const Model& model);

// Reports of divergence of one communicator, the earliest first.
std::vector<Index> DivergenceReports(const Model& model, Index communicator);

// Adds reports to the finding, with one line of evidence for each.
void AddTroubleEvidence(const Model& model, const std::vector<Index>& troubles, Finding* finding);
// The same for waits that were reported during the finding's hangs.
void AddReportedWaits(const Model& model, Finding* finding);

// Fills everything that a report tells about where it was.
void PlaceAtTrouble(const Model& model, const Trouble& trouble, Finding* finding);

// "corrupt state words", …
std::string_view TroubleName(kernels::Trouble kind);
// One line: who, which call, what the kernel found and where.
std::string TroubleLine(const Model& model, const Trouble& trouble);

}  // namespace lamplight
