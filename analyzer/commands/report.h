// `lamplight report`: reads traces, diagnoses, prints. One call per process.
#pragma once

#include <string>
#include <vector>

namespace lamplight {

struct ReportOptions {
  std::vector<std::string> paths;
  std::string format = "text";  // or "json"
  std::string output;           // empty: standard output
};

// The exit status.
int Report(const ReportOptions& options);

}  // namespace lamplight
