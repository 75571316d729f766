// C8: a call that reads before it waits for the kernel that writes there. Pure function over a
// finished model; safe from any thread.
#pragma once

#include "analyzer/detectors/detection.h"
#include "analyzer/trace_model.h"

namespace lamplight {

Detection DetectC8(const Model& model);

}  // namespace lamplight
