// A library that uses CUDA as it is loaded.
#include <unistd.h>

extern "C" void AskFromConstructor();

__attribute__((constructor)) static void Loaded() {
  usleep(100);  // the dynamic linker's lock is held
  AskFromConstructor();
}
