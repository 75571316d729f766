// A tool in front of the shim that has a dlsym of its own, as an ordinary function: what it takes
// for the next function is the one behind itself, which may be the shim's.
#include <dlfcn.h>

extern "C" __attribute__((visibility("default"))) void* dlsym(void* handle,
                                                              const char* name) noexcept {
  using Function = void* (*)(void*, const char*);
  static auto* const real = reinterpret_cast<Function>(dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5"));
  void* found = real(handle, name);
  asm volatile("" ::"r"(found) : "memory");  // not by a jump
  return found;
}
