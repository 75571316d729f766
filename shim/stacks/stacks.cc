// Own stack and the stacks of all threads; see the header for threads.
#include "shim/stacks/stacks.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <thread>

#include "shim/stacks/thread_signal.h"
#include "shim/stacks/unwinder.h"

namespace lamplight::stacks {
namespace {

constexpr char kOwnThreads[] = "lamplight-";
constexpr int kLooks = 5;
constexpr std::chrono::milliseconds kBetweenLooks(4);

class KeepErrno {
 public:
  KeepErrno() : saved_(errno) {}
  ~KeepErrno() { errno = saved_; }
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;

 private:
  int saved_;
};

std::string TaskFile(pid_t tid, const char* file) {
  return "/proc/self/task/" + std::to_string(tid) + "/" + file;
}

std::string ThreadName(pid_t tid) {
  std::string name;
  std::getline(std::ifstream(TaskFile(tid, "comm")), name);
  return name;
}

// A blocked signal would stay pending and, once unblocked, meet whatever handler is there by then.
bool Blocks(pid_t tid, int signal) {
  std::ifstream status(TaskFile(tid, "status"));
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("SigBlk:")) continue;
    const uint64_t mask = std::strtoull(line.c_str() + std::strlen("SigBlk:"), nullptr, 16);
    return (mask >> (signal - 1) & 1) != 0;
  }
  return true;  // the thread has ended
}

// A thread in sigwait would be handed the signal as one of its own: the kernel shows what it waits
// for as not blocked. A kernel that does not tell the call may still tell where the thread stands.
bool AwaitsSignals(pid_t tid) {
  std::string call;
  std::ifstream syscall_file(TaskFile(tid, "syscall"));
  if (std::getline(syscall_file, call)) {
    return call.starts_with(std::to_string(SYS_rt_sigtimedwait) + " ");
  }
  std::string place;
  std::ifstream wchan_file(TaskFile(tid, "wchan"));
  std::getline(wchan_file, place);
  return place.find("sigtimedwait") != std::string::npos;
}

std::vector<ThreadStack> OtherThreads() {
  std::vector<ThreadStack> threads;
  DIR* folder = opendir("/proc/self/task");
  if (folder == nullptr) return threads;
  while (const dirent* entry = readdir(folder)) {
    const auto tid = static_cast<pid_t>(std::atoi(entry->d_name));
    if (tid == 0 || tid == gettid()) continue;
    std::string name = ThreadName(tid);
    if (!name.starts_with(kOwnThreads)) threads.push_back({tid, std::move(name), false, {}});
  }
  closedir(folder);
  return threads;
}

void AskBatch(SignalRound* round, std::span<ThreadStack*> threads,
              std::chrono::milliseconds limit) {
  std::vector<SignalRound::Answer> answers;
  for (const ThreadStack* thread : threads) answers.push_back({thread->tid, false, {}});
  round->Ask(answers, limit);
  for (size_t i = 0; i < threads.size(); ++i) {
    threads[i]->answered = answers[i].answered;
    threads[i]->pcs = std::move(answers[i].pcs);
  }
}

// Threads that block the signal for a moment only, as in the C library's own calls, get another
// look.
std::vector<ThreadStack*> Willing(std::vector<ThreadStack>* threads, int signal) {
  std::vector<ThreadStack*> willing;
  std::vector<ThreadStack*> rest;
  for (ThreadStack& thread : *threads) rest.push_back(&thread);
  for (int look = 0; look < kLooks && !rest.empty(); ++look) {
    if (look > 0) std::this_thread::sleep_for(kBetweenLooks);
    const auto blocking = std::partition(rest.begin(), rest.end(), [signal](ThreadStack* thread) {
      return !Blocks(thread->tid, signal) && !AwaitsSignals(thread->tid);
    });
    willing.insert(willing.end(), rest.begin(), blocking);
    rest.erase(rest.begin(), blocking);
  }
  return willing;
}

std::vector<ThreadStack> CaptureThreads(std::chrono::milliseconds per_thread) {
  std::vector<ThreadStack> threads = OtherThreads();
  SignalRound round;
  if (!round.ready()) return threads;
  std::vector<ThreadStack*> willing = Willing(&threads, PickSignal());
  for (size_t begin = 0; begin < willing.size(); begin += SignalRound::kBatch) {
    const size_t size = std::min(SignalRound::kBatch, willing.size() - begin);
    AskBatch(&round, {willing.data() + begin, size}, per_thread);
  }
  return threads;
}

}  // namespace

void Prepare(const void* beside) noexcept {
  const KeepErrno keep;
  static std::once_flag once;
  std::call_once(once, [beside] {
    LoadUnwinder(beside);
    PickSignal();
    // The first walk fills the unwinder's caches, so that none is filled inside a handler first.
    uintptr_t pcs[4];
    UnwindHere(pcs, 4);
  });
}

const char* Unwinder() noexcept { return UnwinderName(); }

__attribute__((noinline)) size_t CaptureHere(uintptr_t* pcs, size_t max, size_t skip) noexcept {
  const KeepErrno keep;
  uintptr_t all[kMaxFrames];
  const size_t count = UnwindHere(all, kMaxFrames);
  const size_t first = std::min(count, skip + 1);  // 1: this function
  const size_t taken = std::min(count - first, max);
  std::copy_n(all + first, taken, pcs);
  return taken;
}

std::vector<ThreadStack> CaptureAllThreads(std::chrono::milliseconds per_thread) noexcept {
  const KeepErrno keep;
  static std::mutex one_at_a_time;
  try {
    const std::lock_guard lock(one_at_a_time);
    return CaptureThreads(per_thread);
  } catch (...) {
    return {};
  }
}

}  // namespace lamplight::stacks
