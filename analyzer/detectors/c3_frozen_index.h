// C3: a generation index that the host passes is frozen in a captured graph.
//
// Pure; safe from any thread. Predicate and limits: docs/hazards.md.
#pragma once

#include "analyzer/detectors/detection.h"

namespace lamplight {

Detection DetectC3(const Model& model);

}  // namespace lamplight
