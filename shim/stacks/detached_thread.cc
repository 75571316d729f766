// Stateless; see the header for threads.
#include "shim/stacks/detached_thread.h"

#include <pthread.h>

#include <csignal>

namespace lamplight::stacks {

bool StartDetached(void* (*body)(void*), void* argument) noexcept {
  // The host's signals are none of this thread's business.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const bool started = pthread_create(&thread, nullptr, body, argument) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started) pthread_detach(thread);
  return started;
}

}  // namespace lamplight::stacks
