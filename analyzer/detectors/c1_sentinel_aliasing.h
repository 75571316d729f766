// C1: every word has arrived, and the kernel's own compare calls some of them absent.
//
// Pure; safe from any thread. Predicate and limits: docs/hazards.md.
#pragma once

#include "analyzer/detectors/detection.h"

namespace lamplight {

Detection DetectC1(const Model& model);

}  // namespace lamplight
