// From the command line's files and folders to trace files. Thread-safe: no state.
#pragma once

#include <string>
#include <vector>

namespace lamplight {

struct TracePaths {
  std::vector<std::string> files;   // sorted, each once
  std::vector<std::string> errors;  // one line for each argument that gives none, or not all
  // For each argument whose subfolders were read: which, one line.
  std::vector<std::string> notes;
};

// A folder stands for the *.lamptrace files in it; where it has none, its subfolders do, to a depth
// of three.
TracePaths ExpandTracePaths(const std::vector<std::string>& arguments);

}  // namespace lamplight
