// Threads that ask for a GIL which is a plain mutex here, held by the test as Python's main thread
// would hold it.
#include "shim/stacks/gil_thread.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

namespace lamplight::stacks {
namespace {

// What the plain functions below share, since CPython's take no object either.
std::mutex gil;
std::atomic<int> bodies{0};
int (*pending)(void*) = nullptr;
void* pending_argument = nullptr;
int announced = 0;
int saves = 0;
bool queue_is_full = false;
bool main_keeps_gil = false;

int Ensure() {
  gil.lock();
  return 7;
}

void Release(int state) {
  EXPECT_EQ(state, 7);
  gil.unlock();
}

int AddPendingCall(int (*function)(void*), void* argument) {
  if (queue_is_full) return -1;
  ++announced;
  pending = function;
  pending_argument = argument;
  return 0;
}

void* SaveThread() {
  ++saves;
  if (!main_keeps_gil) gil.unlock();
  return &gil;
}

void RestoreThread(void* state) {
  EXPECT_EQ(state, &gil);
  if (!main_keeps_gil) gil.lock();
}

constexpr GilApi kApi{Ensure, Release, AddPendingCall, SaveThread, RestoreThread};

// Every test lets in whoever still asks at its end: no body outlives its test.
class GilThread : public testing::Test {
 protected:
  void SetUp() override {
    bodies = 0;
    announced = 0;
    queue_is_full = false;
    main_keeps_gil = false;
    gil.lock();
  }

  void TearDown() override {
    main_keeps_gil = false;
    if (pending != nullptr) pending(pending_argument);
    pending = nullptr;
    gil.unlock();
  }

  static bool Start() {
    return StartUnderGil(
        kApi, [](void* count) { static_cast<std::atomic<int>*>(count)->fetch_add(1); }, &bodies);
  }

  // What Python's main thread does at latest before it ends.
  static void RunPendingCall() {
    ASSERT_NE(pending, nullptr);
    int (*function)(void*) = pending;
    pending = nullptr;
    EXPECT_EQ(function(pending_argument), 0);
  }
};

TEST_F(GilThread, RunsNothingWhileAnotherHasTheGil) {
  ASSERT_TRUE(Start());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(bodies, 0);
}

TEST_F(GilThread, ThePendingCallLetsAllInAndGetsTheGilBack) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Start());
  RunPendingCall();
  EXPECT_EQ(bodies, 5);
  std::thread([] { EXPECT_FALSE(gil.try_lock()); }).join();
}

TEST_F(GilThread, OnePendingCallAtATime) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Start());
  EXPECT_EQ(announced, 1);
  RunPendingCall();
  ASSERT_TRUE(Start());
  EXPECT_EQ(announced, 2);
}

TEST_F(GilThread, AFullQueueIsAskedAgainByTheNext) {
  queue_is_full = true;
  ASSERT_TRUE(Start());
  queue_is_full = false;
  ASSERT_TRUE(Start());
  EXPECT_EQ(announced, 1);
  RunPendingCall();
  EXPECT_EQ(bodies, 2);
}

TEST_F(GilThread, AGilThatNobodyGivesAwayHoldsUpThePendingCallForAWhileOnly) {
  ASSERT_TRUE(Start());
  main_keeps_gil = true;
  int (*function)(void*) = pending;
  RunPendingCall();
  EXPECT_EQ(bodies, 0);
  pending = function;  // for TearDown, which lets it in
}

TEST_F(GilThread, AForkDoesNotWaitForItsParentsThreads) {
  ASSERT_TRUE(Start());
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(20);
    saves = 0;
    pending(pending_argument);
    _exit(saves);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace lamplight::stacks
