// Streams of one device that run beside each other: nothing promises that they do, and ranks that
// wait for each other on streams that do not stand still for ever. The kernel is meet.cu's; on the
// simulated device its body is simulated.cc's. One thread; no kernel may be polling meanwhile.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <vector>

namespace lamplight::kernels::gpu {

// What the kernels of one meeting share.
struct Meeting {
  uint32_t arrived;
  uint32_t alone;  // kernels that waited in vain
};

// So long a kernel waits for the others.
inline constexpr uint64_t kPatienceNs = 2'000'000'000;

class MeetingStreams {
 public:
  // `count` streams of the current device on which kernels meet; throws where none are found.
  explicit MeetingStreams(uint32_t count);
  ~MeetingStreams();
  MeetingStreams(const MeetingStreams&) = delete;
  MeetingStreams& operator=(const MeetingStreams&) = delete;

  cudaStream_t operator[](uint32_t index) const { return streams_[index]; }
  // Streams on which kernels did not meet, and which others were taken for.
  uint32_t refused() const { return static_cast<uint32_t>(refused_.size()); }

 private:
  bool Meet();

  Meeting* meeting_ = nullptr;  // on the device
  std::vector<cudaStream_t> streams_;
  std::vector<cudaStream_t> refused_;  // kept, so that new ones get another place
};

}  // namespace lamplight::kernels::gpu
