// The facade: what goes in comes out of the file, and what goes wrong stays inside.
#include "shim/recorder/recorder.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/recorder/parsed_trace.h"
#include "tests/unit/recorder/temporary_folder.h"

namespace lamplight::shim {
namespace {

using trace::RecordType;

std::vector<std::string> reported_errors;

class RecorderTest : public testing::Test {
 protected:
  RecorderTest() {
    reported_errors.clear();
    options_.directory = folder_.path();
    options_.ring_bytes = 64 << 10;
    options_.staging_slots = 64;
    options_.on_error = [](const char* reason) { reported_errors.emplace_back(reason); };
  }

  void Open() {
    std::string error;
    recorder_ = Recorder::Open(options_, &error);
    ASSERT_NE(recorder_, nullptr) << error;
  }
  void Start() {
    std::string error;
    ASSERT_TRUE(recorder_->Start(&error)) << error;
  }
  void Launch(uint64_t replay) {
    trace::GraphLaunch launch{};
    launch.replay = replay;
    recorder_->Emit(RecordType::kGraphLaunch, launch);
  }
  test::ParsedTrace Parse() const {
    test::ParsedTrace trace = test::ParseTraceFile(recorder_->path());
    EXPECT_TRUE(trace.errors.empty()) << trace.errors[0];
    return trace;
  }

  test::TemporaryFolder folder_;
  RecorderOptions options_;
  std::unique_ptr<Recorder> recorder_;
};

TEST_F(RecorderTest, EventsReachTheFileInOrder) {
  Open();
  const uint64_t before = Recorder::NowNs();
  for (uint64_t replay = 1; replay <= 20; ++replay) Launch(replay);
  recorder_->DrainNow();
  const auto launches = Parse().Events(RecordType::kGraphLaunch);
  ASSERT_EQ(launches.size(), 20u);
  for (uint64_t i = 0; i < launches.size(); ++i) {
    EXPECT_EQ(launches[i].As<trace::GraphLaunch>().replay, i + 1);
    EXPECT_EQ(launches[i].header.bytes, sizeof(trace::GraphLaunch));
    EXPECT_EQ(launches[i].header.tid, static_cast<uint32_t>(gettid()));
    EXPECT_GE(launches[i].header.time_ns, before);
    EXPECT_LE(launches[i].header.time_ns, Recorder::NowNs());
  }
}

TEST_F(RecorderTest, KeepsATimeThatIsSet) {
  Open();
  trace::ReplayDone done{};
  done.header.time_ns = 12345;
  recorder_->Emit(RecordType::kReplayDone, done);
  trace::Hang hang{};
  hang.header.time_ns = 23456;
  recorder_->Define(RecordType::kHang, hang);
  recorder_->DrainNow();
  const test::ParsedTrace trace = Parse();
  EXPECT_EQ(trace.Events(RecordType::kReplayDone).at(0).header.time_ns, 12345u);
  EXPECT_EQ(trace.Definitions(RecordType::kHang).at(0).header.time_ns, 23456u);
}

TEST_F(RecorderTest, DefinitionsAreInTheFileAtOnce) {
  Open();
  RecordBuilder<trace::Kernel> kernel(RecordType::kKernel);
  kernel->kernel_id = 4;
  kernel.SetString(&trace::Kernel::symbol, "_Z9allreducev");
  recorder_->Define(kernel);
  trace::Edge edge{};
  edge.to = 17;
  recorder_->Define(RecordType::kEdge, edge);
  const test::ParsedTrace trace = Parse();
  const auto kernels = trace.Definitions(RecordType::kKernel);
  ASSERT_EQ(kernels.size(), 1u);
  EXPECT_EQ(kernels[0].Text(kernels[0].As<trace::Kernel>().symbol), "_Z9allreducev");
  EXPECT_EQ(kernels[0].header.tid, static_cast<uint32_t>(gettid()));
  EXPECT_EQ(trace.Definitions(RecordType::kEdge).at(0).As<trace::Edge>().to, 17u);
}

TEST_F(RecorderTest, ThreadsSignWithTheirOwnIds) {
  Open();
  uint32_t other = 0;
  Launch(1);
  std::thread([this, &other] {
    other = static_cast<uint32_t>(gettid());
    Launch(2);
  }).join();
  std::thread([this] {
    MarkShimThread();
    Launch(3);
  }).join();
  recorder_->DrainNow();
  const auto launches = Parse().Events(RecordType::kGraphLaunch);
  ASSERT_EQ(launches.size(), 3u);
  EXPECT_EQ(launches[0].header.tid, static_cast<uint32_t>(gettid()));
  EXPECT_EQ(launches[1].header.tid, other);
  EXPECT_EQ(launches[2].header.tid, 0u);
}

TEST_F(RecorderTest, CountsEventsDroppedBetweenTwoDrains) {
  Open();
  for (uint64_t replay = 1; replay <= 100; ++replay) Launch(replay);  // 64 slots
  recorder_->DrainNow();
  const test::ParsedTrace trace = Parse();
  EXPECT_EQ(trace.header.events_dropped, 36u);
  EXPECT_EQ(trace.Events(RecordType::kGraphLaunch).size(), 64u);
}

TEST_F(RecorderTest, AnchorsTheClocksInBothSections) {
  Open();
  recorder_->DrainNow();
  const test::ParsedTrace trace = Parse();
  ASSERT_EQ(trace.Definitions(RecordType::kClockAnchor).size(), 1u);
  ASSERT_EQ(trace.Events(RecordType::kClockAnchor).size(), 1u);
  const auto anchor = trace.Events(RecordType::kClockAnchor)[0].As<trace::ClockAnchor>();
  const auto defined = trace.Definitions(RecordType::kClockAnchor)[0].As<trace::ClockAnchor>();
  EXPECT_EQ(anchor.device_id, trace::kNoId);
  EXPECT_EQ(anchor.gpu_ns, 0u);
  const auto real_passed = static_cast<double>(anchor.realtime_ns - defined.realtime_ns);
  const auto passed = static_cast<double>(anchor.monotonic_ns - defined.monotonic_ns);
  EXPECT_NEAR(real_passed, passed, 1e8);
}

TEST_F(RecorderTest, AnchorsOnceASecond) {
  Open();
  Start();
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  recorder_->Stop();
  EXPECT_EQ(Parse().Events(RecordType::kClockAnchor).size(), 2u);
}

TEST_F(RecorderTest, DrainThreadEmptiesTheRingWithinItsPeriod) {
  Open();
  Start();
  Launch(1);
  for (int i = 0; i < 400 && Parse().Events(RecordType::kGraphLaunch).empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const test::ParsedTrace trace = Parse();
  EXPECT_EQ(trace.Events(RecordType::kGraphLaunch).size(), 1u);
  EXPECT_EQ(trace.header.closed_ns, 0u);
}

TEST_F(RecorderTest, StopDrainsAndClosesOnce) {
  Open();
  Start();
  for (uint64_t replay = 1; replay <= 50; ++replay) Launch(replay);
  recorder_->Stop();
  const test::ParsedTrace trace = Parse();
  EXPECT_EQ(trace.Events(RecordType::kGraphLaunch).size(), 50u);
  EXPECT_GT(trace.header.closed_ns, 0u);
  EXPECT_GE(trace.header.closed_ns, trace.header.last_drain_ns);
  recorder_->Stop();
  EXPECT_EQ(Parse().header.closed_ns, trace.header.closed_ns);
}

TEST_F(RecorderTest, IsInertAfterStop) {
  Open();
  recorder_->Stop();
  const uint64_t definitions = Parse().definitions.size();
  Launch(1);
  trace::Edge edge{};
  recorder_->Define(RecordType::kEdge, edge);
  recorder_->DrainNow();
  std::string error;
  EXPECT_FALSE(recorder_->Start(&error));
  EXPECT_FALSE(error.empty());
  EXPECT_EQ(Parse().definitions.size(), definitions);
  EXPECT_TRUE(Parse().Events(RecordType::kGraphLaunch).empty());
}

TEST_F(RecorderTest, StartsOneThreadOnly) {
  Open();
  Start();
  std::string error;
  EXPECT_FALSE(recorder_->Start(&error));
  EXPECT_NE(error.find("already"), std::string::npos) << error;
}

class NumberingSource : public DrainSource {
 public:
  void Drain(Recorder& recorder) override {
    trace::Snapshot snapshot{};
    snapshot.replay = ++drained;
    recorder.WriteEvent(RecordType::kSnapshot, snapshot);
    recorder.CountSnapshotDrops(2);
  }
  uint64_t drained = 0;
};

TEST_F(RecorderTest, SourcesWriteStraightIntoTheFile) {
  Open();
  NumberingSource source;
  ASSERT_TRUE(recorder_->AddSource(&source));
  recorder_->DrainNow();
  recorder_->DrainNow();
  recorder_->Stop();
  const test::ParsedTrace trace = Parse();
  const auto snapshots = trace.Events(RecordType::kSnapshot);
  ASSERT_EQ(snapshots.size(), 3u);
  EXPECT_EQ(snapshots[2].As<trace::Snapshot>().replay, 3u);
  EXPECT_EQ(snapshots[2].header.tid, 0u);
  EXPECT_EQ(trace.header.snapshots_dropped, 6u);
}

TEST_F(RecorderTest, RefusesMoreSourcesThanItHasRoomFor) {
  Open();
  NumberingSource source;
  int added = 0;
  while (added < 1000 && recorder_->AddSource(&source)) ++added;
  EXPECT_EQ(added, 64);
  EXPECT_FALSE(recorder_->AddSource(&source));
  recorder_->Stop();  // before the source is gone
}

class ThrowingSource : public DrainSource {
 public:
  void Drain(Recorder&) override { throw std::runtime_error("no"); }
};

TEST_F(RecorderTest, FailingSourceEndsTheRecordingWithOneReport) {
  Open();
  ThrowingSource source;
  ASSERT_TRUE(recorder_->AddSource(&source));
  recorder_->DrainNow();
  recorder_->DrainNow();
  EXPECT_FALSE(recorder_->Active());
  recorder_->Stop();
  EXPECT_EQ(reported_errors.size(), 1u);
  EXPECT_EQ(Parse().header.closed_ns, 0u);
}

// A store into a mapping beyond the file's end would be the end of the server.
TEST_F(RecorderTest, SurvivesTheFileBeingShortened) {
  Open();
  ASSERT_EQ(truncate(recorder_->path().c_str(), 0), 0);
  Launch(1);
  trace::Edge edge{};
  recorder_->Define(RecordType::kEdge, edge);
  recorder_->DrainNow();
  recorder_->Stop();
  EXPECT_FALSE(recorder_->Active());
  ASSERT_EQ(reported_errors.size(), 1u);
  EXPECT_NE(reported_errors[0].find("shortened"), std::string::npos);
}

// What was staged before is kept; nothing comes behind it.
TEST_F(RecorderTest, CloseTakesNothingMore) {
  Open();
  Start();
  Launch(1);
  recorder_->Close();
  trace::Edge edge{};
  recorder_->Define(RecordType::kEdge, edge);
  for (int i = 0; i < 500 && recorder_->Active(); ++i) usleep(10'000);
  EXPECT_FALSE(recorder_->Active());
  EXPECT_TRUE(reported_errors.empty());
  const test::ParsedTrace trace = Parse();
  EXPECT_EQ(trace.Definitions(RecordType::kEdge).size(), 0u);
  EXPECT_EQ(trace.Events(RecordType::kGraphLaunch).size(), 1u);
  EXPECT_EQ(trace.header.definitions_dropped, 0u);
}

TEST_F(RecorderTest, GoesOnWhenTheFileIsRemoved) {
  Open();
  Start();
  std::filesystem::remove(recorder_->path());
  Launch(1);
  trace::Edge edge{};
  recorder_->Define(RecordType::kEdge, edge);
  recorder_->Stop();
  EXPECT_TRUE(reported_errors.empty());
}

TEST_F(RecorderTest, DefinitionsEndAtTheirLimitWithOneLine) {
  options_.max_definition_bytes = 4096;
  Open();
  trace::Stream stream{};
  for (int i = 0; i < 200; ++i) recorder_->Define(RecordType::kStream, stream);
  const test::ParsedTrace trace = Parse();
  const size_t kept = trace.Definitions(RecordType::kStream).size();
  EXPECT_LE(trace.header.defs_bytes, 4096u);
  EXPECT_GT(kept, 50u);
  EXPECT_EQ(trace.header.definitions_dropped, 200 - kept);
  ASSERT_EQ(reported_errors.size(), 1u);
  EXPECT_NE(reported_errors[0].find("have reached 4096 bytes"), std::string::npos);
}

TEST_F(RecorderTest, OpenSaysWhyItCannot) {
  options_.directory = "/proc/none";
  std::string error;
  EXPECT_EQ(Recorder::Open(options_, &error), nullptr);
  EXPECT_NE(error.find("/proc/none"), std::string::npos) << error;
}

TEST_F(RecorderTest, KeepsErrno) {
  Open();
  Start();
  errno = EXDEV;
  Launch(1);
  trace::Edge edge{};
  recorder_->Define(RecordType::kEdge, edge);
  recorder_->Stop();
  std::string error;
  options_.directory = "/proc/none";
  Recorder::Open(options_, &error);
  EXPECT_EQ(errno, EXDEV);
}

std::string FieldOfThreadStatus(const std::string& task, const std::string& field) {
  std::ifstream status(task + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return line.substr(line.find_first_not_of(" \t", field.size()));
  }
  return "";
}

TEST_F(RecorderTest, DrainThreadIsNamedAndBlocksEverySignal) {
  Open();
  Start();
  std::string blocked;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (FieldOfThreadStatus(task.path(), "Name:") == "lamplight-drain") {
      blocked = FieldOfThreadStatus(task.path(), "SigBlk:");
    }
  }
  ASSERT_FALSE(blocked.empty());
  const uint64_t mask = std::stoull(blocked, nullptr, 16);
  for (int signal = 1; signal < 32; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    EXPECT_NE(mask >> (signal - 1) & 1, 0u) << strsignal(signal);
  }
  sigset_t own;
  pthread_sigmask(SIG_SETMASK, nullptr, &own);
  EXPECT_EQ(sigismember(&own, SIGTERM), 0);
}

// Each thread's copy is part of its stack.
constexpr size_t kLargeBytes = 600 << 10;
thread_local volatile char large_thread_local[kLargeBytes];

TEST_F(RecorderTest, StartsWhereThreadLocalsAreLargerThanItsStack) {
  large_thread_local[kLargeBytes - 1] = 1;
  Open();
  Start();
  Launch(1);
  recorder_->Stop();
  EXPECT_EQ(Parse().Events(RecordType::kGraphLaunch).size(), 1u);
}

TEST_F(RecorderTest, ConcurrentThreadsLoseOnlyWhatIsCounted) {
  options_.ring_bytes = 4 << 20;
  options_.staging_slots = 1024;
  Open();
  Start();
  constexpr uint64_t kThreads = 3;
  constexpr uint64_t kEach = 5000;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      for (uint64_t i = 1; i <= kEach; ++i) {
        Launch(i);
        trace::Edge edge{};
        if (i % 50 == 0) recorder_->Define(RecordType::kEdge, edge);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  recorder_->Stop();
  const test::ParsedTrace trace = Parse();
  EXPECT_EQ(trace.Events(RecordType::kGraphLaunch).size() + trace.header.events_dropped,
            kThreads * kEach);
  EXPECT_EQ(trace.Definitions(RecordType::kEdge).size(), kThreads * kEach / 50);
  EXPECT_EQ(trace.header.events_overwritten, 0u);
}

}  // namespace
}  // namespace lamplight::shim
