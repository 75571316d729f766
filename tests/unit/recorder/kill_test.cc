// kill -9 at random moments: the file that is left is whole up to its head.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <string>
#include <thread>

#include "shim/recorder/recorder.h"
#include "tests/unit/recorder/parsed_trace.h"
#include "tests/unit/recorder/temporary_folder.h"

namespace lamplight::shim {
namespace {

using trace::RecordType;

constexpr int kKills = 50;

// One staged event after the other, numbered in `serial`; every tenth is followed by a definition.
[[noreturn]] void WriteUntilKilled(const std::string& folder) {
  RecorderOptions options;
  options.directory = folder;
  options.ring_bytes = 64 << 10;
  options.staging_slots = 4096;
  options.period = std::chrono::microseconds(500);
  std::string error;
  auto recorder = Recorder::Open(options, &error);
  if (recorder == nullptr || !recorder->Start(&error)) _exit(1);
  for (uint64_t serial = 1;; ++serial) {
    trace::Order order{};
    order.serial = serial;
    recorder->Emit(RecordType::kOrder, order);
    if (serial % 10 != 0) continue;
    RecordBuilder<trace::Text> text(RecordType::kText);
    text->hang_id = static_cast<uint32_t>(serial / 10);
    text.SetString(&trace::Text::text, std::string(serial % 300, 't'));
    recorder->Define(text);
  }
}

void ExpectNumberedDefinitions(const test::ParsedTrace& trace) {
  uint32_t expected = 0;
  for (const test::ParsedRecord& text : trace.Definitions(RecordType::kText)) {
    ASSERT_EQ(text.As<trace::Text>().hang_id, ++expected);
  }
}

// Numbers go up; what is missing before or between them is at most what the header counts. The
// process may have died between a drop and its count, which the drain copies once per round: then
// the drops came after the last count, and so does every gap.
void ExpectNumberedEvents(const test::ParsedTrace& trace) {
  const auto orders = trace.Events(RecordType::kOrder);
  uint64_t previous = 0;
  uint64_t missing = 0;
  for (const test::ParsedRecord& order : orders) {
    const uint64_t serial = order.As<trace::Order>().serial;
    ASSERT_GT(serial, previous);
    missing += serial - previous - 1;
    previous = serial;
  }
  const bool dropped = trace.header.events_dropped > 0;
  if (!dropped) {
    ASSERT_LE(missing, trace.header.events_overwritten);
  }
}

TEST(Kill, LeavesAReadableFileAtAnyMoment) {
  std::mt19937 random(20240611);
  std::uniform_int_distribution<int> microseconds(0, 40'000);
  uint64_t most_events = 0;
  for (int round = 0; round < kKills; ++round) {
    test::TemporaryFolder folder;
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) WriteUntilKilled(folder.path());
    std::this_thread::sleep_for(std::chrono::microseconds(microseconds(random)));
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child could not open its trace";
    for (const std::string& path : folder.Files()) {
      if (!path.ends_with(trace::kFileSuffix)) continue;  // killed before the file was there
      const test::ParsedTrace trace = test::ParseTraceFile(path);
      ASSERT_TRUE(trace.errors.empty()) << trace.errors[0] << " in round " << round;
      ExpectNumberedDefinitions(trace);
      ExpectNumberedEvents(trace);
      most_events = std::max(most_events, trace.header.ring_head);
    }
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_GT(most_events, uint64_t{64 << 10}) << "no round got as far as to overwrite events";
}

}  // namespace
}  // namespace lamplight::shim
