// C1: a word of the payload is bitwise the mark of an empty slot, so that no kernel ever takes it.
//
// Pure; safe from any thread. Predicate and limits: docs/hazards.md.
#pragma once

#include "analyzer/detectors/detection.h"

namespace lamplight {

Detection DetectC1Payload(const Model& model);

}  // namespace lamplight
