// Functions that misbehave in the guarded child, and the process that must not notice.
#include "shim/stacks/guarded_call.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace lamplight::stacks {
namespace {

using std::chrono::milliseconds;

class GuardedCall : public ::testing::Test {
 protected:
#if defined(__SANITIZE_THREAD__)
  void SetUp() override {
    GTEST_SKIP() << "ThreadSanitizer's runtime does not survive in a child that shares its memory";
  }
#endif
};

TEST_F(GuardedCall, SharesMemory) {
  int value = 1;
  EXPECT_EQ(CallGuarded([](void* v) { *static_cast<int*>(v) = 2; }, &value, milliseconds(5000)),
            GuardedResult::kDone);
  EXPECT_EQ(value, 2);
}

TEST_F(GuardedCall, FaultEndsTheChildOnly) {
  const auto fault = [](void* address) { *static_cast<volatile int*>(address) = 1; };
  EXPECT_EQ(CallGuarded(fault, reinterpret_cast<void*>(16), milliseconds(5000)),
            GuardedResult::kCrashed);
  EXPECT_EQ(CallGuarded([](void*) { __builtin_trap(); }, nullptr, milliseconds(5000)),
            GuardedResult::kCrashed);
  EXPECT_EQ(CallGuarded([](void*) { std::raise(SIGABRT); }, nullptr, milliseconds(5000)),
            GuardedResult::kCrashed);
}

TEST_F(GuardedCall, EndlessLoopIsKilled) {
  const auto loop = [](void*) {
    for (;;) asm volatile("");
  };
  EXPECT_EQ(CallGuarded(loop, nullptr, milliseconds(50)), GuardedResult::kTimedOut);
}

TEST_F(GuardedCall, LeavesNoChildToWaitFor) {
  EXPECT_EQ(CallGuarded([](void*) {}, nullptr, milliseconds(5000)), GuardedResult::kDone);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG | __WALL), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(GuardedCall, KeepsHandlersAndMask) {
  struct sigaction before {};
  sigaction(SIGSEGV, nullptr, &before);
  sigset_t mask_before;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask_before);
  CallGuarded([](void*) { raise(SIGSEGV); }, nullptr, milliseconds(5000));
  struct sigaction after {};
  sigaction(SIGSEGV, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
  sigset_t mask_after;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask_after);
  for (int signal = 1; signal < 32; ++signal) {
    EXPECT_EQ(sigismember(&mask_before, signal), sigismember(&mask_after, signal));
  }
}

}  // namespace
}  // namespace lamplight::stacks
