// The answer of one detector, or of all of them together. Plain values.
#pragma once

#include <string>
#include <vector>

#include "analyzer/finding.h"

namespace lamplight {

struct Detection {
  std::vector<Finding> findings;
  // What could not be checked and why: one line each. Never silently "clean".
  std::vector<std::string> unchecked;
};

}  // namespace lamplight
