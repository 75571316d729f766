// Thread-safe.
#include "tests/device_sim/driver_lookup.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>

namespace device_sim {
namespace {

void* Driver() {
  static void* library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  return library;
}

// Entries whose newest form has another signature than older callers expect.
struct Changed {
  const char* name;
  int since;
  const char* older;
};
constexpr Changed kChanged[] = {
    {"cuGraphGetEdges", 12030, "cuGraphGetEdges"},
    {"cuStreamGetCaptureInfo", 12030, "cuStreamGetCaptureInfo_v2"},
};

void* Look(const std::string& name, bool per_thread) {
  if (per_thread) {
    for (const char* suffix : {"_ptsz", "_ptds"}) {
      if (void* found = dlsym(Driver(), (name + suffix).c_str())) return found;
    }
  }
  return dlsym(Driver(), name.c_str());
}

}  // namespace

void* FindDriverEntry(const char* name, int version, bool per_thread_default_stream) {
  if (name == nullptr || std::strncmp(name, "cu", 2) != 0 || Driver() == nullptr) return nullptr;
  const auto* changed = std::ranges::find_if(
      kChanged, [&](const Changed& entry) { return std::strcmp(entry.name, name) == 0; });
  if (changed != std::end(kChanged) && version < changed->since) {
    return Look(changed->older, per_thread_default_stream);
  }
  for (const char* suffix : {"_v4", "_v3", "_v2", ""}) {
    if (void* found = Look(std::string(name) + suffix, per_thread_default_stream)) return found;
  }
  return nullptr;
}

}  // namespace device_sim
