// libcudart: events, and the stream calls that have no per-thread form. Thread-safe.
#include <cuda.h>
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
  return Runtime([&] { return cuEventDestroy(event); });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return Runtime([&] { return cuEventQuery(event); });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return Runtime([&] { return cuEventSynchronize(event); });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return Runtime([&] { return ElapsedTime(milliseconds, start, end); });
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return Runtime([&] { return cuStreamCreate(stream, 0); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return Runtime([&] { return cuStreamCreate(stream, flags); });
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  return Runtime([&] { return cuStreamCreateWithPriority(stream, flags, priority); });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return Runtime([&] { return cuStreamDestroy(stream); });
}

}  // extern "C"
