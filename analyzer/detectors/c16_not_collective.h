// C16: a rank's replay is stuck before its collective, or has none: the collective is not the
// cause.
//
// Pure; safe from any thread. Predicate and limits: docs/hazards.md.
#pragma once

#include "analyzer/detectors/detection.h"

namespace lamplight {

Detection DetectC16(const Model& model);

}  // namespace lamplight
