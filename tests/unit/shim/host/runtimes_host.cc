// Opens libraries that are linked to different CUDA runtimes, and says which of these answers each.
//
// usage: runtimes_host LIBRARY…
#include <dlfcn.h>

#include <cstdio>

int main(int argc, char** argv) {
  for (int round = 0; round < 2; ++round) {
    for (int i = 1; i < argc; ++i) {
      void* library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
      if (library == nullptr) {
        std::puts(dlerror());
        return 1;
      }
      std::printf("%d\n", reinterpret_cast<int (*)()>(dlsym(library, "Use"))());
    }
  }
  return 0;
}
