// The file's event ring, in plain memory, read by the test's own parser.
#include "shim/recorder/event_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/unit/recorder/parsed_trace.h"

namespace lamplight::shim {
namespace {

constexpr uint64_t kRingBytes = 4096;
constexpr uint32_t kHeader = sizeof(trace::RecordHeader);

// A trace file in memory with nothing in it.
class RingFile {
 public:
  RingFile() : file_(trace::kHeaderBytes + kRingBytes), ring_(Initialised(), ring_bytes()) {}

  trace::FileHeader& header() { return *reinterpret_cast<trace::FileHeader*>(file_.data()); }
  unsigned char* ring_bytes() { return file_.data() + trace::kHeaderBytes; }
  test::ParsedTrace Parse() const { return test::ParseTrace(file_); }

  // A record whose time is its number and whose body repeats it.
  bool Write(uint64_t number, uint32_t bytes) {
    std::vector<uint64_t> words(std::max<uint32_t>(bytes / 8, 3), number);
    auto* record = reinterpret_cast<trace::RecordHeader*>(words.data());
    *record = {0, bytes, static_cast<uint16_t>(trace::RecordType::kSnapshot), 0, 0, number};
    return ring_.Write(record);
  }

 private:
  trace::FileHeader* Initialised() {
    std::memcpy(header().magic, trace::kMagic, sizeof(header().magic));
    header().ring_offset = trace::kHeaderBytes;
    header().ring_bytes = kRingBytes;
    header().defs_offset = trace::kHeaderBytes + kRingBytes;
    header().static_crc = test::PlainCrc32c(&header(), 60);
    return &header();
  }

  std::vector<unsigned char> file_;
  EventRing ring_;
};

bool BodyIsWhole(const test::ParsedRecord& record, uint32_t bytes) {
  for (uint32_t at = kHeader; at < bytes; at += 8) {
    uint64_t word;
    std::memcpy(&word, &record.bytes[at], sizeof(word));
    if (word != record.header.time_ns) return false;
  }
  return std::all_of(record.bytes.begin() + bytes, record.bytes.end(),
                     [](unsigned char byte) { return byte == 0; });
}

// `size_of` gives the size that the record of a number was written with.
template <class F>
void ExpectNewestRecords(const test::ParsedTrace& trace, uint64_t written, F size_of) {
  ASSERT_TRUE(trace.errors.empty()) << trace.errors[0];
  ASSERT_EQ(trace.events.size() + trace.header.events_overwritten, written);
  uint64_t number = trace.header.events_overwritten;
  for (const test::ParsedRecord& event : trace.events) {
    ASSERT_EQ(event.header.time_ns, ++number);
    ASSERT_TRUE(BodyIsWhole(event, size_of(number)));
  }
}

TEST(EventRing, StartsEmpty) {
  const test::ParsedTrace trace = RingFile().Parse();
  EXPECT_TRUE(trace.errors.empty());
  EXPECT_TRUE(trace.events.empty());
}

TEST(EventRing, GoesRoundWithEveryRecordSize) {
  for (uint32_t bytes = kHeader; bytes <= kRingBytes / 2; bytes += 8) {
    RingFile file;
    const uint64_t writes = 3 * kRingBytes / bytes + 5;
    for (uint64_t number = 1; number <= writes; ++number) ASSERT_TRUE(file.Write(number, bytes));
    ExpectNewestRecords(file.Parse(), writes, [bytes](uint64_t) { return bytes; });
    ASSERT_FALSE(testing::Test::HasFatalFailure()) << "records of " << bytes << " bytes";
  }
}

TEST(EventRing, IsReadableAfterEveryWriteOfMixedSizes) {
  const auto size_of = [](uint64_t number) {
    return kHeader + 8 * static_cast<uint32_t>(number * 7 % 23);
  };
  RingFile file;
  for (uint64_t number = 1; number <= 500; ++number) {
    ASSERT_TRUE(file.Write(number, size_of(number)));
    ExpectNewestRecords(file.Parse(), number, size_of);
    ASSERT_FALSE(testing::Test::HasFatalFailure()) << "after record " << number;
  }
}

TEST(EventRing, KeepsAsMuchAsFits) {
  RingFile file;
  const uint64_t fitting = kRingBytes / 64;
  for (uint64_t number = 1; number <= fitting; ++number) ASSERT_TRUE(file.Write(number, 64));
  EXPECT_EQ(file.Parse().events.size(), fitting);
  EXPECT_EQ(file.header().events_overwritten, 0u);
  ASSERT_TRUE(file.Write(fitting + 1, 64));
  EXPECT_EQ(file.header().events_overwritten, 1u);
}

// 4096 = 170 * 24 + 16: no pad has room in the last 16 bytes.
TEST(EventRing, LengthensTheRecordThatLeavesNoRoomForAPad) {
  RingFile file;
  for (uint64_t number = 1; number <= 170; ++number) ASSERT_TRUE(file.Write(number, kHeader));
  const test::ParsedTrace trace = file.Parse();
  ASSERT_EQ(trace.events.size(), 170u);
  EXPECT_EQ(trace.events.back().header.bytes, kHeader + 16);
  EXPECT_EQ(trace.header.ring_head, kRingBytes);
}

TEST(EventRing, RefusesImpossibleLengths) {
  RingFile file;
  for (uint32_t bytes : {0u, 8u, 16u, 28u, 2056u, 4096u, 1u << 21}) {
    EXPECT_FALSE(file.Write(1, bytes)) << bytes;
  }
  EXPECT_EQ(file.header().ring_head, 0u);
}

// The file is open to other processes: what they write must not lead the writer astray.
TEST(EventRing, SurvivesForeignWritesIntoTheFile) {
  for (int pattern : {0x00, 0xff, 0x08, 0x1c}) {
    RingFile file;
    for (uint64_t number = 1; number <= 60; ++number) ASSERT_TRUE(file.Write(number, 64));
    std::memset(file.ring_bytes(), pattern, kRingBytes);
    file.header().ring_head = file.header().ring_tail = ~0ull;
    for (uint64_t number = 61; number <= 300; ++number) ASSERT_TRUE(file.Write(number, 64));
    const test::ParsedTrace trace = file.Parse();
    ASSERT_TRUE(trace.errors.empty()) << trace.errors[0];
    EXPECT_EQ(trace.events.back().header.time_ns, 300u);
    EXPECT_EQ(trace.events.size(), kRingBytes / 64);
  }
}

TEST(SealRecord, SetsTheChecksumOfAllButItself) {
  trace::CaptureBegin record{};
  record.header.bytes = sizeof(record);
  record.stream_id = 9;
  SealRecord(&record.header);
  const auto* bytes = reinterpret_cast<const unsigned char*>(&record);
  EXPECT_EQ(record.header.crc, test::PlainCrc32c(bytes + 4, sizeof(record) - 4));
}

// A checksum of zero means "not committed". CRC is affine over the bits of a word, so the stream_id
// that makes it zero is found by elimination.
TEST(SealRecord, NeverLeavesAZeroChecksum) {
  trace::CaptureBegin record{};
  record.header.bytes = sizeof(record);
  const auto crc_with = [&record](uint32_t stream_id) {
    record.stream_id = stream_id;
    return test::PlainCrc32c(reinterpret_cast<unsigned char*>(&record) + 4, sizeof(record) - 4);
  };
  struct Row {
    uint32_t crc, input;
  };
  std::vector<Row> basis;
  uint32_t target = crc_with(0);
  const uint32_t base = target;
  uint32_t solution = 0;
  const auto reduce = [&basis](Row row) {
    for (const Row& pivot : basis) {
      if ((row.crc ^ pivot.crc) < row.crc) row = {row.crc ^ pivot.crc, row.input ^ pivot.input};
    }
    return row;
  };
  for (int bit = 0; bit < 32; ++bit) {
    const Row row = reduce({crc_with(1u << bit) ^ base, 1u << bit});
    ASSERT_NE(row.crc, 0u);
    basis.push_back(row);
    std::sort(basis.begin(), basis.end(), [](Row a, Row b) { return a.crc > b.crc; });
  }
  solution = reduce({target, 0}).input;
  ASSERT_EQ(crc_with(solution), 0u);
  SealRecord(&record.header);
  EXPECT_NE(record.header.crc, 0u);
  EXPECT_EQ(record.header.time_ns, 1u);
}

}  // namespace
}  // namespace lamplight::shim
