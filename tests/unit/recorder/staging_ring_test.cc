// The staging ring: order, the full ring, many laps, many producers.
#include "shim/recorder/staging_ring.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace lamplight::shim {
namespace {

struct Item {
  uint64_t producer;
  uint64_t number;
  uint64_t filler[10];
};

Item MakeItem(uint64_t producer, uint64_t number) {
  Item item{producer, number, {}};
  for (uint64_t& word : item.filler) word = producer * 1000003 + number;
  return item;
}

bool Push(StagingRing& ring, uint64_t producer, uint64_t number) {
  const Item item = MakeItem(producer, number);
  return ring.Push(&item, sizeof(item));
}

bool Pop(StagingRing& ring, Item* item) {
  unsigned char slot[StagingRing::kMaxRecordBytes];
  if (!ring.Pop(slot)) return false;
  std::memcpy(item, slot, sizeof(*item));
  return true;
}

class StagingRingTest : public testing::Test {
 protected:
  void Allocate(uint32_t slots) {
    std::string error;
    ASSERT_TRUE(ring_.Allocate(slots, &error)) << error;
  }
  StagingRing ring_;
  Item item_{};
};

TEST_F(StagingRingTest, GivesNothingWhenEmpty) {
  Allocate(16);
  EXPECT_FALSE(Pop(ring_, &item_));
  EXPECT_EQ(ring_.Pending(), 0u);
}

TEST_F(StagingRingTest, DropsNewestWhenFull) {
  Allocate(16);
  for (uint64_t i = 0; i < 16; ++i) ASSERT_TRUE(Push(ring_, 0, i));
  EXPECT_FALSE(Push(ring_, 0, 16));
  EXPECT_FALSE(Push(ring_, 0, 17));
  EXPECT_EQ(ring_.dropped(), 2u);
  for (uint64_t i = 0; i < 16; ++i) {
    ASSERT_TRUE(Pop(ring_, &item_));
    EXPECT_EQ(item_.number, i);
  }
  EXPECT_FALSE(Pop(ring_, &item_));
  EXPECT_TRUE(Push(ring_, 0, 18));  // room again
}

TEST_F(StagingRingTest, KeepsOrderOverManyLaps) {
  Allocate(16);
  uint64_t expected = 0;
  for (uint64_t i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(Push(ring_, 3, i));
    if (i % 7 != 0) continue;  // 0 to 7 records lie in the ring at each lap's turn
    while (Pop(ring_, &item_)) ASSERT_EQ(item_.number, expected++);
  }
  while (Pop(ring_, &item_)) ASSERT_EQ(item_.number, expected++);
  EXPECT_EQ(expected, 10'000u);
  EXPECT_EQ(ring_.dropped(), 0u);
}

TEST_F(StagingRingTest, TakesTheLongestRecordAndNoLonger) {
  Allocate(16);
  std::vector<unsigned char> record(StagingRing::kMaxRecordBytes + 1, 0xab);
  EXPECT_TRUE(ring_.Push(record.data(), StagingRing::kMaxRecordBytes));
  EXPECT_FALSE(ring_.Push(record.data(), StagingRing::kMaxRecordBytes + 1));
  EXPECT_EQ(ring_.dropped(), 1u);
  unsigned char out[StagingRing::kMaxRecordBytes] = {};
  ASSERT_TRUE(ring_.Pop(out));
  EXPECT_EQ(std::memcmp(out, record.data(), sizeof(out)), 0);
}

// Of this thread. Under ThreadSanitizer always 0: its shadow memory faults for itself.
uint64_t MinorFaults() {
#if defined(__SANITIZE_THREAD__)
  return 0;
#endif
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return static_cast<uint64_t>(usage.ru_minflt);
}

TEST_F(StagingRingTest, TouchedMemoryFaultsNoMoreAndHoldsItsRecords) {
  constexpr uint64_t kSlots = 4096;
  Allocate(kSlots);
  for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(Push(ring_, 0, i));
  ring_.TouchAhead(kSlots);
  ring_.TouchAhead(kSlots);
  const uint64_t before = MinorFaults();
  for (uint64_t i = 100; i < kSlots; ++i) Push(ring_, 0, i);
  EXPECT_LT(MinorFaults() - before, 10u);  // 256 pages
  EXPECT_EQ(ring_.dropped(), 0u);
  for (uint64_t i = 0; i < kSlots; ++i) {
    ASSERT_TRUE(Pop(ring_, &item_));
    ASSERT_EQ(item_.number, i);
  }
}

TEST_F(StagingRingTest, ForkCostsTheParentNoFaultsAndGivesTheChildNothing) {
  constexpr uint64_t kSlots = 4096;
  Allocate(kSlots);
  ring_.TouchAhead(kSlots);
  for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(Push(ring_, 0, i));
  const pid_t child = fork();
  if (child == 0) _exit(Pop(ring_, &item_) ? 1 : 0);
  const uint64_t before = MinorFaults();
  for (uint64_t i = 100; i < kSlots; ++i) Push(ring_, 0, i);
  EXPECT_LT(MinorFaults() - before, 30u);  // 256 pages
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(StagingRingTest, RefusesImpossibleCapacities) {
  for (uint32_t slots : {0u, 1u, 8u, 100u, 1u << 25}) {
    std::string error;
    EXPECT_FALSE(ring_.Allocate(slots, &error));
    EXPECT_NE(error.find(std::to_string(slots) + " slots"), std::string::npos) << error;
  }
}

// Each producer's records come in its order, each whole, and none is lost but the counted ones.
TEST_F(StagingRingTest, ConcurrentProducersLoseOnlyWhatIsCounted) {
  constexpr uint64_t kProducers = 4;
  constexpr uint64_t kEach = 20'000;
  Allocate(64);
  std::atomic<uint64_t> finished{0};
  std::vector<std::thread> producers;
  for (uint64_t p = 0; p < kProducers; ++p) {
    producers.emplace_back([this, p, &finished] {
      for (uint64_t i = 1; i <= kEach; ++i) {
        Push(ring_, p, i);
        if (i % 32 == 0) std::this_thread::yield();
      }
      finished.fetch_add(1);
    });
  }
  std::vector<uint64_t> newest(kProducers, 0);
  uint64_t received = 0;
  for (;;) {
    const bool last = finished.load() == kProducers;
    while (Pop(ring_, &item_)) {
      ASSERT_LT(item_.producer, kProducers);
      ASSERT_GT(item_.number, newest[item_.producer]);
      const Item sent = MakeItem(item_.producer, item_.number);
      ASSERT_EQ(std::memcmp(&item_, &sent, sizeof(sent)), 0);
      newest[item_.producer] = item_.number;
      ++received;
    }
    if (last) break;
    std::this_thread::yield();
  }
  for (std::thread& producer : producers) producer.join();
  EXPECT_EQ(received + ring_.dropped(), kProducers * kEach);
  EXPECT_GT(received, 64u);
}

}  // namespace
}  // namespace lamplight::shim
