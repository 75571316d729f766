// Slot layouts and word classes on hand-made buffers.
#include "shim/slots.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/protocol.cuh"

namespace lamplight::shim {
namespace {

constexpr uint64_t kNoLimit = 1ull << 40;

trace::LamportCall Call(uint32_t tokens, uint32_t dim, uint32_t world, uint32_t rank) {
  trace::LamportCall call{};
  call.tokens = tokens;
  call.dim = dim;
  call.world = world;
  call.rank = rank;
  return call;
}

std::vector<std::byte> Filled(const StageLayout& layout, uint32_t word) {
  std::vector<std::byte> bytes(layout.bytes);
  for (size_t at = 0; at + 4 <= bytes.size(); at += 4) std::memcpy(&bytes[at], &word, 4);
  return bytes;
}

void Put(std::vector<std::byte>* bytes, uint64_t offset, uint32_t word) {
  std::memcpy(bytes->data() + offset, &word, 4);
}

TEST(SlotLayout, OneShotPutsTokensBeforePeers) {
  const auto stages = LayoutOf(Call(3, 8, 2, 0), trace::Algorithm::kOneShot, trace::DataType::kBf16,
                               {1, 4096}, kNoLimit);
  ASSERT_EQ(stages.size(), 1u);
  EXPECT_EQ(stages[0].begin, 4096u);
  EXPECT_EQ(stages[0].words, 4u);
  EXPECT_EQ(stages[0].bytes, 3u * 2 * 16);
  ASSERT_EQ(stages[0].slots.size(), 6u);
  EXPECT_EQ(stages[0].slots[3].token, 1u);
  EXPECT_EQ(stages[0].slots[3].peer, 1u);
  EXPECT_EQ(stages[0].slots[3].offset, 48u);
}

TEST(SlotLayout, TwoShotScatterHoldsOnlyOwnTokens) {
  const auto stages = LayoutOf(Call(5, 8, 2, 1), trace::Algorithm::kTwoShot, trace::DataType::kBf16,
                               {2, 4096}, kNoLimit);
  ASSERT_EQ(stages.size(), 2u);
  EXPECT_EQ(stages[0].begin, 2u * 2 * 2048);
  ASSERT_EQ(stages[0].slots.size(), 4u);  // tokens 1 and 3, from both ranks
  EXPECT_EQ(stages[0].slots[2].token, 3u);
  EXPECT_EQ(stages[0].slots[2].offset, 32u);
  EXPECT_EQ(stages[1].begin, (2u * 2 + 1) * 2048);
  ASSERT_EQ(stages[1].slots.size(), 5u);
  EXPECT_EQ(stages[1].slots[3].peer, 1u);
}

TEST(SlotLayout, LeavesOutTokensBeyondTheBuffer) {
  const auto stages = LayoutOf(Call(1000, 8, 2, 0), trace::Algorithm::kOneShot,
                               trace::DataType::kBf16, {0, 320}, kNoLimit);
  ASSERT_EQ(stages.size(), 1u);
  EXPECT_EQ(stages[0].bytes, 320u);
}

TEST(SlotLayout, IsEmptyWithoutDimensions) {
  const auto call = Call(trace::kNoId, 8, 2, 0);
  EXPECT_TRUE(
      LayoutOf(call, trace::Algorithm::kOneShot, trace::DataType::kBf16, {0, 4096}, kNoLimit)
          .empty());
  EXPECT_TRUE(LayoutOf(Call(1, 8, 2, 2), trace::Algorithm::kOneShot, trace::DataType::kBf16,
                       {0, 4096}, kNoLimit)
                  .empty());
  EXPECT_TRUE(LayoutOf(Call(1, 8, 2, 0), trace::Algorithm::kOneShot, trace::DataType::kBf16,
                       {3, 4096}, kNoLimit)
                  .empty());
}

class Classified : public ::testing::Test {
 protected:
  StageLayout layout_ = LayoutOf(Call(2, 8, 2, 0), trace::Algorithm::kOneShot,
                                 trace::DataType::kBf16, {0, 4096}, kNoLimit)[0];
  std::vector<std::byte> first_ = Filled(layout_, 0x3f803f80);
  std::vector<std::byte> second_ = first_;

  std::vector<trace::SlotState> Run() { return ClassifySlots(layout_, first_, second_, 100); }
};

TEST_F(Classified, ArrivedSlotsAppearOnlyInTheSummaries) {
  const auto states = Run();
  ASSERT_EQ(states.size(), 2u);
  EXPECT_EQ(states[0].token, trace::kNoId);
  EXPECT_EQ(states[0].words, 8u);
  EXPECT_EQ(states[0].arrived, 8u);
}

TEST_F(Classified, TellsSentinelFromAlias) {
  // Token 1 of peer 1 starts at byte 48.
  Put(&first_, 48, protocol::kSentinel);
  Put(&second_, 48, protocol::kSentinel);
  Put(&first_, 56, 0x80010000);
  Put(&second_, 56, 0x80010000);
  const auto states = Run();
  ASSERT_EQ(states.size(), 3u);
  const trace::SlotState& slot = states[2];
  EXPECT_EQ(slot.peer, 1u);
  EXPECT_EQ(slot.token, 1u);
  EXPECT_EQ(slot.sentinel, 1u);
  EXPECT_EQ(slot.first_sentinel[0], 0u);
  EXPECT_EQ(slot.first_sentinel[1], trace::kNoId);
  EXPECT_EQ(slot.alias, 1u);
  EXPECT_EQ(slot.first_alias[0], 2u);
  EXPECT_EQ(slot.arrived, 2u);
  EXPECT_EQ(slot.changed, 0u);
}

TEST_F(Classified, CountsWordsThatChangedBetweenTheReads) {
  Put(&first_, 4, protocol::kSentinel);
  const auto states = Run();
  ASSERT_EQ(states.size(), 3u);
  EXPECT_EQ(states[2].changed, 1u);
  EXPECT_EQ(states[2].sentinel, 0u);
}

TEST_F(Classified, HalfWordSentinelsAreAbsentInEitherHalfAndNeverAlias) {
  Put(&second_, 0, 0x80008000);
  Put(&second_, 4, 0x80003f80);
  Put(&second_, 8, 0x80013f80);  // a negative subnormal, seen as a word
  first_ = second_;
  const auto states = ClassifySlots(layout_, first_, second_, 100, {0x80008000});
  ASSERT_EQ(states.size(), 3u);
  EXPECT_EQ(states[2].sentinel, 2u);
  EXPECT_EQ(states[2].alias, 0u);
  EXPECT_EQ(states[2].arrived, 2u);
}

TEST_F(Classified, KeepsToTheLimitOfDetails) {
  first_ = second_ = Filled(layout_, protocol::kSentinel);
  EXPECT_EQ(ClassifySlots(layout_, first_, second_, 1).size(), 2u + 1u);
}

TEST_F(Classified, IgnoresSlotsBeyondWhatWasRead) {
  first_.resize(16);
  const auto states = Run();
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(states[0].peer, 0u);
  EXPECT_EQ(states[0].words, 4u);
}

}  // namespace
}  // namespace lamplight::shim
