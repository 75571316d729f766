#include "shim/cupti/static_runtime.h"

#include <link.h>

#include <climits>
#include <cstdio>
#include <cstring>

namespace lamplight::shim::cupti {
namespace {

constexpr char kLibrary[] = "libtensorrt_llm.so";
constexpr char kRuntime[] = "libcudart.so";

// What the object's dynamic section names as needed. The loader has turned addresses there into
// those of this process, unless the section is read-only.
bool Needs(const dl_phdr_info& object, const char* library) {
  const ElfW(Dyn)* section = nullptr;
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    if (object.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    section = reinterpret_cast<const ElfW(Dyn)*>(object.dlpi_addr + object.dlpi_phdr[i].p_vaddr);
  }
  const char* names = nullptr;
  for (const auto* entry = section; entry != nullptr && entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag != DT_STRTAB) continue;
    const bool relative = entry->d_un.d_ptr < object.dlpi_addr;
    names = reinterpret_cast<const char*>(entry->d_un.d_ptr + (relative ? object.dlpi_addr : 0));
  }
  for (const auto* entry = section; names != nullptr && entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag != DT_NEEDED) continue;
    if (std::strncmp(names + entry->d_un.d_val, library, std::strlen(library)) == 0) return true;
  }
  return false;
}

int Look(dl_phdr_info* object, size_t, void* out) {
  const char* path = object->dlpi_name == nullptr ? "" : object->dlpi_name;
  const char* slash = std::strrchr(path, '/');
  const char* name = slash == nullptr ? path : slash + 1;
  if (std::strcmp(name, kLibrary) != 0 || Needs(*object, kRuntime)) return 0;
  std::snprintf(static_cast<char*>(out), PATH_MAX, "%s", path);  // it is the loader's
  return 1;
}

}  // namespace

std::string LibraryWithStaticRuntime() noexcept {
  char path[PATH_MAX] = "";
  dl_iterate_phdr(Look, path);
  try {
    return path;
  } catch (...) {
    return {};
  }
}

}  // namespace lamplight::shim::cupti
