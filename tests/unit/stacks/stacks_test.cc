// Native stacks of this process: own thread, other threads, and threads that do not answer.
#include "shim/stacks/stacks.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <semaphore>
#include <thread>

#include "shim/stacks/python_stacks.h"

namespace lamplight::stacks {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

void PrepareHere() { Prepare(reinterpret_cast<const void*>(&PrepareHere)); }

std::vector<std::string> Names(const std::vector<uintptr_t>& pcs) {
  std::vector<std::string> names;
  for (const uintptr_t pc : pcs) names.push_back(Symbolise(pc).symbol);
  return names;
}

ptrdiff_t IndexOf(const std::vector<std::string>& names, const std::string& part) {
  const auto found = std::find_if(names.begin(), names.end(), [&part](const std::string& name) {
    return name.find(part) != std::string::npos;
  });
  return found == names.end() ? -1 : found - names.begin();
}

// Exported with C names so that every build can symbolise them.
extern "C" {
__attribute__((noinline)) size_t LamplightTestInner(uintptr_t* pcs, size_t max, size_t skip) {
  const size_t count = CaptureHere(pcs, max, skip);
  asm volatile("" ::: "memory");
  return count;
}
__attribute__((noinline)) size_t LamplightTestOuter(uintptr_t* pcs, size_t max, size_t skip) {
  const size_t count = LamplightTestInner(pcs, max, skip);
  asm volatile("" ::: "memory");
  return count;
}
__attribute__((noinline)) void LamplightTestWait(std::binary_semaphore* end) {
  end->acquire();
  asm volatile("" ::: "memory");
}
__attribute__((noinline)) void LamplightTestWaitOtherwise(std::binary_semaphore* end) {
  end->acquire();
  asm volatile("" ::: "memory");
}
__attribute__((noinline)) void LamplightTestSpin(std::atomic<bool>* inside,
                                                 const std::atomic<bool>* end) {
  inside->store(true);
  while (!end->load(std::memory_order_relaxed)) {
  }
  asm volatile("" ::: "memory");
}
}

char State(pid_t tid) {
  std::string line;
  std::getline(std::ifstream("/proc/self/task/" + std::to_string(tid) + "/stat"), line);
  const size_t name_end = line.rfind(") ");
  return name_end == std::string::npos ? '?' : line[name_end + 2];
}

// A thread in LamplightTestWait until this ends. `setup` runs in it first.
class Sleeper {
 public:
  template <class F>
  explicit Sleeper(F setup, void (*wait)(std::binary_semaphore*) = LamplightTestWait) {
    std::binary_semaphore ready(0);
    thread_ = std::thread([&ready, setup, wait, this] {
      tid_ = static_cast<pid_t>(syscall(SYS_gettid));
      stack_t own_stack{};
      sigaltstack(nullptr, &own_stack);
      setup();
      ready.release();
      wait(&end_);
      sigaltstack(&own_stack, nullptr);
    });
    ready.acquire();
    while (State(tid_) != 'S') usleep(200);
  }
  ~Sleeper() {
    end_.release();
    thread_.join();
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  pid_t tid() const { return tid_; }

 private:
  std::binary_semaphore end_{0};
  pid_t tid_ = 0;
  std::thread thread_;
};

void BlockAllSignals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

const ThreadStack* Find(const std::vector<ThreadStack>& stacks, pid_t tid) {
  for (const ThreadStack& stack : stacks) {
    if (stack.tid == tid) return &stack;
  }
  return nullptr;
}

int RealTimeHandlers() {
  int handlers = 0;
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) {
    struct sigaction action {};
    sigaction(signal, nullptr, &action);
    handlers += action.sa_handler != SIG_DFL;
  }
  return handlers;
}

class Stacks : public ::testing::Test {
 protected:
  void SetUp() override { PrepareHere(); }
};

// ThreadSanitizer keeps signals back from threads that stand in a system call that it does not
// know.
#if defined(__SANITIZE_THREAD__)
constexpr bool kSleepersAnswer = false;
#else
constexpr bool kSleepersAnswer = true;
#endif
#define SKIP_UNLESS_SLEEPERS_ANSWER() \
  if (!kSleepersAnswer) GTEST_SKIP() << "ThreadSanitizer keeps the signal from sleeping threads"

TEST_F(Stacks, LibunwindIsUsedWhereInstalled) {
  const char* expected = std::getenv("LAMPLIGHT_TEST_UNWINDER");
  EXPECT_STREQ(Unwinder(), expected != nullptr ? expected : "libunwind");
}

TEST(PythonStacks, AProcessWithoutPythonSaysSo) {
  std::string text = "old";
  std::string why_not;
  EXPECT_FALSE(PythonStacks(&text, &why_not, milliseconds(1000)));
  EXPECT_EQ(text, "");
  EXPECT_EQ(why_not, "not a CPython 3 process");
}

TEST_F(Stacks, OwnStackStartsInTheCaller) {
  std::vector<uintptr_t> pcs(kMaxFrames);
  pcs.resize(LamplightTestOuter(pcs.data(), pcs.size(), 0));
  const std::vector<std::string> names = Names(pcs);
  EXPECT_EQ(IndexOf(names, "LamplightTestInner"), 0);
  EXPECT_EQ(IndexOf(names, "LamplightTestOuter"), 1);
  EXPECT_GE(IndexOf(names, "main"), 3);
}

TEST_F(Stacks, SkipLeavesOutInnermostFrames) {
  std::vector<uintptr_t> pcs(kMaxFrames);
  pcs.resize(LamplightTestOuter(pcs.data(), pcs.size(), 1));
  EXPECT_EQ(IndexOf(Names(pcs), "LamplightTestOuter"), 0);
  EXPECT_EQ(LamplightTestOuter(pcs.data(), pcs.size(), 1000), 0u);
}

TEST_F(Stacks, NeverWritesMoreThanAsked) {
  uintptr_t pcs[3] = {0, 0, 77};
  EXPECT_EQ(LamplightTestOuter(pcs, 2, 0), 2u);
  EXPECT_NE(pcs[1], 0u);
  EXPECT_EQ(pcs[2], 77u);
  EXPECT_EQ(LamplightTestOuter(pcs, 0, 0), 0u);
}

TEST_F(Stacks, CapturesPreserveErrno) {
  uintptr_t pcs[8];
  errno = 4711;
  CaptureHere(pcs, 8, 0);
  EXPECT_EQ(errno, 4711);
  CaptureAllThreads(milliseconds(50));
  EXPECT_EQ(errno, 4711);
  Symbolise(1);
  EXPECT_EQ(errno, 4711);
}

TEST_F(Stacks, SleepingThreadAnswers) {
  SKIP_UNLESS_SLEEPERS_ANSWER();
  const Sleeper sleeper([] { pthread_setname_np(pthread_self(), "sleeper"); });
  const auto stacks = CaptureAllThreads(milliseconds(1000));
  const ThreadStack* stack = Find(stacks, sleeper.tid());
  ASSERT_NE(stack, nullptr);
  EXPECT_TRUE(stack->answered);
  EXPECT_EQ(stack->name, "sleeper");
  EXPECT_GE(IndexOf(Names(stack->pcs), "LamplightTestWait"), 1);
}

TEST_F(Stacks, SpinningThreadAnswersFromItsLoop) {
  std::atomic<bool> end{false};
  std::atomic<bool> inside{false};
  std::atomic<pid_t> tid{0};
  std::thread thread([&] {
    tid = static_cast<pid_t>(syscall(SYS_gettid));
    LamplightTestSpin(&inside, &end);
  });
  while (!inside) std::this_thread::yield();
  const auto stacks = CaptureAllThreads(milliseconds(1000));
  const ThreadStack* stack = Find(stacks, tid);
  ASSERT_NE(stack, nullptr);
  EXPECT_TRUE(stack->answered);
  // Unoptimised, reading the flag is a call within a call.
  EXPECT_LE(IndexOf(Names(stack->pcs), "LamplightTestSpin"), 2);
  EXPECT_GE(IndexOf(Names(stack->pcs), "LamplightTestSpin"), 0);
  end = true;
  thread.join();
}

TEST_F(Stacks, ThreadThatBlocksSignalsDoesNotAnswer) {
  const Sleeper sleeper(BlockAllSignals);
  const auto begin = steady_clock::now();
  const auto stacks = CaptureAllThreads(milliseconds(300));
  EXPECT_LT(steady_clock::now() - begin, milliseconds(2000));
  const ThreadStack* stack = Find(stacks, sleeper.tid());
  ASSERT_NE(stack, nullptr);
  EXPECT_FALSE(stack->answered);
  EXPECT_TRUE(stack->pcs.empty());
}

// A server's thread for signals, which acts on whatever it is handed.
TEST_F(Stacks, ThreadInSigwaitIsHandedNothing) {
  std::atomic<pid_t> tid{0};
  int handed = 0;
  std::thread waiting([&] {
    BlockAllSignals();
    sigset_t all;
    sigfillset(&all);
    tid = static_cast<pid_t>(syscall(SYS_gettid));
    sigwait(&all, &handed);
  });
  while (tid == 0 || State(tid) != 'S') usleep(200);
  const auto stacks = CaptureAllThreads(milliseconds(300));
  const ThreadStack* stack = Find(stacks, tid);
  ASSERT_NE(stack, nullptr);
  EXPECT_FALSE(stack->answered);
  pthread_kill(waiting.native_handle(), SIGUSR1);
  waiting.join();
  EXPECT_EQ(handed, SIGUSR1);
}

TEST_F(Stacks, SkipsTheCallerAndOwnThreads) {
  const Sleeper own([] { pthread_setname_np(pthread_self(), "lamplight-test"); });
  const auto stacks = CaptureAllThreads(milliseconds(300));
  EXPECT_EQ(Find(stacks, own.tid()), nullptr);
  EXPECT_EQ(Find(stacks, static_cast<pid_t>(syscall(SYS_gettid))), nullptr);
}

TEST_F(Stacks, LeavesNoHandlerBehind) {
  SKIP_UNLESS_SLEEPERS_ANSWER();
  const int before = RealTimeHandlers();
  const Sleeper sleeper([] {});
  CaptureAllThreads(milliseconds(1000));
  EXPECT_EQ(RealTimeHandlers(), before);
}

TEST_F(Stacks, AvoidsSignalsThatTheHostUses) {
  std::vector<struct sigaction> before(static_cast<size_t>(SIGRTMAX) + 1);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) {
    sigaction(signal, &ignore, &before[static_cast<size_t>(signal)]);
  }
  const Sleeper sleeper([] {});
  const auto stacks = CaptureAllThreads(milliseconds(300));
  const ThreadStack* stack = Find(stacks, sleeper.tid());
  ASSERT_NE(stack, nullptr);
  EXPECT_FALSE(stack->answered);
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) {
    struct sigaction now {};
    sigaction(signal, &before[static_cast<size_t>(signal)], &now);
    EXPECT_EQ(now.sa_handler, SIG_IGN) << signal;
  }
}

TEST_F(Stacks, ManyThreadsGetTheirOwnStacks) {
  SKIP_UNLESS_SLEEPERS_ANSWER();
  std::vector<std::unique_ptr<Sleeper>> sleepers;
  for (int i = 0; i < 300; ++i) {
    const auto wait = i % 2 == 0 ? LamplightTestWait : LamplightTestWaitOtherwise;
    sleepers.push_back(std::make_unique<Sleeper>([] {}, wait));
  }
  const auto begin = steady_clock::now();
  const auto stacks = CaptureAllThreads(milliseconds(3000));
  EXPECT_LT(steady_clock::now() - begin, milliseconds(9000));
  for (size_t i = 0; i < sleepers.size(); ++i) {
    const ThreadStack* stack = Find(stacks, sleepers[i]->tid());
    ASSERT_NE(stack, nullptr);
    EXPECT_TRUE(stack->answered);
    const bool otherwise = IndexOf(Names(stack->pcs), "LamplightTestWaitOtherwise") >= 0;
    EXPECT_EQ(otherwise, i % 2 == 1) << i;
  }
}

TEST_F(Stacks, SmallAlternateStackGivesOneFrame) {
  SKIP_UNLESS_SLEEPERS_ANSWER();
  std::vector<char> memory(8192);
  const Sleeper sleeper([&memory] {
    stack_t stack{};
    stack.ss_sp = memory.data();
    stack.ss_size = memory.size();
    ASSERT_EQ(sigaltstack(&stack, nullptr), 0);
  });
  const auto stacks = CaptureAllThreads(milliseconds(1000));
  const ThreadStack* stack = Find(stacks, sleeper.tid());
  ASSERT_NE(stack, nullptr);
  EXPECT_TRUE(stack->answered);
  EXPECT_EQ(stack->pcs.size(), 1u);
}

TEST_F(Stacks, RepeatsWhileThreadsComeAndGo) {
  SKIP_UNLESS_SLEEPERS_ANSWER();
  std::atomic<bool> end{false};
  std::thread churn([&end] {
    while (!end) std::thread([] { usleep(500); }).join();
  });
  const Sleeper sleeper([] {});
  for (int i = 0; i < 50; ++i) {
    const auto stacks = CaptureAllThreads(milliseconds(1000));
    const ThreadStack* stack = Find(stacks, sleeper.tid());
    ASSERT_NE(stack, nullptr);
    EXPECT_TRUE(stack->answered);
  }
  end = true;
  churn.join();
}

TEST_F(Stacks, SymboliseNamesModuleAndFunction) {
  const Symbol own = Symbolise(reinterpret_cast<uintptr_t>(&LamplightTestOuter) + 8);
  EXPECT_EQ(own.symbol, "LamplightTestOuter");
  EXPECT_EQ(own.symbol_offset, 8u);
  EXPECT_NE(own.module.find("stacks_test"), std::string::npos);
  EXPECT_EQ(own.module.front(), '/');
  const Symbol c_library = Symbolise(reinterpret_cast<uintptr_t>(&::getpid) + 1);
  EXPECT_NE(c_library.symbol.find("getpid"), std::string::npos);
  EXPECT_EQ(Symbolise(1).module, "");
  EXPECT_EQ(Symbolise(0).symbol, "");
}

}  // namespace
}  // namespace lamplight::stacks
