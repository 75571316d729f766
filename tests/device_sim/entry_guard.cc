// Thread-safe: state is the thread's own.
#include "tests/device_sim/entry_guard.h"

namespace device_sim {
namespace {
thread_local Status last_error = kOk;
}

Status EnterRuntime() {
  SIM_TRY(Initialise());
  if (CurrentDevice() == nullptr) SetCurrentDevice(*DeviceAt(0));
  return kOk;
}

cudaError_t Remember(Status status) {
  if (status != kOk) last_error = status;
  return static_cast<cudaError_t>(status);
}

cudaError_t LastError(bool reset) {
  const Status status = last_error;
  if (reset) last_error = kOk;
  return static_cast<cudaError_t>(status);
}

}  // namespace device_sim
