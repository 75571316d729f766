// A child by clone with shared memory; see the header for threads.
#include "shim/stacks/guarded_call.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <thread>

namespace lamplight::stacks {
namespace {

constexpr size_t kStackBytes = 256 * 1024;
constexpr int kCrashStatus = 99;

struct Job {
  void (*function)(void*);
  void* argument;
};

void OnFault(int) { _exit(kCrashStatus); }

// A dump of core would stop every process that shares the memory, hence handlers for all faults.
void CatchFaults() {
  struct sigaction action {};
  action.sa_handler = OnFault;
  for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS}) {
    sigaction(fault, &action, nullptr);
  }
  sigset_t faults;
  sigemptyset(&faults);
  for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS}) {
    sigaddset(&faults, fault);
  }
  sigprocmask(SIG_UNBLOCK, &faults, nullptr);
}

int Run(void* argument) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  CatchFaults();
  const Job& job = *static_cast<const Job*>(argument);
  job.function(job.argument);
  _exit(0);
}

// __WCLONE: the child has no exit signal, so that the host's own wait calls never see it.
GuardedResult Await(pid_t child, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    int status = 0;
    const pid_t waited = waitpid(child, &status, __WCLONE | WNOHANG);
    if (waited == child) {
      const bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
      return done ? GuardedResult::kDone : GuardedResult::kCrashed;
    }
    if (waited < 0 && errno != EINTR) return GuardedResult::kCrashed;
    if (std::chrono::steady_clock::now() >= end) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, __WCLONE);
  return GuardedResult::kTimedOut;
}

}  // namespace

GuardedResult CallGuarded(void (*function)(void*), void* argument,
                          std::chrono::milliseconds limit) noexcept {
  const int saved_errno = errno;
  void* stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return GuardedResult::kNotStarted;
  Job job{function, argument};
  // Signals that the host sends to all its processes must not run its handlers in the child.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child =
      clone(Run, static_cast<std::byte*>(stack) + kStackBytes, CLONE_VM | CLONE_FILES, &job);
  GuardedResult result = GuardedResult::kNotStarted;
  if (child > 0) result = Await(child, limit);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  munmap(stack, kStackBytes);
  errno = saved_errno;
  return result;
}

}  // namespace lamplight::stacks
