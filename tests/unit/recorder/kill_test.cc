// kill -9 at random moments: the file that is left is whole up to its head.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
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
[[noreturn]] void WriteUntilKilled(const std::string& folder, uint32_t staging_slots) {
  RecorderOptions options;
  options.directory = folder;
  options.ring_bytes = 64 << 10;
  options.staging_slots = staging_slots;
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

// Numbers go up; what is missing before or between them is at most what the header counts.
void ExpectNumberedEvents(const test::ParsedTrace& trace) {
  uint64_t previous = 0;
  uint64_t missing = 0;
  for (const test::ParsedRecord& order : trace.Events(RecordType::kOrder)) {
    const uint64_t serial = order.As<trace::Order>().serial;
    ASSERT_GT(serial, previous);
    missing += serial - previous - 1;
    previous = serial;
  }
  ASSERT_LE(missing, trace.header.events_overwritten + trace.header.events_dropped);
}

// How much there was to judge, over all rounds.
struct Seen {
  uint64_t files = 0;
  uint64_t overwritten = 0;
  uint64_t dropped = 0;
};

void KillOneWriter(int round, std::chrono::microseconds after, Seen* seen) {
  test::TemporaryFolder folder;
  const uint32_t slots = round % 2 == 0 ? 4096 : 32;  // every other round drops
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) WriteUntilKilled(folder.path(), slots);
  std::this_thread::sleep_for(after);
  ASSERT_EQ(kill(child, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the child could not open its trace";
  for (const std::string& path : folder.Files()) {
    if (!path.ends_with(trace::kFileSuffix)) continue;  // killed before the file was there
    const test::ParsedTrace trace = test::ParseTraceFile(path);
    ASSERT_TRUE(trace.errors.empty()) << trace.errors[0];
    ExpectNumberedDefinitions(trace);
    ExpectNumberedEvents(trace);
    ++seen->files;
    seen->overwritten += trace.header.events_overwritten;
    seen->dropped += trace.header.events_dropped;
  }
}

TEST(Kill, LeavesAReadableFileAtAnyMoment) {
  std::mt19937 random(20240611);
  std::uniform_int_distribution<int> microseconds(0, 40'000);
  Seen seen;
  for (int round = 0; round < kKills; ++round) {
    KillOneWriter(round, std::chrono::microseconds(microseconds(random)), &seen);
    if (HasFatalFailure()) FAIL() << "in round " << round;
  }
  EXPECT_GT(seen.files, uint64_t{kKills / 2});
  EXPECT_GT(seen.overwritten, 0u) << "no round was long enough";
  EXPECT_GT(seen.dropped, 0u) << "no round was fast enough";
}

}  // namespace
}  // namespace lamplight::shim
