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
    SnapshotSlot& slot = slots_[ticket % kSlots];
    slot.replay = ticket;
    slot.sequence = ticket + 1;
  }

  std::vector<SnapshotSlot> slots_ = std::vector<SnapshotSlot>(kSlots);
  SnapshotRing ring_{slots_.data(), kSlots};
  SnapshotSlot out_{};
};

TEST_F(SnapshotRingTest, IsEmptyUntilASlotIsPublished) {
  EXPECT_FALSE(ring_.Next(&out_));
  slots_[0].replay = 5;  // being written: no sequence yet
  EXPECT_FALSE(ring_.Next(&out_));
}

TEST_F(SnapshotRingTest, ReadsInTicketOrder) {
  for (uint64_t ticket = 0; ticket < 5; ++ticket) Write(ticket);
  for (uint64_t ticket = 0; ticket < 5; ++ticket) {
    ASSERT_TRUE(ring_.Next(&out_));
    EXPECT_EQ(out_.replay, ticket);
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
    last = out_.replay;
  }
  EXPECT_EQ(last, 19u);
  EXPECT_EQ(read + ring_.dropped(), 20u);
  EXPECT_GT(ring_.dropped(), 0u);
}

}  // namespace
}  // namespace lamplight::shim
