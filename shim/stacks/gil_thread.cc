// One counter of the threads that ask, for the whole process, and one pending call in flight.
#include "shim/stacks/gil_thread.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <new>
#include <thread>

#include "shim/stacks/detached_thread.h"

namespace lamplight::stacks {
namespace {

// Ours keep the GIL for microseconds, but may have to wait for others' turns. Several rounds,
// because one may pass while a native call keeps the GIL, with the main thread waiting as well.
constexpr int kRounds = 4;
constexpr std::chrono::milliseconds kLongestRound{250};

struct Askers {
  std::atomic<pid_t> process{0};
  std::atomic<int> count{0};
  std::atomic<bool> announced{false};  // a pending call is in flight
};

Askers askers;

struct Job {
  GilApi api;
  void (*body)(void*);
  void* argument;
};

// By the main thread, under the GIL.
int LetAskersIn(void* argument) {
  const GilApi& api = *static_cast<const GilApi*>(argument);
  askers.announced.store(false);
  if (askers.process.load() != getpid()) return 0;  // a fork has none of its parent's threads
  for (int round = 0; round < kRounds && askers.count.load() > 0; ++round) {
    const auto end = std::chrono::steady_clock::now() + kLongestRound;
    void* state = api.save_thread();
    while (askers.count.load() > 0 && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    api.restore_thread(state);
  }
  return 0;
}

// Not noexcept and without destructors on purpose: a Python that shuts down ends threads that ask
// for the GIL by pthread_exit, which unwinds through here.
void* Ask(void* argument) {
  Job* job = static_cast<Job*>(argument);
  pthread_setname_np(pthread_self(), "lamplight-py");
  const int gil = job->api.ensure();
  job->body(job->argument);
  job->api.release(gil);
  delete job;
  askers.count.fetch_sub(1);
  return nullptr;
}

void Announce(const GilApi& api) {
  // The same functions for the life of the process, which has one CPython.
  static const GilApi kept = api;
  if (askers.announced.exchange(true)) return;
  void* argument = const_cast<GilApi*>(&kept);
  if (api.add_pending_call(LetAskersIn, argument) != 0)
    askers.announced.store(false);  // queue full
}

}  // namespace

bool StartUnderGil(const GilApi& api, void (*body)(void*), void* argument) noexcept {
  Job* job = new (std::nothrow) Job{api, body, argument};
  if (job == nullptr) return false;
  if (askers.process.exchange(getpid()) != getpid()) {
    askers.count.store(0);
    askers.announced.store(false);
  }
  askers.count.fetch_add(1);
  if (!StartDetached(Ask, job)) {
    askers.count.fetch_sub(1);
    delete job;
    return false;
  }
  Announce(api);
  return true;
}

}  // namespace lamplight::stacks
