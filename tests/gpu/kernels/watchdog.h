// Ends the process, exit status 3, when nothing has been heard for too long, and says first what
// the library's diagnostics of the watched workspaces hold and what the ranks' threads do.
// Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lamplight/collective.h"
#include "tests/gpu/kernels/pace.h"

namespace lamplight::kernels::gpu {

inline constexpr int kExitHang = 3;

// Of one rank.
struct Watched {
  const lamplight_workspace* workspace;
  const Pace* pace;
};

class Watchdog {
 public:
  explicit Watchdog(uint32_t seconds);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Progress; `doing` is what a hang from now on is said to be in.
  void Beat(const std::string& doing);
  // By rank. To be replaced before what they point to is destroyed.
  void Watch(std::vector<Watched> ranks);

 private:
  void Run();
  void SayWhereEverybodyStands() const;

  const uint32_t seconds_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string doing_ = "start";
  std::vector<Watched> ranks_;
  uint64_t beats_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace lamplight::kernels::gpu
