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

// A row of 72 fp32 takes two lines of 30, and one of 12; lines come in pairs.
constexpr uint64_t kLineRow = 4 * 128;

TEST(SlotLayout, EpochOneShotHasTwoGenerationsOfLines) {
  const auto stages = LayoutOf(Call(3, 72, 2, 1), trace::Algorithm::kEpochOneShot,
                               trace::DataType::kF32, {1, 1 << 16, 0xabc}, kNoLimit);
  ASSERT_EQ(stages.size(), 1u);
  EXPECT_TRUE(stages[0].lines);
  EXPECT_EQ(stages[0].tag, 0xabcu);
  EXPECT_EQ(stages[0].begin, 1u << 16);
  EXPECT_EQ(stages[0].words, 72u);
  EXPECT_EQ(stages[0].bytes, 6 * kLineRow);
  EXPECT_EQ(stages[0].SlotBytes(), kLineRow);
  ASSERT_EQ(stages[0].slots.size(), 6u);
  EXPECT_EQ(stages[0].slots[4].token, 2u);
  EXPECT_EQ(stages[0].slots[4].peer, 0u);
  EXPECT_EQ(stages[0].slots[4].offset, 4 * kLineRow);
  EXPECT_TRUE(stages[0].slots[4].awaited);
  EXPECT_FALSE(stages[0].slots[5].awaited) << "a rank does not poll what it sends itself";
}

TEST(SlotLayout, EpochTwoShotSharesAGenerationBetweenItsStages) {
  const auto stages = LayoutOf(Call(5, 72, 2, 1), trace::Algorithm::kEpochTwoShot,
                               trace::DataType::kF32, {0, 1 << 16, 1}, kNoLimit);
  ASSERT_EQ(stages.size(), 2u);
  ASSERT_EQ(stages[0].slots.size(), 4u);  // tokens 1 and 3, from both ranks
  EXPECT_EQ(stages[0].slots[2].token, 3u);
  EXPECT_EQ(stages[0].slots[2].offset, 2 * kLineRow);
  EXPECT_EQ(stages[1].begin, 1u << 15);
  ASSERT_EQ(stages[1].slots.size(), 5u);
  EXPECT_EQ(stages[1].slots[4].peer, 0u);
  EXPECT_EQ(stages[1].slots[4].offset, 4 * kLineRow);
}

TEST(SlotLayout, EpochTokensBeyondTheGenerationAreLeftOut) {
  const auto stages = LayoutOf(Call(5, 72, 2, 0), trace::Algorithm::kEpochOneShot,
                               trace::DataType::kF32, {0, 5 * kLineRow, 1}, kNoLimit);
  EXPECT_EQ(stages[0].slots.size(), 4u);
}

class Lines : public ::testing::Test {
 protected:
  void Tag(std::vector<std::byte>* bytes, uint64_t slot, uint32_t line, uint64_t tag) {
    std::memcpy(bytes->data() + slot * kLineRow + line * 128 + 120, &tag, 8);
  }
  const StageLayout layout_ = LayoutOf(Call(1, 72, 2, 0), trace::Algorithm::kEpochOneShot,
                                       trace::DataType::kF32, {0, 1 << 16, 7}, kNoLimit)[0];
  std::vector<std::byte> first_ = std::vector<std::byte>(layout_.bytes);
};

TEST_F(Lines, ArriveByTheirTagAlone) {
  for (uint32_t line = 0; line < 3; ++line) Tag(&first_, 0, line, 7);
  Tag(&first_, 1, 0, 7);
  Tag(&first_, 1, 1, 6);  // of the call two before
  const auto states = ClassifySlots(layout_, first_, first_, 10);
  ASSERT_EQ(states.size(), 3u);  // a summary for each peer, one detail
  EXPECT_EQ(states[0].arrived, 72u);
  EXPECT_EQ(states[1].sentinel, 42u);
  EXPECT_EQ(states[2].peer, 1u);
  EXPECT_EQ(states[2].arrived, 30u);
  EXPECT_EQ(states[2].sentinel, 42u);
  EXPECT_EQ(states[2].alias, 0u);
  EXPECT_EQ(states[2].first_sentinel[0], 30u);
  EXPECT_EQ(states[2].first_sentinel[1], 60u);
  EXPECT_EQ(states[2].first_sentinel[2], trace::kNoId);
}

TEST_F(Lines, ThatCameBetweenTheReadsHaveChanged) {
  std::vector<std::byte> second = first_;
  Tag(&second, 1, 2, 7);
  const auto states = ClassifySlots(layout_, first_, second, 10);
  EXPECT_EQ(states[1].changed, 12u);
  EXPECT_EQ(states[1].arrived, 12u);
}

TEST_F(Lines, CutOffAreIgnored) {
  first_.resize(2 * kLineRow - 1);
  EXPECT_EQ(ClassifySlots(layout_, first_, first_, 10).size(), 2u);  // peer 0 and its detail
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
  const auto states = ClassifySlots(layout_, first_, second_, 100, {0x80008000, true});
  ASSERT_EQ(states.size(), 3u);
  EXPECT_EQ(states[2].sentinel, 2u);
  EXPECT_EQ(states[2].alias, 0u);
  EXPECT_EQ(states[2].arrived, 2u);
}

// A row of three packets, the last one short.
class Stored : public ::testing::Test {
 protected:
  static constexpr uint32_t kData = 0x3f803f80;
  static constexpr uint32_t kMark = protocol::kSentinel;

  trace::SlotState Classify(const std::vector<uint32_t>& row, lamport::Mark mark = {}) {
    StageLayout layout;
    layout.words = static_cast<uint32_t>(row.size());
    layout.bytes = row.size() * 4;
    layout.slots = {{3, 1, 0, true}};
    const auto bytes = std::as_bytes(std::span(row));
    states_ = ClassifySlots(layout, bytes, bytes, 10, mark);
    return states_.back();
  }
  static std::vector<uint32_t> First(const trace::SlotState& state) {
    return {std::begin(state.first_stored), std::end(state.first_stored)};
  }

  std::vector<trace::SlotState> states_;
};

constexpr uint32_t kNoWord = trace::kNoId;

TEST_F(Stored, MarksInPacketsThatHaveArrived) {
  const auto state = Classify({kMark, kData, kData, kData,  //
                               kData, kData, kData, kMark,  //
                               kData, kMark});
  EXPECT_EQ(state.sentinel, 3u);
  EXPECT_EQ(state.stored_sentinel, 3u);
  EXPECT_EQ(state.stored_leading, 1u);
  EXPECT_EQ(First(state), (std::vector<uint32_t>{0, 7, 9, kNoWord}));
}

TEST_F(Stored, NoneWhereTheRowDoesNotStartOnAPacket) {
  const std::vector<uint32_t> words = {kData, kMark, kData, kData, kData, kMark, kData, kData};
  StageLayout layout;
  layout.words = 4;
  layout.bytes = words.size() * 4;
  layout.slots = {{3, 1, 8, true}};
  const auto bytes = std::as_bytes(std::span(words));
  EXPECT_EQ(ClassifySlots(layout, bytes, bytes, 10).back().stored_sentinel, 0u);
  layout.slots = {{3, 1, 0, true}};
  EXPECT_EQ(ClassifySlots(layout, bytes, bytes, 10).back().stored_sentinel, 1u);
}

TEST_F(Stored, NotThoseOfPacketsThatHaveNot) {
  const auto state = Classify({kData, kData, kData, kData,  //
                               kMark, kMark, kMark, kMark,  //
                               kMark, kMark});
  EXPECT_EQ(state.sentinel, 6u);
  EXPECT_EQ(state.stored_sentinel, 0u);
  EXPECT_EQ(state.stored_leading, 0u);
  EXPECT_EQ(First(state), (std::vector<uint32_t>{kNoWord, kNoWord, kNoWord, kNoWord}));
}

TEST_F(Stored, CountPacketByPacketAndListTheFirstFour) {
  const auto state = Classify({kMark, kMark, kMark, kMark,  //
                               kMark, kMark, kMark, kData,  //
                               kMark, kData, kMark, kMark});
  EXPECT_EQ(state.sentinel, 10u);
  EXPECT_EQ(state.stored_sentinel, 6u);
  EXPECT_EQ(state.stored_leading, 2u);
  EXPECT_EQ(First(state), (std::vector<uint32_t>{4, 5, 6, 8}));
}

TEST_F(Stored, AnAliasedWordHasArrivedToo) {
  EXPECT_EQ(Classify({kMark, 0x80010000, kMark, kMark}).stored_sentinel, 3u);
}

TEST_F(Stored, AddUpInThePeersSummary) {
  Classify({kMark, kData, kData, kData});
  ASSERT_EQ(states_.size(), 2u);
  EXPECT_EQ(states_[0].token, trace::kNoId);
  EXPECT_EQ(states_[0].stored_sentinel, 1u);
  EXPECT_EQ(states_[0].stored_leading, 1u);
}

TEST_F(Stored, HalvesOfAPacketThatHasArrived) {
  const lamport::Mark halves{0x80008000, true};
  const auto state = Classify({0x80008000, 0x80008000, 0x80003f80, 0x80008000,  //
                               0x80008000, 0x80008000, 0x80008000, 0x80008000},
                              halves);
  EXPECT_EQ(state.stored_sentinel, 4u);
  EXPECT_EQ(state.stored_leading, 1u);
  EXPECT_EQ(First(state), (std::vector<uint32_t>{0, 1, 2, 3}));
}

TEST_F(Stored, NotHalvesOfWhatIsArmedForAnotherWidth) {
  const auto state = Classify({kMark, kMark, kMark, kMark}, {0x80008000, true});
  EXPECT_EQ(state.sentinel, 4u);
  EXPECT_EQ(state.stored_sentinel, 0u);
}

TEST_F(Lines, HoldNoMarksAsData) {
  Tag(&first_, 1, 0, 7);
  for (const trace::SlotState& state : ClassifySlots(layout_, first_, first_, 10)) {
    EXPECT_EQ(state.stored_sentinel, 0u);
    EXPECT_EQ(state.first_stored[0], trace::kNoId);
  }
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

// SGLang's push plane: two ranks, slots of 64 bytes, 12 words of them in use.
class PushSlots : public testing::Test {
 protected:
  static trace::LamportCall Call() {
    trace::LamportCall call{};
    call.tokens = 1;
    call.dim = 24;  // bf16
    call.rank = 0;
    call.world = 2;
    return call;
  }
  StageLayout Layout(uint32_t phase) {
    const auto stages = LayoutOf(Call(), trace::Algorithm::kPushOneShot, trace::DataType::kBf16,
                                 {phase, 128}, 1 << 20);
    EXPECT_EQ(stages.size(), 1u);
    return stages.front();
  }
  void Put(uint32_t peer, uint32_t packet, std::vector<uint32_t> words) {
    std::memcpy(bytes_.data() + peer * 64 + packet * 16, words.data(), words.size() * 4);
  }
  static uint32_t Absent(const std::vector<trace::SlotState>& states, uint32_t peer) {
    for (const trace::SlotState& state : states) {
      if (state.peer == peer && state.token == trace::kNoId) return state.sentinel;
    }
    return trace::kNoId;
  }

  const lamport::Mark mark_{0, false};
  std::vector<std::byte> bytes_ = std::vector<std::byte>(64 + 48, std::byte{0});
};

TEST_F(PushSlots, OneOfEachRankInEachPhase) {
  const StageLayout first = Layout(0);
  EXPECT_EQ(first.begin, 0u);
  EXPECT_EQ(first.words, 12u);
  EXPECT_EQ(first.bytes, 64u + 48u);
  ASSERT_EQ(first.slots.size(), 2u);
  EXPECT_EQ(first.slots[1].offset, 64u);
  EXPECT_EQ(first.slots[1].peer, 1u);
  EXPECT_EQ(Layout(1).begin, 128u);
}

TEST_F(PushSlots, ACallThatDoesNotFitHasNone) {
  trace::LamportCall call = Call();
  call.dim = 33;
  const auto stages =
      LayoutOf(call, trace::Algorithm::kPushOneShot, trace::DataType::kBf16, {0, 128}, 1 << 20);
  EXPECT_TRUE(stages.front().slots.empty());
}

TEST_F(PushSlots, WhatTheKernelHasReadIsNotAwaitedAgain) {
  // The first packet has been read and cleared, of the second the peer's has not come, and of the
  // third both are here.
  Put(0, 1, {1, 2, 3, 4});
  Put(0, 2, {5, 6, 7, 8});
  Put(1, 2, {9, 10, 11, 12});
  const StageLayout layout = Layout(0);
  auto states = ClassifySlots(layout, bytes_, bytes_, 10, mark_);
  EXPECT_EQ(Absent(states, 1), 8u);
  FillConsumed(layout, 0, mark_, bytes_);
  states = ClassifySlots(layout, bytes_, bytes_, 10, mark_);
  EXPECT_EQ(Absent(states, 0), 0u);
  EXPECT_EQ(Absent(states, 1), 4u);
  EXPECT_EQ(states.back().first_sentinel[0], 4u);
}

TEST_F(PushSlots, WhereNothingWasSentNothingIsFilled) {
  const StageLayout layout = Layout(0);
  FillConsumed(layout, 0, mark_, bytes_);
  const auto states = ClassifySlots(layout, bytes_, bytes_, 10, mark_);
  EXPECT_EQ(Absent(states, 0), 12u);
  EXPECT_EQ(Absent(states, 1), 12u);
}

TEST_F(PushSlots, MinusZeroIsData) {
  Put(0, 0, {0x8000, 0x80000000, 0x80008000, 1});
  const StageLayout layout = Layout(0);
  EXPECT_EQ(Absent(ClassifySlots(layout, bytes_, bytes_, 10, mark_), 0), 8u);
  EXPECT_EQ(Absent(ClassifySlots(layout, bytes_, bytes_, 10, {0, true}), 0), 8u + 3u)
      << "where halves are polled, three words have one that is +0";
}

}  // namespace
}  // namespace lamplight::shim
