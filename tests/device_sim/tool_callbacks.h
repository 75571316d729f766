// The one subscriber of CUPTI's callbacks, and how the driver's entries tell it of their calls.
//
// Thread-safe. An entry without a subscriber pays one load.
#pragma once

#include <atomic>

#include "shim/cupti/abi.h"
#include "tests/device_sim/status.h"

namespace device_sim {

namespace cupti = lamplight::cupti;

#ifdef CUDA_API_PER_THREAD_DEFAULT_STREAM
inline constexpr bool kPerThreadForms = true;
#else
inline constexpr bool kPerThreadForms = false;
#endif

cupti::Result Subscribe(cupti::Subscriber* out, cupti::Callback callback, void* user);
cupti::Result Unsubscribe(cupti::Subscriber subscriber);
cupti::Result EnableCallback(bool enable, cupti::Subscriber subscriber, int domain, uint32_t id);

// Has CUDA_INJECTION64_PATH's library called, once, as cuInit does.
void InjectTool();

// One call of a driver function: its enter is told when it is made, its exit by Exit.
class ToldCall {
 public:
  ToldCall(uint32_t id, const char* name, const void* parameters);
  // What the host is given: the subscriber may have put another status there.
  CUresult Exit(CUresult status);

 private:
  void Tell(cupti::Site site);

  uint32_t id_;
  cupti::CallbackData data_{};
  uint64_t shared_ = 0xdeadbeef;  // a fresh call promises nothing
  bool told_ = false;
};

// Runs `body` between the two callbacks of the function.
template <class Parameters, class Body>
CUresult Told(cupti::CallId id, const char* name, const Parameters& parameters, Body body) {
  const bool per_thread = kPerThreadForms && id.per_thread != 0;
  ToldCall call(per_thread ? id.per_thread : id.plain, name, &parameters);
  return call.Exit(body());
}

}  // namespace device_sim
