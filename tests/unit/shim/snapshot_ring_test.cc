// The reader of the snapshot ring against a writer that behaves like the kernel.
#include "shim/snapshot_ring.h"

#include <gtest/gtest.h>

#include <vector>

namespace lamplight::shim {
namespace {

constexpr uint32_t kSlots = 8;

class SnapshotRingTest : public ::testing::Test {
 protected:
  void Write(uint64_t ticket) {
    for (uint32_t cell = 0; cell < kSnapshotCells; ++cell) WriteCell(ticket, cell);
  }

  void WriteCell(uint64_t ticket, uint32_t cell) {
    const uint64_t tag = static_cast<uint64_t>(SnapshotTag(ticket)) << 32;
    const bool count = cell == kCountCell;
    slots_[ticket % kSlots].cell[cell] =
        tag | (count ? words_ << 16 : static_cast<uint32_t>(ticket));
  }

  std::vector<SnapshotSlot> slots_ = std::vector<SnapshotSlot>(kSlots);
  SnapshotRing ring_{slots_.data(), kSlots};
  SnapshotRecord out_{};
  uint32_t words_ = kSnapshotWords;  // of the records that are written
};

TEST_F(SnapshotRingTest, IsEmptyUntilASlotIsPublished) {
  EXPECT_FALSE(ring_.Next(&out_));
  for (uint32_t cell = 0; cell + 1 < kSnapshotCells; ++cell) WriteCell(0, cell);
  EXPECT_FALSE(ring_.Next(&out_));
  WriteCell(0, kSnapshotCells - 1);
  EXPECT_TRUE(ring_.Next(&out_));
}

TEST_F(SnapshotRingTest, ARecordOfFewWordsNeedsNoMoreCells) {
  for (uint64_t ticket = 0; ticket < kSlots; ++ticket) Write(ticket);
  while (ring_.Next(&out_)) {
  }
  words_ = 4;
  for (uint32_t cell = 0; cell + 1 < CellsOf(4); ++cell) WriteCell(kSlots, cell);
  EXPECT_FALSE(ring_.Next(&out_));
  WriteCell(kSlots, CellsOf(4) - 1);
  ASSERT_TRUE(ring_.Next(&out_));
  EXPECT_EQ(out_.word[3], kSlots);
  EXPECT_EQ(out_.word[4], 0u) << "what an older record left behind";
}

TEST_F(SnapshotRingTest, ACountBeyondTheRecordNeedsAllCells) {
  words_ = 0xffff;
  for (uint32_t cell = 0; cell + 1 < kSnapshotCells; ++cell) WriteCell(0, cell);
  EXPECT_FALSE(ring_.Next(&out_));
  WriteCell(0, kSnapshotCells - 1);
  EXPECT_TRUE(ring_.Next(&out_));
}

TEST_F(SnapshotRingTest, ReadsInTicketOrder) {
  for (uint64_t ticket = 0; ticket < 5; ++ticket) Write(ticket);
  for (uint64_t ticket = 0; ticket < 5; ++ticket) {
    ASSERT_TRUE(ring_.Next(&out_));
    EXPECT_EQ(out_.replay_low, ticket);
  }
  EXPECT_FALSE(ring_.Next(&out_));
}

TEST_F(SnapshotRingTest, WaitsForTheSlowWriterOfAnOlderTicket) {
  Write(1);
  EXPECT_FALSE(ring_.Next(&out_));
  Write(0);
  EXPECT_TRUE(ring_.Next(&out_));
  EXPECT_TRUE(ring_.Next(&out_));
}

TEST_F(SnapshotRingTest, CountsWhatWasOverwritten) {
  for (uint64_t ticket = 0; ticket < 20; ++ticket) Write(ticket);
  uint64_t read = 0, last = 0;
  while (ring_.Next(&out_)) {
    ++read;
    last = out_.replay_low;
  }
  EXPECT_EQ(last, 19u);
  EXPECT_EQ(read + ring_.dropped(), 20u);
  EXPECT_GT(ring_.dropped(), 0u);
}

TEST_F(SnapshotRingTest, DoesNotReadASlotThatIsBeingOverwritten) {
  for (uint64_t ticket = 0; ticket < kSlots; ++ticket) Write(ticket);
  WriteCell(kSlots, 0);  // the next lap has begun in slot 0
  ASSERT_TRUE(ring_.Next(&out_));
  EXPECT_GT(out_.replay_low, 0u);
  EXPECT_EQ(ring_.dropped(), out_.replay_low);
}

}  // namespace
}  // namespace lamplight::shim
