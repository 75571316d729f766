// Descriptor files: JSON in, descriptors or reasons out. The schema is explained in README.md.
//
// Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shim/lamport/descriptor.h"

namespace lamplight::lamport {

struct DescriptorFile {
  std::vector<Descriptor> descriptors;
  std::vector<Family> families;
};

inline constexpr size_t kMaxFileBytes = 1 << 20;

// False with messages in `errors`, each naming `file`, the place in it, the value and what is
// expected. `result` is complete or untouched.
bool ParseDescriptors(std::string_view text, const std::string& file, DescriptorFile* result,
                      std::vector<std::string>* errors);

}  // namespace lamplight::lamport
