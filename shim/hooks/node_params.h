// What the hooks of graphs share about single nodes of an exec.
#pragma once

#include "shim/session.h"

namespace lamplight::shim::hooks {

// The node's call from here on: none where the host has switched it off, or it cannot be read.
void EmitNodeParams(Session& session, const Exec& exec, const GraphShape::Call& call);

}  // namespace lamplight::shim::hooks
