// C2: calls of two widths of elements share one non-MNNVL workspace, each armed by the other's
// mark. Pure function over a finished model; safe from any thread.
#pragma once

#include "analyzer/detectors/detection.h"
#include "analyzer/trace_model.h"

namespace lamplight {

Detection DetectC2(const Model& model);
// Of a workspace of any layout.
bool HasCallsOfBothWidths(const Model& model, Index workspace);

}  // namespace lamplight
