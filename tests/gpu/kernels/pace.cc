#include "tests/gpu/kernels/pace.h"

#include <algorithm>

#include "tests/gpu/kernels/check.h"

namespace lamplight::kernels::gpu {

Pace::Pace(cudaStream_t stream, uint32_t most) : stream_(stream) {
  for (uint32_t i = 0; i < std::max(most, 1u); ++i) {
    Check(cudaEventCreateWithFlags(&events_.emplace_back(), cudaEventDisableTiming), "event");
  }
}

Pace::~Pace() {
  for (cudaEvent_t event : events_) cudaEventDestroy(event);
}

void Pace::Step() {
  const uint64_t step = steps_++;
  Check(cudaEventRecord(events_[step % events_.size()], stream_), "cudaEventRecord");
  if (step + 1 < events_.size()) return;
  waits_ = true;
  Check(cudaEventSynchronize(events_[(step + 1) % events_.size()]), "cudaEventSynchronize");
  waits_ = false;
}

std::string Pace::Describe() const {
  return std::to_string(steps_) + " steps launched, " +
         (waits_ ? "waits for an earlier one" : "in the next one's launch or behind the last");
}

}  // namespace lamplight::kernels::gpu
