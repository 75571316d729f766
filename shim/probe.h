// The one thread that calls the driver on the watchdog's behalf, so that a driver call that never
// returns costs a thread and not the watchdog.
//
// Run may be called by one thread at a time. The thread runs in relaxed capture mode for ever.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "shim/device.h"
#include "shim/driver_api.h"
#include "shim/trace_format.h"

namespace lamplight::shim {

class Probe {
 public:
  using Duration = std::chrono::milliseconds;

  explicit Probe(const DriverApi& driver);
  ~Probe();

  // Runs `task` on the probe thread with `device`'s context current. False where it did not come
  // back within `limit`; the task may then still run, so it must own what it touches.
  bool Run(Device& device, std::function<void()> task, Duration limit);

  // For tasks: copies device memory to `out` through the device's staging memory; bounded. Memory
  // that is gone is not touched.
  trace::SideChannel Read(Device& device, uint64_t address, void* out, size_t bytes, Duration limit,
                          CUresult* error) noexcept;
  // For tasks: whether both ends of the range lie in mapped device memory. A copy from memory that
  // is gone could fail the host's whole context.
  bool Mapped(uint64_t address, size_t bytes) const noexcept;

 private:
  struct State;
  bool Gone(uint64_t address) const noexcept;
  static void Loop(const DriverApi& driver, std::shared_ptr<State> state);

  const DriverApi& driver_;
  std::shared_ptr<State> state_;
};

}  // namespace lamplight::shim
