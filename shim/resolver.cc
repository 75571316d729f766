// Lookup through the dynamic linker. Frameworks load the runtime with local scope, where RTLD_NEXT
// does not see it, so a loaded libcudart is found by walking the loaded objects.
#include "shim/resolver.h"

#include <dlfcn.h>
#include <link.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace lamplight::shim {
namespace {

int FindRuntime(dl_phdr_info* object, size_t, void* out) {
  if (object->dlpi_name == nullptr) return 0;
  const char* base = std::strrchr(object->dlpi_name, '/');
  base = base == nullptr ? object->dlpi_name : base + 1;
  if (std::strncmp(base, "libcudart.so", 12) != 0) return 0;
  *static_cast<std::string*>(out) = object->dlpi_name;
  return 1;
}

void* LoadedRuntime() {
  static std::atomic<void*> cached{nullptr};
  void* library = cached.load(std::memory_order_acquire);
  if (library != nullptr) return library;
  std::string path;
  dl_iterate_phdr(FindRuntime, &path);
  if (path.empty()) return nullptr;
  library = dlopen(path.c_str(), RTLD_NOLOAD | RTLD_LAZY);
  cached.store(library, std::memory_order_release);
  return library;
}

// No static's guard is held around dlopen: the dynamic linker's lock is wanted in there.
void* LoadedDriver(bool load) {
  static std::atomic<void*> cached{nullptr};
  void* library = cached.load(std::memory_order_acquire);
  if (library != nullptr) return library;
  library = dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_LAZY);
  if (library == nullptr && load) library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  cached.store(library, std::memory_order_release);
  return library;
}

void* FindInDriver(const char* name, bool load) {
  const int saved = errno;
  void* library = LoadedDriver(load);
  void* found = library == nullptr ? nullptr : dlsym(library, name);
  errno = saved;
  return found;
}

}  // namespace

void* ResolveRuntime(const char* name) noexcept {
  const int saved = errno;
  void* found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) {
    if (void* library = LoadedRuntime()) found = dlsym(library, name);
  }
  errno = saved;
  return found;
}

void* ResolveDriver(const char* name) noexcept { return FindInDriver(name, true); }

void* ResolveLoadedDriver(const char* name) noexcept { return FindInDriver(name, false); }

}  // namespace lamplight::shim
