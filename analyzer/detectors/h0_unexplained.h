// H0: a hang whose cause the data does not prove. Says what is known and what is missing.
//
// Pure; safe from any thread.
#pragma once

#include <optional>

#include "analyzer/detectors/detection.h"

namespace lamplight {

// Where the hung rank waits for one whose process has written nothing more.
std::optional<Finding> DescribeSilentPeer(const Model& model, Index hang);

Finding DescribeUnexplained(const Model& model, Index hang);

// A replay that exceeded the timeout and completed after all: advisory.
Finding DescribeSlow(const Model& model, Index hang);

}  // namespace lamplight
