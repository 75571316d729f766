// C7: a barrier that a later, larger grid can pass early. Pure function over a finished model; safe
// from any thread.
#pragma once

#include "analyzer/detectors/detection.h"
#include "analyzer/trace_model.h"

namespace lamplight {

Detection DetectC7(const Model& model);

}  // namespace lamplight
