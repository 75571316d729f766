// Lookup through the dynamic linker. Frameworks load the runtime with local scope, where RTLD_NEXT
// does not see it, so a loaded libcudart is found by walking the loaded objects.
#include "shim/resolver.h"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "shim/log.h"

namespace lamplight::shim {
namespace {

// What no runtime lacks, and nothing but a runtime has.
constexpr char kEachHas[] = "cudaRuntimeGetVersion";

using Dlsym = void* (*)(void*, const char*);

// libc's own. A library in front of the shim may have one too, as an ordinary function: what it
// takes for the next function behind itself is the shim's.
Dlsym RealDlsym() noexcept {
  static constinit std::atomic<Dlsym> cached{nullptr};
  Dlsym real = cached.load(std::memory_order_acquire);
  if (real != nullptr) return real;
  real = reinterpret_cast<Dlsym>(dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5"));
  if (real == nullptr) real = &dlsym;
  cached.store(real, std::memory_order_release);
  return real;
}

Dl_info ObjectOf(const void* address) noexcept {
  Dl_info object{};
  if (address == nullptr || dladdr(address, &object) == 0) return {};
  return object;
}

// Null also where it is the shim's own: a hook must never be its own real function.
void* Look(void* library, const char* name) noexcept {
  void* found = RealDlsym()(library, name);
  const auto* own = ObjectOf(reinterpret_cast<const void*>(&ResolveRuntime)).dli_fbase;
  return found != nullptr && ObjectOf(found).dli_fbase == own ? nullptr : found;
}

// Tools that repair wheels rename it: libcudart-8774224f.so.12.
bool IsRuntimesName(std::string_view path) noexcept {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.starts_with("libcudart.") || name.starts_with("libcudart-");
}

int AddRuntime(dl_phdr_info* object, size_t, void* out) {
  if (object->dlpi_name == nullptr || !IsRuntimesName(object->dlpi_name)) return 0;
  static_cast<std::vector<std::string>*>(out)->emplace_back(object->dlpi_name);
  return 0;
}

// Among what is so called, the first that is one.
void* FindRuntime() {
  std::vector<std::string> paths;
  dl_iterate_phdr(AddRuntime, &paths);
  for (const std::string& path : paths) {
    void* library = dlopen(path.c_str(), RTLD_NOLOAD | RTLD_LAZY);
    if (library == nullptr) continue;
    const void* version = Look(library, kEachHas);
    // Not one of what it is linked to.
    if (version != nullptr && IsRuntimesName(ObjectOf(version).dli_fname)) return library;
    dlclose(library);
  }
  return nullptr;
}

void* LoadedRuntime() {
  static std::atomic<void*> cached{nullptr};
  void* library = cached.load(std::memory_order_acquire);
  if (library != nullptr) return library;
  library = FindRuntime();
  cached.store(library, std::memory_order_release);
  return library;
}

// Where runtimes but the first lie, as they are found. They stay loaded once they are called.
constinit std::array<std::atomic<const void*>, kMostRuntimes> others{};  // others[0] is nobody's

void TellOfSeveral(const char* first, const char* other) noexcept {
  LogWarning("{} and {} are in one process: each call goes to the one that its caller is linked to",
             first, other);
}

// The number of the runtime that has the function `version`.
Runtime NumberOf(const void* version) {
  const Dl_info object = ObjectOf(version);
  const Dl_info first = ObjectOf(ResolveRuntime(kEachHas));
  // Another tool's function may stand in front of all of them.
  if (object.dli_fbase == nullptr || object.dli_fbase == first.dli_fbase) return 0;
  if (first.dli_fname != nullptr && !IsRuntimesName(first.dli_fname)) return 0;
  for (Runtime runtime = 1; runtime < kMostRuntimes; ++runtime) {
    const void* known = nullptr;
    if (others[runtime].compare_exchange_strong(known, object.dli_fbase)) {
      if (first.dli_fname != nullptr) TellOfSeveral(first.dli_fname, object.dli_fname);
      return runtime;
    }
    if (known == object.dli_fbase) return runtime;
  }
  return 0;
}

// What its module, and what that is linked to, has: the scope in which it found the function.
Runtime LookUpRuntimeOf(const void* caller) {
  Dl_info object{};
  link_map* map = nullptr;
  if (dladdr1(caller, &object, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0 ||
      map == nullptr) {
    return 0;
  }
  void* module = dlopen(map->l_name, RTLD_NOLOAD | RTLD_LAZY);
  if (module == nullptr) return 0;
  const void* version = Look(module, kEachHas);
  const Runtime runtime = version == nullptr ? 0 : NumberOf(version);
  dlclose(module);
  return runtime;
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
  void* found = library == nullptr ? nullptr : RealDlsym()(library, name);
  errno = saved;
  return found;
}

}  // namespace

void* ResolveRuntime(const char* name, Runtime runtime) noexcept {
  const int saved = errno;
  void* found = nullptr;
  if (runtime != 0) {
    const Dl_info object = ObjectOf(others[runtime].load());
    void* library = dlopen(object.dli_fname, RTLD_NOLOAD | RTLD_LAZY);
    if (library != nullptr) found = Look(library, name);
  } else {
    found = Look(RTLD_NEXT, name);
    void* library = found == nullptr ? LoadedRuntime() : nullptr;
    if (library != nullptr) found = Look(library, name);
  }
  errno = saved;
  return found;
}

// A few neighbours of its slot stand in for it: two callers that thrash would pay for it each time.
Runtime LearnRuntimeOf(const void* caller) noexcept {
  constexpr size_t kNeighbours = 8;
  constexpr uint64_t kAddress = (uint64_t{1} << CallerTable::kRuntimeShift) - 1;
  const auto address = reinterpret_cast<uintptr_t>(caller);
  const size_t slot = CallerTable::Slot(address);
  const auto entry_at = [&](size_t i) -> std::atomic<uint64_t>& {
    return caller_table.entries[(slot + i) % caller_table.entries.size()];
  };
  for (size_t i = 1; i < kNeighbours; ++i) {
    const uint64_t entry = entry_at(i).load(std::memory_order_relaxed);
    if ((entry & kAddress) == address)
      return static_cast<Runtime>(entry >> CallerTable::kRuntimeShift);
  }
  const int saved = errno;
  const Runtime runtime = LookUpRuntimeOf(caller);
  errno = saved;
  const uint64_t own = uint64_t{runtime} << CallerTable::kRuntimeShift | address;
  for (size_t i = 0; i < kNeighbours; ++i) {
    uint64_t empty = 0;
    if (entry_at(i).compare_exchange_strong(empty, own, std::memory_order_relaxed)) return runtime;
  }
  entry_at(0).store(own, std::memory_order_relaxed);
  return runtime;
}

void* ResolveDriver(const char* name) noexcept { return FindInDriver(name, true); }

void* ResolveLoadedDriver(const char* name) noexcept { return FindInDriver(name, false); }

}  // namespace lamplight::shim
