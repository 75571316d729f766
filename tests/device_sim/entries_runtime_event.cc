// libcudart: events, and the stream calls that have no per-thread form. Thread-safe.
#include <cuda_runtime_api.h>

#include "tests/device_sim/capture.h"
#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/event.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

extern "C" {

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return Runtime([&] { return CreateEvent(event, 0); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return Runtime([&] { return CreateEvent(event, flags); });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return Runtime([&] { return DestroyEvent(event); });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return Runtime([&] { return QueryEvent(event); });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return Runtime([&] { return SynchronizeEvent(event); });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return Runtime([&] { return ElapsedTime(milliseconds, start, end); });
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return Runtime([&] { return CreateStream(stream, 0, 0); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return Runtime([&] { return CreateStream(stream, flags, 0); });
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  return Runtime([&] { return CreateStream(stream, flags, priority); });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return Runtime([&] { return DestroyStream(stream); });
}

}  // extern "C"
