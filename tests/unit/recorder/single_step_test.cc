// Looks into the trace after every single instruction of its writer: where kill -9 could strike.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "shim/recorder/event_ring.h"
#include "shim/recorder/recorder.h"
#include "tests/unit/recorder/parsed_trace.h"
#include "tests/unit/recorder/temporary_folder.h"

namespace lamplight::shim {
namespace {

using trace::RecordType;

[[noreturn]] void RunTraced(const std::function<void()>& writer) {
  if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(2);
  raise(SIGSTOP);
  writer();
  _exit(0);
}

// Calls `look` after each instruction of `writer`, which runs in a child. The number of
// instructions; 0 where tracing is not allowed.
uint64_t StepThrough(const std::function<void()>& writer, const std::function<void()>& look) {
  const pid_t child = fork();
  if (child == 0) RunTraced(writer);
  int status = 0;
  uint64_t steps = 0;
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    look();
    const bool stop = testing::Test::HasFatalFailure();
    if (stop) kill(child, SIGKILL);
    ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr);
    ++steps;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 2 ? 0 : steps;
}

// Sanitizers multiply the instructions, and the ones they add are not the writer's.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kTooManyInstructions = true;
#else
constexpr bool kTooManyInstructions = false;
#endif

// Numbered records without a gap that the header does not count; `number` tells a record's number.
template <class F>
void ExpectGapsAreCounted(const std::vector<test::ParsedRecord>& records,
                          const trace::FileHeader& header, F number) {
  uint64_t previous = 0;
  uint64_t missing = 0;
  for (const test::ParsedRecord& record : records) {
    ASSERT_GT(number(record), previous);
    missing += number(record) - previous - 1;
    previous = number(record);
  }
  ASSERT_LE(missing, header.events_overwritten + header.events_dropped);
}

constexpr uint64_t kRingBytes = 4096;
constexpr uint64_t kFileBytes = trace::kHeaderBytes + kRingBytes;

trace::FileHeader* MapEmptyFile() {
  void* memory =
      mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* header = static_cast<trace::FileHeader*>(memory);
  std::memcpy(header->magic, trace::kMagic, sizeof(header->magic));
  header->ring_offset = trace::kHeaderBytes;
  header->ring_bytes = kRingBytes;
  header->defs_offset = kFileBytes;
  header->static_crc = test::PlainCrc32c(header, 60);
  return header;
}

// Records of 904 bytes in 4096: every lap ends in a pad and overwrites five records.
TEST(SingleStep, RingIsWholeAfterEveryInstruction) {
  if (kTooManyInstructions) GTEST_SKIP() << "not under a sanitizer";
  trace::FileHeader* header = MapEmptyFile();
  auto* bytes = reinterpret_cast<unsigned char*>(header);
  const auto write = [header, bytes] {
    EventRing ring(header, bytes + trace::kHeaderBytes);
    std::vector<uint64_t> words(904 / 8);
    auto* record = reinterpret_cast<trace::RecordHeader*>(words.data());
    for (uint64_t number = 1; number <= 14; ++number) {
      *record = {0, 904, static_cast<uint16_t>(RecordType::kSnapshot), 0, 0, number};
      ring.Write(record);
    }
  };
  uint64_t most_events = 0;
  const uint64_t steps = StepThrough(write, [bytes, &most_events] {
    const test::ParsedTrace trace = test::ParseTrace({bytes, kFileBytes});
    ASSERT_TRUE(trace.errors.empty()) << trace.errors[0];
    ExpectGapsAreCounted(trace.events, trace.header,
                         [](const test::ParsedRecord& record) { return record.header.time_ns; });
    most_events = std::max<uint64_t>(most_events, trace.events.size());
  });
  if (steps == 0) GTEST_SKIP() << "tracing a child is not allowed here";
  EXPECT_GT(steps, 1000u);
  EXPECT_EQ(most_events, 4u);
  EXPECT_EQ(header->events_overwritten, 10u);
  munmap(header, kFileBytes);
}

// The one trace in a folder, mapped as soon as it is there.
class WatchedTrace {
 public:
  explicit WatchedTrace(const test::TemporaryFolder& folder) : folder_(folder) {}
  ~WatchedTrace() {
    if (bytes_ != nullptr) munmap(bytes_, kMapped);
    if (fd_ >= 0) close(fd_);
  }
  WatchedTrace(const WatchedTrace&) = delete;
  WatchedTrace& operator=(const WatchedTrace&) = delete;

  // Empty where there is no trace yet.
  std::span<const unsigned char> Bytes() {
    if (bytes_ == nullptr && !Map()) return {};
    struct stat status {};
    fstat(fd_, &status);
    return {static_cast<unsigned char*>(bytes_), static_cast<size_t>(status.st_size)};
  }

 private:
  static constexpr size_t kMapped = 4 << 20;

  bool Map() {
    for (const std::string& path : folder_.Files()) {
      if (!path.ends_with(trace::kFileSuffix)) continue;
      fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
      bytes_ = mmap(nullptr, kMapped, PROT_READ, MAP_SHARED, fd_, 0);
      return bytes_ != MAP_FAILED;
    }
    return false;
  }

  const test::TemporaryFolder& folder_;
  int fd_ = -1;
  void* bytes_ = nullptr;
};

// Drops, drains and definitions, in the file itself.
TEST(SingleStep, FileIsWholeAfterEveryInstruction) {
  if (kTooManyInstructions) GTEST_SKIP() << "not under a sanitizer";
  test::TemporaryFolder folder;
  RecorderOptions options;
  options.directory = folder.path();
  options.ring_bytes = 64 << 10;
  options.staging_slots = 16;
  const auto write = [&options] {
    std::string error;
    const auto recorder = Recorder::Open(options, &error);
    if (recorder == nullptr) return;
    uint64_t serial = 0;
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 18; ++i) {  // two more than there are slots
        trace::Order order{};
        order.serial = ++serial;
        recorder->Emit(RecordType::kOrder, order);
      }
      trace::Edge edge{};
      recorder->Define(RecordType::kEdge, edge);
      recorder->DrainNow();
    }
    recorder->Stop();
  };
  WatchedTrace watched(folder);
  test::ParsedTrace trace;
  const uint64_t steps = StepThrough(write, [&watched, &trace] {
    const auto bytes = watched.Bytes();
    if (bytes.empty()) return;
    trace = test::ParseTrace(bytes);
    ASSERT_TRUE(trace.errors.empty()) << trace.errors[0];
    ExpectGapsAreCounted(
        trace.Events(RecordType::kOrder), trace.header,
        [](const test::ParsedRecord& record) { return record.As<trace::Order>().serial; });
  });
  if (steps == 0) GTEST_SKIP() << "tracing a child is not allowed here";
  EXPECT_EQ(trace.Events(RecordType::kOrder).size(), 48u);
  EXPECT_EQ(trace.Definitions(RecordType::kEdge).size(), 3u);
  EXPECT_EQ(trace.header.events_dropped, 6u);
  EXPECT_GT(trace.header.closed_ns, 0u);
}

}  // namespace
}  // namespace lamplight::shim
