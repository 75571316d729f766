// The host's signals are not for our threads: a thread starts with the mask of the one that makes
// it.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace lamplight::shim {

// All signals stay away from this thread while it lives.
class BlockSignals {
 public:
  BlockSignals() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &saved_, nullptr); }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t saved_;
};

}  // namespace lamplight::shim
