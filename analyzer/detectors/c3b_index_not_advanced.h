// C3b: the flag words do not move on by as many calls as were made, or hold a residue of arrivals.
//
// Pure; safe from any thread. Predicate and limits: docs/hazards.md.
#pragma once

#include "analyzer/detectors/detection.h"

namespace lamplight {

Detection DetectC3b(const Model& model);

}  // namespace lamplight
