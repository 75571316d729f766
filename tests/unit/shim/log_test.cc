// Lines on stderr, and a child that is forked in the middle of one.
#include "shim/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace lamplight::shim {
namespace {

// A pipe in the place of stderr.
class LogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(pipe2(ends_, O_CLOEXEC), 0);
    saved_ = dup(STDERR_FILENO);
    ASSERT_EQ(dup2(ends_[1], STDERR_FILENO), STDERR_FILENO);
  }
  void TearDown() override {
    dup2(saved_, STDERR_FILENO);
    for (const int end : {saved_, ends_[0], ends_[1]}) close(end);
    SetLogLevel(LogLevel::kWarning);
  }

  std::string Read() const {
    char text[4096];
    const ssize_t bytes = read(ends_[0], text, sizeof text);
    return {text, bytes > 0 ? static_cast<size_t>(bytes) : 0};
  }
  void FillThePipe() const {
    fcntl(ends_[1], F_SETFL, O_NONBLOCK);
    while (write(ends_[1], "x", 1) == 1) continue;
    fcntl(ends_[1], F_SETFL, 0);
  }

  int ends_[2] = {-1, -1};
  int saved_ = -1;
};

TEST_F(LogTest, ALineNamesTheProcess) {
  LogWarning("{} is off", "it");
  EXPECT_EQ(Read(), "lamplight[" + std::to_string(getpid()) + "]: it is off\n");
}

TEST_F(LogTest, TheLevelHoldsForAChildToo) {
  SetLogLevel(LogLevel::kError);
  RenewLog();
  LogWarning("no");
  LogError("yes");
  EXPECT_NE(Read().find("]: yes\n"), std::string::npos);
}

// `server 2>&1 | head`: the reader has gone, and the host has not asked for SIGPIPE to be ignored.
TEST_F(LogTest, ALineThatNobodyReadsEndsNoHost) {
  close(ends_[0]);
  ends_[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGPIPE, SIG_DFL);
    RenewLog();
    LogError("nobody reads this");
    sigset_t pending;
    sigpending(&pending);
    _exit(sigismember(&pending, SIGPIPE) == 1 ? 2 : 0);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// One that the host has pending is its own.
TEST_F(LogTest, APipeSignalThatIsPendingStaysSo) {
  close(ends_[0]);
  ends_[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t child = fork();
  if (child == 0) {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    raise(SIGPIPE);
    RenewLog();
    LogError("nobody reads this");
    sigset_t pending;
    sigpending(&pending);
    _exit(sigismember(&pending, SIGPIPE) == 1 ? 0 : 2);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(LogTest, AChildForkedInTheMiddleOfALineHasItsOwn) {
  FillThePipe();
  std::thread writing([] { LogWarning("nobody reads this"); });
  usleep(100'000);  // now it stands in the middle of its line
  const pid_t child = fork();
  if (child == 0) {
    alarm(5);
    RenewLog();
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDERR_FILENO);
    LogWarning("a line of the child's");
    _exit(0);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  while (Read().find("nobody") == std::string::npos) continue;
  writing.join();
}

}  // namespace
}  // namespace lamplight::shim
