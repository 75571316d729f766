// Walks the loader's list; stateless.
#include "shim/stacks/module.h"

#include <link.h>
#include <unistd.h>

#include <climits>
#include <cstring>
#include <string_view>

namespace lamplight::stacks {
namespace {

std::string Executable() {
  char path[PATH_MAX];
  const ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path));
  return bytes > 0 ? std::string(path, static_cast<size_t>(bytes)) : std::string();
}

struct Search {
  uintptr_t address = 0;
  const char* part = nullptr;
  Module found;
};

bool Covers(const dl_phdr_info& object, uintptr_t address) {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object.dlpi_phdr[i];
    const uintptr_t begin = object.dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD && address >= begin && address - begin < segment.p_memsz) {
      return true;
    }
  }
  return false;
}

int Visit(dl_phdr_info* object, size_t, void* argument) {
  Search& search = *static_cast<Search*>(argument);
  const bool hit = search.part != nullptr ? std::strstr(object->dlpi_name, search.part) != nullptr
                                          : Covers(*object, search.address);
  if (!hit) return 0;
  search.found.load_address = object->dlpi_addr;
  // The executable's name is empty in the loader's list.
  search.found.path = object->dlpi_name[0] != '\0' ? object->dlpi_name : Executable();
  return 1;
}

}  // namespace

Module ModuleOf(uintptr_t address) {
  Search search;
  search.address = address;
  dl_iterate_phdr(Visit, &search);
  return search.found;
}

Module ModuleNamed(const char* part) {
  Search search;
  search.part = part;
  dl_iterate_phdr(Visit, &search);
  return search.found;
}

}  // namespace lamplight::stacks
