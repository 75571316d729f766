// From the command line's files and folders to trace files. Thread-safe: no state.
#pragma once

#include <string>
#include <vector>

namespace lamplight {

struct TracePaths {
  std::vector<std::string> files;   // sorted, each once
  std::vector<std::string> errors;  // one line for each argument that gives none
};

// A folder stands for the *.lamptrace files in it.
TracePaths ExpandTracePaths(const std::vector<std::string>& arguments);

}  // namespace lamplight
