// The reader against good files, cut files and files with chosen damage.
#include "analyzer/trace_reader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <functional>

#include "analyzer/crc32c.h"
#include "tests/unit/analyzer_reader/scenario.h"
#include "tests/unit/analyzer_reader/trace_builder.h"

namespace lamplight {
namespace {

using testing::BuildScenario;
using testing::Bytes;
using testing::Draft;
using testing::Scenario;
using testing::TemporaryFolder;
using testing::TraceBuilder;
using Kind = TraceLoss::Kind;

constexpr uint64_t kRing = 32768;
constexpr uint64_t kRingOffset = trace::kHeaderBytes;
constexpr uint64_t kDefsOffset = kRingOffset + kRing;

class TraceReader : public ::testing::Test {
 protected:
  std::optional<TraceFile> Read(const Bytes& bytes) {
    testing::WriteFile(Path(), bytes);
    error_.clear();
    return ReadTrace(Path(), &error_);
  }
  std::string Path() const { return folder_.File("x.lamptrace"); }

  TemporaryFolder folder_;
  std::string error_;
};

trace::ReplayDone Done(uint64_t replay) {
  trace::ReplayDone done = {};
  done.exec_id = 1;
  done.replay = replay;
  return done;
}

std::vector<uint64_t> Replays(const TraceFile& trace) {
  std::vector<uint64_t> replays;
  for (const RecordView& view : trace.events) {
    if (view.type() == trace::RecordType::kReplayDone) {
      replays.push_back(view.As<trace::ReplayDone>()->replay);
    }
  }
  return replays;
}

const TraceLoss* Find(const TraceFile& trace, Kind kind) {
  const auto found = std::find_if(trace.losses.begin(), trace.losses.end(),
                                  [&](const TraceLoss& loss) { return loss.kind == kind; });
  return found == trace.losses.end() ? nullptr : &*found;
}

// Changes header fields; `reseal` renews the checksum of the static part.
Bytes WithHeader(Bytes file, const std::function<void(trace::FileHeader&)>& change, bool reseal) {
  trace::FileHeader header;
  std::memcpy(&header, file.data(), sizeof(header));
  change(header);
  const auto* begin = reinterpret_cast<const std::byte*>(&header);
  if (reseal) header.static_crc = Crc32c({begin, offsetof(trace::FileHeader, static_crc)});
  std::memcpy(file.data(), &header, sizeof(header));
  return file;
}

TEST_F(TraceReader, ReadsEveryRecordOfAWholeTrace) {
  const auto trace = Read(BuildScenario({}).File());
  ASSERT_TRUE(trace) << error_;
  EXPECT_TRUE(trace->losses.empty());
  EXPECT_TRUE(trace->unknown_records.empty());
  EXPECT_FALSE(trace->closed);
  EXPECT_EQ(Replays(*trace), (std::vector<uint64_t>{1, 2, 3, 4, 5}));
  ASSERT_EQ(trace->definitions.front().type(), trace::RecordType::kProcess);
  const auto process = *trace->definitions.front().As<trace::Process>();
  EXPECT_EQ(trace->definitions.front().Text(process.hostname), "host-a");
  EXPECT_EQ(trace->definitions.front().Text(process.command_line, true), "server\n--world\n2");
}

TEST_F(TraceReader, KeepsTheNewestEventsOfARingThatWentRound) {
  for (const uint64_t count : {818u, 819u, 820u, 5000u}) {  // 819 records of 40 bytes fit
    TraceBuilder builder;
    for (uint64_t i = 1; i <= count; ++i) builder.Event(Done(i));
    const auto trace = Read(builder.File());
    ASSERT_TRUE(trace) << error_;
    const auto replays = Replays(*trace);
    ASSERT_FALSE(replays.empty());
    EXPECT_EQ(replays.back(), count);
    EXPECT_EQ(replays.front(), builder.header().events_overwritten + 1);
    EXPECT_EQ(replays.size(), count - builder.header().events_overwritten);
    EXPECT_EQ(Find(*trace, Kind::kDamagedEvents), nullptr);
    EXPECT_EQ(Find(*trace, Kind::kEventsOverwritten) != nullptr, count > 819);
  }
}

TEST_F(TraceReader, ReportsEveryCounterOfLosses) {
  const Bytes file = WithHeader(
      BuildScenario({}).File(),
      [](trace::FileHeader& header) {
        header.events_overwritten = 0;
        header.events_dropped = 3;
        header.snapshots_dropped = 4;
        header.definitions_dropped = 1;
        header.closed_ns = 5;
      },
      false);
  const auto trace = Read(file);
  ASSERT_TRUE(trace) << error_;
  ASSERT_NE(Find(*trace, Kind::kEventsDropped), nullptr);
  EXPECT_EQ(Find(*trace, Kind::kEventsDropped)->count, 3u);
  EXPECT_EQ(Find(*trace, Kind::kEventsDropped)->text.substr(0, 16), "3 events dropped");
  EXPECT_EQ(Find(*trace, Kind::kSnapshotsDropped)->count, 4u);
  EXPECT_EQ(Find(*trace, Kind::kDefinitionsDropped)->text.substr(0, 20), "1 definition dropped");
  EXPECT_TRUE(trace->closed);
}

TEST_F(TraceReader, FindsItsWayBehindADamagedEvent) {
  TraceBuilder builder;
  for (uint64_t i = 1; i <= 10; ++i) builder.Event(Done(i));
  Bytes file = builder.File();
  file[kRingOffset + 3 * 40 + 33] ^= std::byte{0x10};  // inside the fourth
  const auto trace = Read(file);
  ASSERT_TRUE(trace) << error_;
  EXPECT_EQ(Replays(*trace), (std::vector<uint64_t>{1, 2, 3, 5, 6, 7, 8, 9, 10}));
  const TraceLoss* loss = Find(*trace, Kind::kDamagedEvents);
  ASSERT_NE(loss, nullptr);
  EXPECT_EQ(loss->bytes, 40u);
  EXPECT_EQ(loss->count, 1u);
  EXPECT_EQ(loss->offset, kRingOffset + 3 * 40);
}

TEST_F(TraceReader, DamagedLengthDoesNotSwallowTheNextRecord) {
  TraceBuilder builder;
  for (uint64_t i = 1; i <= 4; ++i) builder.Event(Done(i));
  Bytes file = builder.File();
  const uint32_t length = 80;
  std::memcpy(file.data() + kRingOffset + 40 + 4, &length, sizeof(length));
  const auto trace = Read(file);
  ASSERT_TRUE(trace) << error_;
  EXPECT_EQ(Replays(*trace), (std::vector<uint64_t>{1, 3, 4}));
}

TEST_F(TraceReader, OrdersEventsByTimeWhereTheRingCountersAreImpossible) {
  TraceBuilder builder;
  for (uint64_t i = 1; i <= 2000; ++i) builder.Event(Done(i));
  const Bytes good = builder.File();
  const std::vector<std::function<void(trace::FileHeader&)>> damages = {
      [](trace::FileHeader& h) { h.ring_head += 4; },
      [](trace::FileHeader& h) { h.ring_head = h.ring_tail - 8; },
      [](trace::FileHeader& h) { h.ring_head += 1 << 20; },
      [](trace::FileHeader& h) { h.events_overwritten = 0; },
      [](trace::FileHeader& h) { h.ring_tail |= uint64_t{1} << 63; }};
  for (const auto& damage : damages) {
    const auto trace = Read(WithHeader(good, damage, false));
    ASSERT_TRUE(trace) << error_;
    ASSERT_NE(Find(*trace, Kind::kRingOrderLost), nullptr);
    const auto replays = Replays(*trace);
    EXPECT_GE(replays.size(), 817u);
    EXPECT_TRUE(std::is_sorted(replays.begin(), replays.end()));
    EXPECT_EQ(replays.back(), 2000u);
  }
}

TEST_F(TraceReader, TakesEventsThatWereSealedButNotYetCounted) {
  TraceBuilder builder;
  for (uint64_t i = 1; i <= 5; ++i) builder.Event(Done(i));
  const Bytes file = WithHeader(
      builder.File(), [](trace::FileHeader& header) { header.ring_head -= 80; }, false);
  const auto trace = Read(file);
  ASSERT_TRUE(trace) << error_;
  EXPECT_EQ(Replays(*trace), (std::vector<uint64_t>{1, 2, 3, 4, 5}));
  EXPECT_TRUE(trace->losses.empty());
}

TEST_F(TraceReader, TakesDefinitionsBeyondTheCommittedExtent) {
  const Bytes good = BuildScenario({}).File();
  const auto whole = Read(good);
  ASSERT_TRUE(whole);
  const size_t all = whole->definitions.size();
  const auto trace = Read(WithHeader(
      good, [](trace::FileHeader& header) { header.defs_bytes -= 64; }, false));
  ASSERT_TRUE(trace) << error_;
  EXPECT_EQ(trace->definitions.size(), all);
}

TEST_F(TraceReader, DefinitionInTheMakingIsUnfinishedNotDamaged) {
  Bytes file = BuildScenario({}).File();
  const size_t end = file.size();
  file.resize(end + 4096);  // the writer grows the file by whole chunks of zeros
  file[end + 4] = std::byte{40};
  file[end + 8] = std::byte{9};
  const auto trace = Read(file);
  ASSERT_TRUE(trace) << error_;
  ASSERT_EQ(trace->losses.size(), 1u);
  EXPECT_EQ(trace->losses[0].kind, Kind::kUnfinishedRecord);
  EXPECT_EQ(trace->losses[0].offset, end);
}

TEST_F(TraceReader, ZerosBehindTheDefinitionsAreNoLoss) {
  Bytes file = BuildScenario({}).File();
  file.resize(file.size() + (1 << 16));
  const auto trace = Read(file);
  ASSERT_TRUE(trace) << error_;
  EXPECT_TRUE(trace->losses.empty());
}

TEST_F(TraceReader, DamagedDefinitionLosesOnlyItself) {
  const Bytes good = BuildScenario({}).File();
  const auto whole = Read(good);
  const RecordView second = whole->definitions[1];
  Bytes file = good;
  file[second.file_offset() + 30] ^= std::byte{1};
  const auto trace = Read(file);
  ASSERT_TRUE(trace) << error_;
  EXPECT_EQ(trace->definitions.size(), whole->definitions.size() - 1);
  ASSERT_NE(Find(*trace, Kind::kDamagedDefinitions), nullptr);
  EXPECT_EQ(Find(*trace, Kind::kDamagedDefinitions)->bytes, second.header().bytes);
}

TEST_F(TraceReader, TruncationInsideTheDefinitionsKeepsWhatIsBefore) {
  Bytes file = BuildScenario({}).File();
  const size_t lost = 100;
  file.resize(file.size() - lost);
  const auto trace = Read(file);
  ASSERT_TRUE(trace) << error_;
  const TraceLoss* loss = Find(*trace, Kind::kTruncated);
  ASSERT_NE(loss, nullptr);
  EXPECT_EQ(loss->bytes, lost);
  EXPECT_EQ(Replays(*trace).size(), 5u);
}

TEST_F(TraceReader, TruncationInsideTheRingKeepsTheEventsBefore) {
  Bytes file = BuildScenario({}).File();
  file.resize(kRingOffset + 1000);
  const auto trace = Read(file);
  ASSERT_TRUE(trace) << error_;
  EXPECT_FALSE(trace->events.empty());
  EXPECT_EQ(std::count_if(trace->losses.begin(), trace->losses.end(),
                          [](const TraceLoss& loss) { return loss.kind == Kind::kTruncated; }),
            2);  // ring and definitions
}

TEST_F(TraceReader, DamagedHeaderIsSalvagedByScanning) {
  const Bytes good = BuildScenario({}).File();
  const auto whole = Read(good);
  const auto trace = Read(WithHeader(
      good, [](trace::FileHeader& header) { header.ring_bytes ^= 1 << 20; }, false));
  ASSERT_TRUE(trace) << error_;
  EXPECT_NE(Find(*trace, Kind::kHeaderDamaged), nullptr);
  EXPECT_EQ(trace->definitions.size(), whole->definitions.size());
  EXPECT_EQ(Replays(*trace), Replays(*whole));
}

TEST_F(TraceReader, ImpossibleOffsetsWithARightChecksumAreSalvaged) {
  const Bytes good = BuildScenario({}).File();
  const std::vector<std::function<void(trace::FileHeader&)>> hostile = {
      [](trace::FileHeader& h) { h.ring_bytes = ~uint64_t{7}; },
      [](trace::FileHeader& h) { h.ring_offset = 0; },
      [](trace::FileHeader& h) { h.defs_offset = 4096; },
      [](trace::FileHeader& h) { h.ring_offset += 1; }};
  for (const auto& change : hostile) {
    const auto trace = Read(WithHeader(good, change, true));
    ASSERT_TRUE(trace) << error_;
    EXPECT_NE(Find(*trace, Kind::kHeaderDamaged), nullptr);
    EXPECT_FALSE(trace->definitions.empty());
  }
}

TEST_F(TraceReader, EmptyRingIsNoLoss) {
  const auto trace = Read(WithHeader(
      TraceBuilder().Define(trace::Stream{}).File(),
      [](trace::FileHeader& header) {
        header.ring_bytes = 0;
        header.defs_offset = kDefsOffset;
      },
      true));
  ASSERT_TRUE(trace) << error_;
  EXPECT_TRUE(trace->losses.empty());
  EXPECT_EQ(trace->definitions.size(), 1u);
}

TEST_F(TraceReader, RefusesANewerMajorVersionAndNamesBoth) {
  const auto trace = Read(WithHeader(
      BuildScenario({}).File(), [](trace::FileHeader& header) { header.major = 2; }, true));
  EXPECT_FALSE(trace);
  EXPECT_NE(error_.find(Path()), std::string::npos);
  EXPECT_NE(error_.find("trace format 2." + std::to_string(trace::kMinor)), std::string::npos);
  EXPECT_NE(error_.find("reads 1.x"), std::string::npos);
}

TEST_F(TraceReader, AcceptsANewerMinorVersionAndCountsUnknownRecords) {
  TraceBuilder builder = BuildScenario({});
  builder.header().minor = 9;
  trace::HangEnd future = {};
  future.header.type = 99;
  builder.Event(future).Event(future).Define(future);
  const auto trace = Read(builder.File());
  ASSERT_TRUE(trace) << error_;
  EXPECT_TRUE(trace->losses.empty());
  EXPECT_EQ(trace->unknown_records, (std::map<uint16_t, uint64_t>{{99, 3}}));
}

TEST_F(TraceReader, AcceptsRecordsThatANewerMinorVersionMadeLonger) {
  struct LongerDone {
    trace::RecordHeader header;
    uint32_t exec_id;
    uint32_t reserved;
    uint64_t replay;
    uint64_t added;
  };
  LongerDone record = {};
  record.header.type = static_cast<uint16_t>(trace::RecordType::kReplayDone);
  record.replay = 7;
  const auto trace = Read(TraceBuilder().Event(Draft<LongerDone>(record)).File());
  ASSERT_TRUE(trace) << error_;
  EXPECT_EQ(Replays(*trace), std::vector<uint64_t>{7});
}

TEST_F(TraceReader, RecordShorterThanItsTypeIsBad) {
  trace::HangEnd record = {};
  record.header.type = static_cast<uint16_t>(trace::RecordType::kReplayDone);
  const auto trace = Read(TraceBuilder().Event(record).Event(Done(1)).File());
  ASSERT_TRUE(trace) << error_;
  EXPECT_EQ(Replays(*trace), std::vector<uint64_t>{1});
  ASSERT_NE(Find(*trace, Kind::kBadRecord), nullptr);
  EXPECT_NE(Find(*trace, Kind::kBadRecord)->text.find("ReplayDone shorter"), std::string::npos);
}

TEST_F(TraceReader, StringOutsideItsRecordIsBad) {
  const std::vector<trace::Str> outside = {{40, 9}, {0xffffffff, 1}, {41, 0xffffffff}, {0, 49}};
  for (const trace::Str& string : outside) {
    trace::Text text = {};
    text.text = string;
    const auto trace = Read(TraceBuilder().Define(trace::Stream{}).Define(text).File());
    ASSERT_TRUE(trace) << error_;
    EXPECT_EQ(trace->definitions.size(), 1u);
    EXPECT_NE(Find(*trace, Kind::kBadRecord), nullptr);
  }
}

TEST_F(TraceReader, PythonSiteWithFewerFramesThanItSaysIsBad) {
  trace::PythonSite site = {};
  site.frames = 3;
  const auto trace = Read(TraceBuilder()
                              .Define(trace::Stream{})
                              .Define(Draft<trace::PythonSite>(site).PythonFrames(2))
                              .File());
  ASSERT_TRUE(trace) << error_;
  EXPECT_EQ(trace->definitions.size(), 1u);
  EXPECT_NE(Find(*trace, Kind::kBadRecord), nullptr);
}

TEST_F(TraceReader, SiteWithFewerFramesThanItSaysIsBad) {
  trace::Site site = {};
  site.frames = 0xffffffff;
  const auto trace = Read(
      TraceBuilder().Define(trace::Stream{}).Define(Draft<trace::Site>(site).Frames(2)).File());
  ASSERT_TRUE(trace) << error_;
  EXPECT_EQ(trace->definitions.size(), 1u);
  EXPECT_NE(Find(*trace, Kind::kBadRecord), nullptr);
}

TEST_F(TraceReader, CraftedLengthsDoNotMakeTheScanSlow) {
  Bytes file = TraceBuilder().File();
  file.resize(8 << 20);
  trace::RecordHeader bait = {};
  bait.crc = 0x0badc0de;
  bait.bytes = trace::kMaxRecordBytes;
  bait.type = 72;
  for (size_t at = kDefsOffset; at + 24 <= file.size(); at += 24) {
    std::memcpy(file.data() + at, &bait, sizeof(bait));
  }
  testing::WriteFile(Path(), file);
  const std::clock_t begin = std::clock();  // of this process: the machine may be busy
  EXPECT_FALSE(ReadTrace(Path(), &error_));
  EXPECT_NE(error_.find("the search for more records was given up"), std::string::npos) << error_;
  EXPECT_LT(std::clock() - begin, 20 * CLOCKS_PER_SEC);
}

TEST_F(TraceReader, FileThatIsNoTraceIsRefusedByName) {
  testing::WriteFile(Path(), Bytes(8192, std::byte{'x'}));
  EXPECT_FALSE(ReadTrace(Path(), &error_));
  EXPECT_NE(error_.find(Path() + ": not a Lamplight trace"), std::string::npos);
}

TEST_F(TraceReader, EmptyFileMissingFileAndFolderAreRefusedByName) {
  testing::WriteFile(Path(), {});
  EXPECT_FALSE(ReadTrace(Path(), &error_));
  EXPECT_NE(error_.find("empty"), std::string::npos);
  EXPECT_FALSE(ReadTrace(folder_.File("none"), &error_));
  EXPECT_NE(error_.find(folder_.File("none") + ": No such file"), std::string::npos);
  EXPECT_FALSE(ReadTrace(folder_.path(), &error_));
  EXPECT_NE(error_.find("not a regular file"), std::string::npos);
}

TEST_F(TraceReader, FifoDoesNotStopIt) {
  ASSERT_EQ(mkfifo(Path().c_str(), 0600), 0);
  EXPECT_FALSE(ReadTrace(Path(), &error_));
  EXPECT_NE(error_.find("not a regular file"), std::string::npos);
}

TEST_F(TraceReader, SparseFileOfTerabytesIsRefused) {
  testing::WriteFile(Path(), TraceBuilder().File());
  if (truncate(Path().c_str(), off_t{1} << 40) != 0) GTEST_SKIP() << "no such large files here";
  EXPECT_FALSE(ReadTrace(Path(), &error_));
  EXPECT_NE(error_.find("no trace is that long"), std::string::npos);
}

}  // namespace
}  // namespace lamplight
