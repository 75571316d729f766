// The parent of rank processes never calls CUDA, so that it can start, watch and kill them freely.
#include "launcher.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "cuda_check.h"
#include "rank.h"

namespace piecewise {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kWatchPeriod = std::chrono::milliseconds(20);
constexpr auto kProgressPeriod = std::chrono::seconds(5);

// Tells when nothing has moved for too long, and prints now and then how far the ranks are.
class Progress {
 public:
  Progress(const Options& options, const Rendezvous& rendezvous)
      : options_(options), rendezvous_(rendezvous) {}

  bool Stuck() {
    const auto now = Clock::now();
    const uint64_t steps = rendezvous_.TotalSteps();
    if (steps != steps_) moved_ = now;
    steps_ = steps;
    if (now - printed_ > kProgressPeriod) {
      printed_ = now;
      std::fprintf(stderr, "piecewise_server: %llu steps in all ranks\n",
                   static_cast<unsigned long long>(steps));
    }
    return options_.hang_limit_s > 0 && now - moved_ > std::chrono::seconds(options_.hang_limit_s);
  }

  void PrintStuck() const {
    std::fprintf(stderr,
                 "piecewise_server: hang: no rank has finished a request for %d s (--hang-limit); "
                 "ending all ranks\n",
                 options_.hang_limit_s);
  }

 private:
  const Options& options_;
  const Rendezvous& rendezvous_;
  uint64_t steps_ = 0;
  Clock::time_point moved_ = Clock::now();
  Clock::time_point printed_ = Clock::now();
};

// Invariant: pids_ are running children. All are killed and reaped at the end at the latest.
class Children {
 public:
  ~Children() {
    for (const auto& [pid, rank] : pids_) kill(pid, SIGKILL);
    for (const auto& [pid, rank] : pids_) waitpid(pid, nullptr, 0);
  }

  void Start(int rank, const Options& options, const Rendezvous& rendezvous, char** argv);
  bool empty() const { return pids_.empty(); }
  // The exit code of the first child that ended badly, kExitOk where none did.
  int Reap();

 private:
  struct Child {
    pid_t pid;
    int rank;
  };
  std::vector<Child> pids_;
};

[[noreturn]] void ExecRank(int rank, const Options& options, int fd, char** argv) {
  std::vector<std::string> extra = {"--rank", std::to_string(rank), "--rendezvous-fd",
                                    std::to_string(fd)};
  std::vector<char*> arguments;
  for (char** a = argv; *a != nullptr; ++a) arguments.push_back(*a);
  for (std::string& text : extra) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  setenv("RANK", extra[1].c_str(), 1);
  setenv("LOCAL_RANK", extra[1].c_str(), 1);
  setenv("WORLD_SIZE", std::to_string(options.world).c_str(), 1);
  execv("/proc/self/exe", arguments.data());
  std::fprintf(stderr, "piecewise_server: execv of /proc/self/exe: %s\n", std::strerror(errno));
  _exit(kExitRankDied);
}

void Children::Start(int rank, const Options& options, const Rendezvous& rendezvous, char** argv) {
  const pid_t pid = fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) ExecRank(rank, options, rendezvous.fd(), argv);
  pids_.push_back({pid, rank});
}

int CodeOf(int status, int rank) {
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  std::fprintf(stderr, "piecewise_server: rank %d died of signal %d (%s)\n", rank, WTERMSIG(status),
               strsignal(WTERMSIG(status)));
  return kExitRankDied;
}

int Children::Reap() {
  int code = kExitOk;
  std::erase_if(pids_, [&code](const Child& child) {
    int status = 0;
    if (waitpid(child.pid, &status, WNOHANG) != child.pid) return false;
    const int ended = CodeOf(status, child.rank);
    if (code == kExitOk) code = ended;
    return true;
  });
  return code;
}

}  // namespace

int RunProcesses(const Options& options, Rendezvous& rendezvous, char** argv) {
  Children children;
  for (int rank = 0; rank < options.world; ++rank) {
    children.Start(rank, options, rendezvous, argv);
  }
  Progress progress(options, rendezvous);
  while (!children.empty()) {
    if (const int code = children.Reap(); code != kExitOk) return code;
    if (progress.Stuck()) {
      progress.PrintStuck();
      return kExitHang;
    }
    std::this_thread::sleep_for(kWatchPeriod);
  }
  return kExitOk;
}

int RunThreads(const Options& options, Rendezvous& rendezvous) {
  // One hardware queue per stream: ranks that wait for each other must not share one.
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < options.world; ++rank) {
    threads.emplace_back([&options, rank, &rendezvous] {
      const int code = RunRankReporting(options, rank, rendezvous);
      if (code != kExitOk) _exit(code);  // the other ranks would wait for this one
    });
  }
  Progress progress(options, rendezvous);
  while (rendezvous.RanksDone() < options.world) {
    if (progress.Stuck()) {
      progress.PrintStuck();
      _exit(kExitHang);
    }
    std::this_thread::sleep_for(kWatchPeriod);
  }
  for (std::thread& thread : threads) thread.join();
  return kExitOk;
}

int RunRankReporting(const Options& options, int rank, Rendezvous& rendezvous) {
  try {
    RunRank(options, rank, rendezvous);
    return kExitOk;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "rank %d: %s\n", rank, error.what());
    return kExitUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d: %s\n", rank, error.what());
    return kExitCudaError;
  }
}

}  // namespace piecewise
