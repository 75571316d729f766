// `lamplight dump`: every record of one trace, field by field. One call per process.
#pragma once

#include <string>
#include <vector>

namespace lamplight {

struct DumpOptions {
  std::string path;
  std::string format = "text";     // or "json": one object a line
  std::vector<std::string> types;  // record types to print; empty: all
};

// The exit status.
int Dump(const DumpOptions& options);

// Names that --type accepts.
std::vector<std::string> DumpTypes();

}  // namespace lamplight
