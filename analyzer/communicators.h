// Which workspaces are the ends of one communicator. Thread-safe: no state.
#pragma once

#include <string>
#include <vector>

#include "analyzer/trace_model.h"

namespace lamplight {

// Fills model->communicators and the workspaces' references to them. `keys`, by workspace: what the
// processes could tell about their group; empty: nothing. Where the grouping is not the only
// possible one, a note says so.
void GroupCommunicators(const std::vector<std::string>& keys, Model* model);

}  // namespace lamplight
