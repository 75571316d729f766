#include "tests/gpu/kernels/pace.h"

#include <algorithm>
#include <utility>

#include "tests/gpu/kernels/check.h"

namespace lamplight::kernels::gpu {

Pace::Pace(cudaStream_t stream, uint32_t most) : stream_(stream) {
  for (uint32_t i = 0; i < std::max(most, 1u); ++i) {
    Check(cudaEventCreateWithFlags(&events_.emplace_back(), cudaEventDisableTiming), "event");
  }
}

Pace::Pace(Pace&& other) noexcept
    : stream_(other.stream_), events_(std::exchange(other.events_, {})), steps_(other.steps_) {}

Pace::~Pace() {
  for (cudaEvent_t event : events_) cudaEventDestroy(event);
}

void Pace::Step() {
  Check(cudaEventRecord(events_[steps_++ % events_.size()], stream_), "cudaEventRecord");
  if (steps_ < events_.size()) return;
  Check(cudaEventSynchronize(events_[steps_ % events_.size()]), "cudaEventSynchronize");
}

}  // namespace lamplight::kernels::gpu
