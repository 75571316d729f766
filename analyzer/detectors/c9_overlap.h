// C9: two launches use one rank's workspace at the same time.
//
// Pure; safe from any thread. Predicate and limits: docs/hazards.md.
#pragma once

#include "analyzer/detectors/detection.h"

namespace lamplight {

Detection DetectC9(const Model& model);

}  // namespace lamplight
