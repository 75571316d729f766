// `lamplight run`: starts a program with the shim preloaded. One call per process.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lamplight {

struct RunOptions {
  std::string out;  // trace folder; empty: LAMPLIGHT_DIR, else a new one in the current folder
  std::optional<double> timeout_s;
  std::string mode;  // empty: as the environment says
  bool swap = false;
  bool cupti = false;
  std::string shim;  // liblamplight.so; empty: searched beside the executable
  std::vector<std::string> command;
};

// The exit status: the command's own.
int Run(const RunOptions& options);

}  // namespace lamplight
