// Forked children: inert in the parent's file, free to open their own.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "shim/recorder/recorder.h"
#include "tests/unit/recorder/in_child.h"
#include "tests/unit/recorder/parsed_trace.h"
#include "tests/unit/recorder/temporary_folder.h"

namespace lamplight::shim {
namespace {

using trace::RecordType;

class ForkTest : public testing::Test {
 protected:
  void SetUp() override {
    recorder_ = OpenOne();
    std::string error;
    ASSERT_NE(recorder_, nullptr);
    ASSERT_TRUE(recorder_->Start(&error)) << error;
    // A sanitizer's allocator lock that the starting thread held would stay locked in the child.
    while (test::ParseTraceFile(recorder_->path()).header.last_drain_ns == 0) usleep(1000);
  }

  std::unique_ptr<Recorder> OpenOne() const {
    RecorderOptions options;
    options.directory = folder_.path();
    options.ring_bytes = 64 << 10;
    std::string error;
    auto recorder = Recorder::Open(options, &error);
    EXPECT_NE(recorder, nullptr) << error;
    return recorder;
  }

  static void Record(Recorder& recorder, uint32_t mark) {
    trace::Edge edge{};
    edge.graph_id = mark;
    recorder.Define(RecordType::kEdge, edge);
    trace::CaptureBegin begin{};
    begin.stream_id = mark;
    recorder.Emit(RecordType::kCaptureBegin, begin);
  }

  // The parent's file holds `mark` and nothing of the child.
  void ExpectOnlyOwnRecords(uint32_t mark) {
    recorder_->Stop();
    const test::ParsedTrace trace = test::ParseTraceFile(recorder_->path());
    ASSERT_TRUE(trace.errors.empty()) << trace.errors[0];
    EXPECT_GT(trace.header.closed_ns, 0u);
    ASSERT_EQ(trace.Definitions(RecordType::kEdge).size(), 1u);
    EXPECT_EQ(trace.Definitions(RecordType::kEdge)[0].As<trace::Edge>().graph_id, mark);
    ASSERT_EQ(trace.Events(RecordType::kCaptureBegin).size(), 1u);
    EXPECT_EQ(trace.Events(RecordType::kCaptureBegin)[0].As<trace::CaptureBegin>().stream_id, mark);
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Recorder> recorder_;
};

TEST_F(ForkTest, ChildLeavesTheParentsFileAlone) {
  const std::string said = test::InChild([this] {
    Record(*recorder_, 2);
    recorder_->DrainNow();
    recorder_->Stop();
    recorder_ = nullptr;
    return std::string("done");
  });
  EXPECT_EQ(said, "done");
  Record(*recorder_, 1);
  ExpectOnlyOwnRecords(1);
}

TEST_F(ForkTest, ChildOpensItsOwnTrace) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer cannot follow a forked child that starts a thread";
#endif
  const std::string path = test::InChild([this] {
    auto own = OpenOne();
    std::string error;
    if (!own->Start(&error)) return error;
    Record(*own, 3);
    own->Stop();
    return own->path();
  });
  Record(*recorder_, 1);
  ExpectOnlyOwnRecords(1);
  ASSERT_NE(path, recorder_->path());
  const test::ParsedTrace child = test::ParseTraceFile(path);
  ASSERT_TRUE(child.errors.empty()) << child.errors[0];
  EXPECT_NE(child.header.pid, static_cast<uint32_t>(getpid()));
  const auto events = child.Events(RecordType::kCaptureBegin);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].As<trace::CaptureBegin>().stream_id, 3u);
  EXPECT_EQ(events[0].header.tid, child.header.pid) << "the id of the parent's thread was kept";
}

// clone() without the C library runs no fork handlers.
TEST_F(ForkTest, ChildOfABareCloneLeavesTheParentsFileAlone) {
  const pid_t child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
  if (child == 0) {
    Record(*recorder_, 2);
    recorder_->Stop();
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  Record(*recorder_, 1);
  ExpectOnlyOwnRecords(1);
}

}  // namespace
}  // namespace lamplight::shim
