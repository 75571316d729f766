// A libcuda.so.1 that notes which of its functions is called with what, and refuses every call.
#include "tests/unit/shim/fake_driver.h"

#include <cstring>

namespace {
FakeCall last;
}  // namespace

extern "C" {

__attribute__((visibility("default"))) FakeCall* FakeDriverCall() { return &last; }

// None takes more than eleven arguments, or a floating-point number: where it takes fewer, the rest
// is what is left in the registers and on the stack.
#define FAKE(name, count)                                                                         \
  __attribute__((visibility("default"))) int name(long a, long b, long c, long d, long e, long f, \
                                                  long g, long h, long i, long j, long k) {       \
    last = {#name, {a, b, c, d, e, f, g, h, i, j, k}, last.calls + 1};                            \
    return kFakeStatus;                                                                           \
  }
FAKE_FUNCTIONS(FAKE)
#undef FAKE

static int Answer(const char* name, void** out) {
#define FAKE(function, count)                  \
  if (std::strcmp(name, #function) == 0) {     \
    *out = reinterpret_cast<void*>(&function); \
    return 0;                                  \
  }
  FAKE_FUNCTIONS(FAKE)
#undef FAKE
  return kFakeStatus;
}

__attribute__((visibility("default"))) int cuGetProcAddress_v2(const char* name, void** out, int,
                                                               unsigned long, int*) {
  return Answer(name, out);
}
__attribute__((visibility("default"))) int cuGetProcAddress(const char* name, void** out, int,
                                                            unsigned long) {
  return Answer(name, out);
}
}
