// The thread, and the signal mask around its creation.
#include "shim/recorder/drain_thread.h"

#include <signal.h>
#include <time.h>

#include <cerrno>
#include <cstring>

#include "shim/recorder/thread_id.h"

namespace lamplight::shim {
namespace {

constexpr size_t kStackBytes = 512 << 10;
constexpr char kName[] = "lamplight-drain";  // 15 characters, the kernel's limit

timespec After(std::chrono::nanoseconds bound) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const auto at = std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec) + bound;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at);
  return {seconds.count(), (at - seconds).count()};
}

}  // namespace

bool DrainThread::Start(Round round, void* context, std::chrono::microseconds period,
                        std::string* error) noexcept {
  round_ = round;
  context_ = context;
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&stopping_, &attributes);
  pthread_condattr_destroy(&attributes);
  period_.tv_sec = period.count() / 1'000'000;
  period_.tv_nsec = period.count() % 1'000'000 * 1'000;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  running_ = Launch(error);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return running_;
}

bool DrainThread::Launch(std::string* error) noexcept {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  int code = pthread_create(&thread_, &attributes, Run, this);
  pthread_attr_destroy(&attributes);
  // The thread-local variables of the host's libraries come out of the stack.
  if (code == EINVAL) code = pthread_create(&thread_, nullptr, Run, this);
  if (code != 0) {
    *error = std::string("cannot start the drain thread: ") + std::strerror(code);
    return false;
  }
  pthread_setname_np(thread_, kName);
  return true;
}

bool DrainThread::Stop(std::chrono::milliseconds bound) noexcept {
  stop_.store(true, std::memory_order_relaxed);
  if (!running_) return true;
  // At once: a host that is about to exit may have threads that must not outlive it by much.
  pthread_mutex_lock(&mutex_);
  pthread_cond_signal(&stopping_);
  pthread_mutex_unlock(&mutex_);
  if (pthread_equal(thread_, pthread_self()) != 0) return false;
  const timespec until = After(bound);
  running_ = pthread_timedjoin_np(thread_, nullptr, &until) != 0;
  return !running_;
}

void DrainThread::Join() noexcept {
  if (running_) pthread_join(thread_, nullptr);
  running_ = false;
}

void DrainThread::Pause() noexcept {
  timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += period_.tv_sec + (until.tv_nsec + period_.tv_nsec) / 1'000'000'000;
  until.tv_nsec = (until.tv_nsec + period_.tv_nsec) % 1'000'000'000;
  pthread_mutex_lock(&mutex_);
  while (!stop_.load(std::memory_order_relaxed) &&
         pthread_cond_timedwait(&stopping_, &mutex_, &until) == 0) {
  }
  pthread_mutex_unlock(&mutex_);
}

void* DrainThread::Run(void* self) noexcept {
  auto* thread = static_cast<DrainThread*>(self);
  MarkShimThread();
  while (!thread->stop_.load(std::memory_order_relaxed) && thread->round_(thread->context_)) {
    thread->Pause();
  }
  return nullptr;
}

}  // namespace lamplight::shim
