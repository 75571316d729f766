// A library that stands in front of a function of libc and asks for the next one, as many do.
#include <dlfcn.h>
#include <sys/types.h>

extern "C" {

__attribute__((visibility("default"))) pid_t getpid() noexcept {
  using Function = pid_t (*)();
  static auto* next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getpid"));
  return next();
}

// 1: the next getpid is neither this one nor absent.
__attribute__((visibility("default"))) int NextIsLater() {
  void* next = dlsym(RTLD_NEXT, "getpid");
  return next != nullptr && next != reinterpret_cast<void*>(&getpid) ? 1 : 0;
}
}
