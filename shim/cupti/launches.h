// Kernel launches in CUPTI's callbacks, where a launch can be seen and not changed.
//
// Any thread.
#pragma once

#include <span>

#include "shim/driver/calls.h"

namespace lamplight::shim::cupti {

// Says once of each kernel that LAMPLIGHT_SWAP would replace that it is not.
std::span<const driver::Watched> Launches();

}  // namespace lamplight::shim::cupti
