// What a rank has sent, on hand-made buffers: 3 tokens of 8 bf16, two ranks, one-shot.
#include "shim/sent_rows.h"

#include <gtest/gtest.h>

#include <array>

#include "kernels/protocol.cuh"

namespace lamplight::shim {
namespace {

constexpr uint32_t kTokens = 3;
constexpr uint32_t kWords = 4;  // of a slot
constexpr uint32_t kWorld = 2;
constexpr trace::DataType kBf16 = trace::DataType::kBf16;

class SentRowsOf : public testing::Test {
 protected:
  SentRowsOf() {
    trace::LamportCall call{};
    call.tokens = kTokens;
    call.dim = kWords * 2;
    call.world = kWorld;
    stage_ = LayoutOf(call, trace::Algorithm::kOneShot, kBf16, {0, 4096}, 1 << 20).at(0);
    words_.assign(stage_.bytes / 4, protocol::kSentinel);
  }

  // Distinct words for one slot.
  void Send(uint32_t token, uint32_t rank) {
    for (uint32_t i = 0; i < kWords; ++i) Word(token, rank, i) = 0x3f803f80u + token * 64 + i;
  }
  uint32_t& Word(uint32_t token, uint32_t rank, uint32_t i) {
    return words_[(token * kWorld + rank) * kWords + i];
  }
  std::span<const std::byte> Bytes() const { return std::as_bytes(std::span(words_)); }
  std::vector<uint32_t> TokensOf(const std::vector<SentRow>& rows) const {
    std::vector<uint32_t> tokens;
    for (const SentRow& row : rows) tokens.push_back(row.token);
    return tokens;
  }

  StageLayout stage_;
  std::vector<uint32_t> words_;
};

TEST_F(SentRowsOf, NothingSentIsNoRow) {
  Send(0, 1);
  EXPECT_TRUE(RowsSentBy(0, stage_, Bytes(), {}).rows.empty());
  EXPECT_EQ(TokensSentBy(0, stage_, Bytes(), {}), 0u);
}

TEST_F(SentRowsOf, ItsOwnWholeRowsOnly) {
  Send(0, 0);
  Send(1, 0);
  Send(2, 1);
  Word(1, 0, 3) = protocol::kSentinel;
  const SentRows sent = RowsSentBy(0, stage_, Bytes(), {});
  EXPECT_EQ(TokensOf(sent.rows), std::vector<uint32_t>{0});
  EXPECT_EQ(sent.plain, 0u);
  EXPECT_EQ(TokensSentBy(0, stage_, Bytes(), {}), 2u);
}

TEST_F(SentRowsOf, RowsOfEqualWordsAreCountedOnly) {
  Send(0, 0);
  for (uint32_t i = 0; i < kWords; ++i) Word(1, 0, i) = 0;
  const SentRows sent = RowsSentBy(0, stage_, Bytes(), {});
  EXPECT_EQ(TokensOf(sent.rows), std::vector<uint32_t>{0});
  EXPECT_EQ(sent.plain, 1u);
}

TEST_F(SentRowsOf, SlotsBeyondTheBytesAreLeftOut) {
  for (uint32_t token = 0; token < kTokens; ++token) Send(token, 0);
  const auto cut = Bytes().subspan(0, Bytes().size() / 2);
  EXPECT_EQ(TokensOf(RowsSentBy(0, stage_, cut, {}).rows), (std::vector<uint32_t>{0, 1}));
}

TEST_F(SentRowsOf, ASampleHoldsStuckTokensFirstAndNoneTwice) {
  for (uint32_t token = 0; token < kTokens; ++token) Send(token, 0);
  const SentRows sent = RowsSentBy(0, stage_, Bytes(), {});
  EXPECT_EQ(TokensOf(Sample(sent.rows, {2, 9}, 2)), (std::vector<uint32_t>{2, 0}));
  EXPECT_EQ(Sample(sent.rows, {1}, 8).size(), 3u);
  EXPECT_TRUE(Sample(sent.rows, {}, 0).empty());
  EXPECT_TRUE(Sample({}, {1}, 4).empty());
}

TEST(EqualRows, ZeroSignsDoNotCount) {
  const auto equal = [](uint32_t sent, uint32_t input, trace::DataType type) {
    return EqualButForZeroSigns(std::as_bytes(std::span(&sent, 1)),
                                std::as_bytes(std::span(&input, 1)), type);
  };
  EXPECT_TRUE(equal(0x00003f80u, 0x80003f80u, kBf16));
  EXPECT_TRUE(equal(0x3f800000u, 0x3f808000u, kBf16));
  EXPECT_FALSE(equal(0x3f800000u, 0x3f808000u, trace::DataType::kF32));
  EXPECT_TRUE(equal(0x00000000u, 0x80000000u, trace::DataType::kF32));
  EXPECT_FALSE(equal(0x00003f80u, 0x80013f80u, kBf16));
}

TEST(EqualRows, LengthsMustAgree) {
  const std::array<uint32_t, 2> words{1, 1};
  const auto bytes = std::as_bytes(std::span(words));
  EXPECT_FALSE(EqualButForZeroSigns(bytes, bytes.subspan(0, 4), kBf16));
}

}  // namespace
}  // namespace lamplight::shim
