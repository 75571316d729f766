// Which hangs only stand behind another hang of their process. Pure; safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "analyzer/trace_model.h"

namespace lamplight {

// The unended hang of the same process that `hang` waits behind (or may, where the order of the two
// is not known); kNone: it is the first in its line.
Index HangInFront(const Model& model, Index hang);

// Ranks of the communicator of `workspace` that wait, in a hang of theirs, for words of its rank.
std::vector<Index> HangsWaitingFor(const Model& model, Index workspace);

}  // namespace lamplight
