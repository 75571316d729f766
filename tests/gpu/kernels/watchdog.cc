#include "tests/gpu/kernels/watchdog.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace lamplight::kernels::gpu {

Watchdog::Watchdog(uint32_t seconds) : seconds_(seconds), thread_([this] { Run(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Watchdog::Beat(const std::string& doing) {
  const std::lock_guard lock(mutex_);
  doing_ = doing;
  ++beats_;
  changed_.notify_all();
}

void Watchdog::Watch(std::vector<Watched> ranks) {
  const std::lock_guard lock(mutex_);
  ranks_ = std::move(ranks);
}

void Watchdog::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const uint64_t before = beats_;
    const bool heard = changed_.wait_for(lock, std::chrono::seconds(seconds_),
                                         [&] { return stop_ || beats_ != before; });
    if (heard) continue;
    SayWhereEverybodyStands();
    _exit(kExitHang);
  }
}

void Watchdog::SayWhereEverybodyStands() const {
  std::fprintf(stderr, "HANG: no progress for %u s in: %s\n", seconds_, doing_.c_str());
  for (size_t rank = 0; rank < ranks_.size(); ++rank) {
    lamplight_trouble trouble{};
    trouble.struct_size = sizeof trouble;
    char text[512] = "nothing to report";
    lamplight_workspace_query(ranks_[rank].workspace, &trouble);
    if (trouble.kind != LAMPLIGHT_TROUBLE_NONE) {
      lamplight_trouble_text(&trouble, text, sizeof text);
    }
    std::fprintf(stderr, "HANG: rank %zu: %s; its thread: %s\n", rank, text,
                 ranks_[rank].pace->Describe().c_str());
  }
}

}  // namespace lamplight::kernels::gpu
