// H0: a hang whose cause the data does not prove. Says what is known and what is missing.
//
// Pure; safe from any thread.
#pragma once

#include "analyzer/detectors/detection.h"

namespace lamplight {

Finding DescribeUnexplained(const Model& model, Index hang);

// A replay that exceeded the timeout and completed after all: advisory.
Finding DescribeSlow(const Model& model, Index hang);

}  // namespace lamplight
