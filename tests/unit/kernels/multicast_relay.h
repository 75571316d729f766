// What NVLink does with stores to a multicast address: each reaches every buffer at its own offset,
// that of the rank that has stored it `lateness` behind the others.
//
// Kernels store into a plain region; a thread of the relay's own takes what it finds there to all
// buffers. Words, or with `lines` whole lines, data before tag, as kernels rely on. The region must
// hold kBlank where nothing was stored, and no payload may.
#pragma once

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

namespace lamplight::kernels {

class MulticastRelay {
 public:
  static constexpr uint32_t kBlank = 0xa5c3b197u;

  struct Path {
    uint32_t* region;
    std::vector<uint32_t*> buffers;
    size_t own = SIZE_MAX;  // which of them is the storing rank's
  };

  MulticastRelay(std::vector<Path> paths, size_t bytes, bool lines,
                 std::chrono::milliseconds lateness = {})
      : paths_(std::move(paths)),
        words_(bytes / 4),
        lines_(lines),
        lateness_(lateness),
        thread_([this] { Run(); }) {}
  ~MulticastRelay() {
    stop_ = true;
    thread_.join();
  }
  // Returns when all that was stored before has reached all buffers. A grid on a GPU ends no
  // earlier, so who starts another one over the same buffers calls this first: kernels do not wait
  // for what they send to themselves, which may else come behind the next call's clear. Any thread.
  void Settle() const {
    // The next pass may have begun before, the one after it has not.
    const uint64_t settled = passes_.load() + 2;
    while (passes_.load() < settled) sched_yield();
  }
  MulticastRelay(const MulticastRelay&) = delete;
  MulticastRelay& operator=(const MulticastRelay&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kLineWords = 32;

  // What is on its way to its own sender.
  struct Echo {
    Clock::time_point due;
    void* place;
    uint64_t value;
    size_t bytes;
  };

  void Run() {
    while (!stop_) {
      bool moved = LandEchoes();
      for (const Path& path : paths_) moved |= lines_ ? TakeLines(path) : TakeWords(path);
      ++passes_;
      if (!moved) sched_yield();
    }
  }

  template <class T>
  static void Store(void* place, T value) {
    std::atomic_ref(*static_cast<T*>(place)).store(value, std::memory_order_release);
  }
  bool LandEchoes() {
    bool moved = false;
    for (; !echoes_.empty() && echoes_.front().due <= Clock::now(); echoes_.pop_front()) {
      const Echo& echo = echoes_.front();
      if (echo.bytes == sizeof(uint64_t)) Store(echo.place, echo.value);
      if (echo.bytes == sizeof(uint32_t)) Store(echo.place, static_cast<uint32_t>(echo.value));
      moved = true;
    }
    return moved;
  }
  template <class T>
  void StoreToAll(const Path& path, size_t word, T value) {
    for (size_t i = 0; i < path.buffers.size(); ++i) {
      if (i == path.own && lateness_.count() > 0) {
        echoes_.push_back({Clock::now() + lateness_, path.buffers[i] + word, value, sizeof value});
      } else {
        Store(path.buffers[i] + word, value);
      }
    }
  }

  bool TakeWords(const Path& path, size_t first, size_t count) {
    bool moved = false;
    for (size_t i = first; i < first + count; ++i) {
      std::atomic_ref word(path.region[i]);
      if (word.load(std::memory_order_acquire) == kBlank) continue;
      const uint32_t value = word.exchange(kBlank, std::memory_order_acq_rel);
      StoreToAll(path, i, value);
      moved = true;
    }
    return moved;
  }
  bool TakeWords(const Path& path) { return TakeWords(path, 0, words_); }

  bool TakeLines(const Path& path) {
    bool moved = false;
    for (size_t line = 0; line + kLineWords <= words_; line += kLineWords) {
      auto* tag = reinterpret_cast<uint64_t*>(path.region + line + kLineWords - 2);
      const uint64_t value = std::atomic_ref(*tag).load(std::memory_order_acquire);
      if (value == (uint64_t{kBlank} << 32 | kBlank)) continue;
      TakeWords(path, line, kLineWords - 2);
      std::atomic_ref(*tag).store(uint64_t{kBlank} << 32 | kBlank, std::memory_order_relaxed);
      StoreToAll(path, line + kLineWords - 2, value);
      moved = true;
    }
    return moved;
  }

  const std::vector<Path> paths_;
  const size_t words_;
  const bool lines_;
  const std::chrono::milliseconds lateness_;
  std::deque<Echo> echoes_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> passes_{0};
  std::thread thread_;
};

}  // namespace lamplight::kernels
