// The watchdog's one sentence about a hang, from this rank's evidence alone. Pure.
//
// It names a cause only where the evidence of this rank proves it; the report, which sees all
// ranks, has the last word.
#pragma once

#include <string>
#include <vector>

#include "shim/evidence.h"

namespace lamplight::shim {

// The flags have moved on and the rank looks idle, yet a kernel must still be polling the dirty
// generation: words of it are empty, which no complete call leaves behind; or all have arrived, and
// some look absent to a kernel that flushes subnormals.
bool WaitsInDirtyGeneration(const WorkspaceEvidence& evidence);

std::string Verdict(const std::vector<WorkspaceEvidence>& evidence, bool launch_returned);

}  // namespace lamplight::shim
