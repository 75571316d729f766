// The file that an address of this process was loaded from.
//
// Any thread; takes the dynamic loader's lock.
#pragma once

#include <cstdint>
#include <string>

namespace lamplight::stacks {

struct Module {
  std::string path;
  uint64_t load_address = 0;
};

// Empty path: no loaded file covers `address`.
Module ModuleOf(uintptr_t address);
// The first loaded file whose name contains `part`; empty path: none.
Module ModuleNamed(const char* part);

}  // namespace lamplight::stacks
