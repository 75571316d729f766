// Makes one story of many findings: joins equal ones of several ranks, and attributes each hang to
// the finding that explains it.
//
// Pure; safe from any thread.
#pragma once

#include <vector>

#include "analyzer/finding.h"

namespace lamplight {

// Findings of one hazard, sureness and communicator become one with several ranks.
std::vector<Finding> Merge(std::vector<Finding> findings);

// Adds a consequence to a finding for every hang that it explains without being its place: ranks
// that wait for the culprit, replays queued behind. Returns the hangs that no finding explains.
std::vector<Index> Attribute(const Model& model, std::vector<Finding>* findings);

}  // namespace lamplight
