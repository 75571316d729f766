// What every C entry does around its body: initialise, keep exceptions in, remember the last error.
//
// Thread-safe; the last error belongs to the thread.
#pragma once

#include <cuda.h>
#include <driver_types.h>

#include <new>
#include <system_error>

#include "tests/device_sim/device.h"
#include "tests/device_sim/sim_kernel.h"
#include "tests/device_sim/status.h"
#include "tests/device_sim/stream.h"

namespace device_sim {

#ifdef CUDA_API_PER_THREAD_DEFAULT_STREAM
inline constexpr DefaultStream kDefaultStream = DefaultStream::kPerThread;
#else
inline constexpr DefaultStream kDefaultStream = DefaultStream::kLegacy;
#endif

// The runtime's way in: makes device 0 current where the thread has no context.
Status EnterRuntime();
cudaError_t Remember(Status status);
cudaError_t LastError(bool reset);

template <class Body>
Status Contain(Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  } catch (const std::system_error&) {  // no more threads
    return CUDA_ERROR_OUT_OF_MEMORY;
  } catch (...) {  // the host is C: nothing may pass
    return CUDA_ERROR_UNKNOWN;
  }
}

template <class Body>
cudaError_t Runtime(Body body) noexcept {
  const Status entered = EnterRuntime();
  return Remember(entered != kOk ? entered : Contain(body));
}

// `body(Stream&)`.
template <class Body>
cudaError_t RuntimeOn(CUstream handle, Body body) noexcept {
  return Runtime([&]() -> Status {
    const StreamRef stream = FindStream(handle, kDefaultStream);
    return stream == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(*stream);
  });
}

template <class Body>
CUresult Driver(Body body) noexcept {
  const Status initialised = CheckInitialised();
  return initialised != kOk ? initialised : Contain(body);
}

// For calls that need a current context.
template <class Body>
CUresult DriverInContext(Body body) noexcept {
  return Driver(
      [&]() -> Status { return CurrentDevice() == nullptr ? CUDA_ERROR_INVALID_CONTEXT : body(); });
}

template <class Body>
CUresult DriverOn(CUstream handle, Body body) noexcept {
  return DriverInContext([&]() -> Status {
    const StreamRef stream = FindStream(handle, kDefaultStream);
    return stream == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(*stream);
  });
}

// Stores through a pointer that the caller may have left null.
template <class T, class U>
Status Store(T* out, U value) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *out = static_cast<T>(value);
  return kOk;
}

inline uintptr_t AddressOf(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

}  // namespace device_sim
