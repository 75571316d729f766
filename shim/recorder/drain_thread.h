// A thread that calls one function again and again, unseen by the server: all signals blocked.
//
// Start and Stop are for one thread at a time.
#pragma once

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <string>

namespace lamplight::shim {

// Invariant: running_ is true from a successful Start until the thread was joined.
class DrainThread {
 public:
  using Round = bool (*)(void* context) noexcept;  // false: call no more

  DrainThread() = default;
  DrainThread(const DrainThread&) = delete;
  DrainThread& operator=(const DrainThread&) = delete;

  bool Start(Round round, void* context, std::chrono::microseconds period,
             std::string* error) noexcept;
  // Asks the thread to end; false where it has not within `bound`, or where it is the caller.
  bool Stop(std::chrono::milliseconds bound) noexcept;
  // Waits for the end after Stop returned false.
  void Join() noexcept;
  bool running() const { return running_; }

 private:
  static void* Run(void* self) noexcept;
  bool Launch(std::string* error) noexcept;
  void Pause() noexcept;  // for a period, or until Stop

  Round round_ = nullptr;
  void* context_ = nullptr;
  timespec period_{};
  std::atomic<bool> stop_{false};
  // Never destroyed: in a forked child a waiter would be counted that is not there.
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t stopping_;
  pthread_t thread_{};
  bool running_ = false;
};

}  // namespace lamplight::shim
