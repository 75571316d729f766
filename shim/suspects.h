// Which calls of a replay may be the one that hangs: one for each workspace of the exec.
#pragma once

#include <cstdint>
#include <vector>

#include "shim/evidence.h"
#include "shim/exec.h"

namespace lamplight::shim {

// One suspect for each workspace, with the largest extent among the exec's calls on it: the slots
// of any of them are then inside what is read.
std::vector<Suspect> SuspectsOf(Exec& exec, const Workspaces& workspaces);

}  // namespace lamplight::shim
