// A library that is linked to one of the runtimes.
extern "C" {

int cudaGraphLaunch(void* exec, void* stream);

__attribute__((visibility("default"))) int Use() {
  const int status = cudaGraphLaunch(nullptr, nullptr);
  asm volatile("" ::: "memory");  // not by a jump
  return status;
}
}
