// A point of device progress that events, streams and waiting host threads share.
//
// Thread-safe. Set once; then `done()` stays true.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "tests/device_sim/status.h"

namespace device_sim {

uint64_t GlobalTimerNs();  // since the epoch, as %globaltimer
uint64_t SteadyNs();       // for intervals

class Marker {
 public:
  void Set(Status status) {
    status_ = status;
    time_ns_ = SteadyNs();
    done_.store(1, std::memory_order_release);
    done_.notify_all();
  }
  bool done() const { return done_.load(std::memory_order_acquire) != 0; }
  void Wait() const {
    while (!done()) done_.wait(0, std::memory_order_acquire);
  }
  // Valid once done.
  Status status() const { return status_; }
  uint64_t time_ns() const { return time_ns_; }

 private:
  std::atomic<uint32_t> done_{0};
  Status status_ = kOk;
  uint64_t time_ns_ = 0;
};

using MarkerRef = std::shared_ptr<Marker>;
using Markers = std::vector<MarkerRef>;

}  // namespace device_sim
