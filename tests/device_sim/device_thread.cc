// Thread-safe: no state.
#include "tests/device_sim/device_thread.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <csignal>
#include <string>
#include <thread>

namespace device_sim {
namespace {

// The host's asynchronous signals are not ours to take; real-time ones stay open to samplers.
void BlockSignals(sigset_t* previous) {
  sigset_t blocked;
  sigfillset(&blocked);
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) sigdelset(&blocked, signal);
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&blocked, signal);
  pthread_sigmask(SIG_SETMASK, &blocked, previous);
}

}  // namespace

void StartDeviceThread(const char* name, std::function<void()> body) {
  sigset_t previous;
  BlockSignals(&previous);
  std::thread([title = std::string(name), run = std::move(body)] {
    pthread_setname_np(pthread_self(), title.c_str());
    prctl(PR_SET_TIMERSLACK, 1'000, 0, 0, 0);  // polling kernels sleep for microseconds
    run();
  }).detach();
  pthread_sigmask(SIG_SETMASK, &previous, nullptr);
}

}  // namespace device_sim
