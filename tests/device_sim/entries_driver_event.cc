// libcuda: events, and the stream calls that have no per-thread form. Thread-safe.
#include <cuda.h>

#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/event.h"
#include "tests/device_sim/tool_callbacks.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

extern "C" {

CUresult cuEventCreate(CUevent* event, unsigned flags) {
  return DriverInContext([&] { return CreateEvent(event, flags); });
}

CUresult cuEventDestroy(CUevent event) {
  const cupti::EventParams told{event};
  return Told(cupti::kEventDestroy, "cuEventDestroy_v2", told,
              [&]() -> CUresult { return Driver([&] { return DestroyEvent(event); }); });
}

CUresult cuEventQuery(CUevent event) {
  const cupti::EventParams told{event};
  return Told(cupti::kEventQuery, "cuEventQuery", told,
              [&]() -> CUresult { return Driver([&] { return QueryEvent(event); }); });
}

CUresult cuEventSynchronize(CUevent event) {
  const cupti::EventParams told{event};
  return Told(cupti::kEventSynchronize, "cuEventSynchronize", told,
              [&]() -> CUresult { return Driver([&] { return SynchronizeEvent(event); }); });
}

CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  return Driver([&] { return ElapsedTime(milliseconds, start, end); });
}

CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  const cupti::StreamCreateParams told{stream, flags};
  return Told(cupti::kStreamCreate, "cuStreamCreate", told, [&]() -> CUresult {
    return DriverInContext([&] { return CreateStream(stream, *CurrentContext(), flags, 0); });
  });
}

CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority) {
  const cupti::StreamCreatePriorityParams told{stream, flags, priority};
  return Told(cupti::kStreamCreateWithPriority, "cuStreamCreateWithPriority", told,
              [&]() -> CUresult {
                return DriverInContext(
                    [&] { return CreateStream(stream, *CurrentContext(), flags, priority); });
              });
}

CUresult cuStreamDestroy(CUstream stream) {
  const cupti::StreamParams told{stream};
  return Told(cupti::kStreamDestroy, "cuStreamDestroy_v2", told,
              [&]() -> CUresult { return Driver([&] { return DestroyStream(stream); }); });
}

}  // extern "C"
