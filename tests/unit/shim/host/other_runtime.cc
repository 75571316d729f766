// What the shim looks at in a CUDA runtime, with answers that tell which one it is. Two of them are
// in runtimes_host's process, each with local scope, as wheels bring them.
extern "C" {

__attribute__((visibility("default"))) int cudaRuntimeGetVersion(int* version) {
  *version = LAMPLIGHT_RUNTIME * 1000;
  return 0;
}
__attribute__((visibility("default"))) int cudaGraphLaunch(void*, void*) {
  return LAMPLIGHT_RUNTIME;
}
}
