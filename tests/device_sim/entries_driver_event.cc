// libcuda: events, and the stream calls that have no per-thread form. Thread-safe.
#include <cuda.h>

#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/event.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

extern "C" {

CUresult cuEventCreate(CUevent* event, unsigned flags) {
  return DriverInContext([&] { return CreateEvent(event, flags); });
}

CUresult cuEventDestroy(CUevent event) {
  return Driver([&] { return DestroyEvent(event); });
}

CUresult cuEventQuery(CUevent event) {
  return Driver([&] { return QueryEvent(event); });
}

CUresult cuEventSynchronize(CUevent event) {
  return Driver([&] { return SynchronizeEvent(event); });
}

CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  return Driver([&] { return ElapsedTime(milliseconds, start, end); });
}

CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  return DriverInContext([&] { return CreateStream(stream, flags, 0); });
}

CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority) {
  return DriverInContext([&] { return CreateStream(stream, flags, priority); });
}

CUresult cuStreamDestroy(CUstream stream) {
  return Driver([&] { return DestroyStream(stream); });
}

}  // extern "C"
