// C10: ranks of one communicator do not make the same calls.
//
// Pure; safe from any thread. Predicate and limits: docs/hazards.md.
#pragma once

#include "analyzer/detectors/detection.h"

namespace lamplight {

Detection DetectC10(const Model& model);

}  // namespace lamplight
