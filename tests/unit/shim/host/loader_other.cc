// Another tool that stands in front of dlsym and says what it is asked of the driver.
#include <dlfcn.h>

#include <cstdio>
#include <cstring>

extern "C" __attribute__((visibility("default"))) void* dlsym(void* handle,
                                                              const char* name) noexcept {
  using Dlsym = void* (*)(void*, const char*);
  static auto* real = reinterpret_cast<Dlsym>(dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5"));
  if (std::strncmp(name, "cuGetProcAddress", 16) == 0) std::fprintf(stderr, "other: %s\n", name);
  return real(handle, name);
}
