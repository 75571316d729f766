// Asks the dynamic linker for the driver's cuGetProcAddress as static runtimes do, at awkward
// moments: `load N LIBRARY`, while another thread loads LIBRARY, whose constructor asks too;
// `fork N`, while another thread forks a child that asks; `once`. Each of N rounds is a process of
// its own, as what is asked is found once in a process. Exit status 1: a round did not end.
#include <dlfcn.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;

void* driver = nullptr;

void Ask() {
  if (dlsym(driver, "cuGetProcAddress_v2") == nullptr) _exit(3);
}

// Begins at once with the other thread's work, or this much later.
template <class Work, class Other>
void Together(std::chrono::microseconds later, Work work, Other other) {
  std::atomic<bool> go{false};
  std::thread thread([&] {
    while (!go) {
    }
    other();
  });
  go = true;
  const auto until = Clock::now() + later;
  while (Clock::now() < until) {
  }
  work();
  thread.join();
}

bool Ends(pid_t child) {
  for (int i = 0; i < 1000; ++i) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) return status == 0;
    usleep(10'000);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return false;
}

void ForkAndAsk() {
  const pid_t child = fork();
  if (child == 0) {
    Ask();
    _exit(0);
  }
  if (!Ends(child)) _exit(4);
}

}  // namespace

// Of the library that is loaded meanwhile.
extern "C" __attribute__((visibility("default"))) void AskFromConstructor() { Ask(); }

int main(int count, char** arguments) {
  driver = dlopen("libcuda.so.1", RTLD_NOW);
  if (driver == nullptr || count < 2) return 2;
  if (std::strcmp(arguments[1], "once") == 0) {
    Ask();
    return 0;
  }
  const int rounds = std::atoi(arguments[2]);
  for (int round = 0; round < rounds; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      const std::chrono::microseconds later(round % 100);
      if (std::strcmp(arguments[1], "fork") == 0) {
        Together(later, ForkAndAsk, Ask);
      } else {
        Together(later, Ask, [&] {
          if (dlopen(arguments[3], RTLD_NOW) == nullptr) _exit(5);
        });
      }
      _exit(0);
    }
    if (!Ends(child)) {
      std::fprintf(stderr, "round %d of %s did not end\n", round, arguments[1]);
      return 1;
    }
  }
  return 0;
}
