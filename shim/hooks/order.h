// What orders work between streams and the host: events, waits, synchronisation, stream lifetimes.
//
// Recorded once the process has a Lamport workspace, so that overlap (C9) can be told from order.
#pragma once

#include <cuda_runtime_api.h>

#include "shim/resolver.h"

namespace lamplight::shim::hooks {

// After a successful call of each kind.
void StreamCreated(cudaStream_t stream, unsigned flags) noexcept;
void StreamDestroying(cudaStream_t stream) noexcept;
void EventRecorded(cudaEvent_t event, cudaStream_t stream, bool per_thread) noexcept;
void EventDestroying(cudaEvent_t event) noexcept;
void StreamWaits(cudaStream_t stream, cudaEvent_t event, bool per_thread) noexcept;
// The host knows the stream's (event's, device's) earlier work to be complete.
void StreamDone(cudaStream_t stream, bool per_thread) noexcept;
void EventDone(cudaEvent_t event) noexcept;
void DeviceDone() noexcept;

}  // namespace lamplight::shim::hooks
