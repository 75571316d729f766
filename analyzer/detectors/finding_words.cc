// Names of enumerators, as reports print them.
#include "analyzer/finding.h"

namespace lamplight {

std::string_view ToString(Severity severity) {
  switch (severity) {
    case Severity::kHang:
      return "hang";
    case Severity::kSilent:
      return "silent";
    case Severity::kCrash:
      return "crash";
    case Severity::kAdvisory:
      return "advisory";
  }
  return "unknown";
}

std::string_view ToString(Confidence confidence) {
  switch (confidence) {
    case Confidence::kProven:
      return "proven";
    case Confidence::kLikely:
      return "likely";
    case Confidence::kPossible:
      return "possible";
  }
  return "unknown";
}

}  // namespace lamplight
