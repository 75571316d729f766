// What a workspace must look like when all ranks are done with a call, found out from the bytes
// alone. Reads a group that is at rest.
#pragma once

#include <cstdint>

#include "tests/unit/kernels/rank_group.h"

namespace lamplight::kernels {

// `calls`: how many the group has completed, counted from its creation; `work`: the last of them.
// Flags moved on by as many, no arrivals left; the generations of the two calls to come hold
// sentinels only (lines of past epochs only), the last call's generation nothing beyond its sizes.
void ExpectQuiet(const RankGroup& group, uint64_t calls, const Work& work);

}  // namespace lamplight::kernels
