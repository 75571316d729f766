// What the header of a missing packet's sender is taken to mean.
#include "kernels/watch.cuh"

#include <gtest/gtest.h>

namespace lamplight::kernels {
namespace {

constexpr Standing kStanding{.epoch = 41,
                             .index = 0,
                             .kernel = Kernel::kOneShot,
                             .protocol = Protocol::kMnnvl,
                             .arrivals = nullptr};

CollectiveCall Call() {
  CollectiveCall call{};
  call.tokens = 4;
  call.hidden = 64;
  call.world = 16;
  return call;
}

uint64_t Judge(const Header& header, uint32_t peer, uint64_t state, uint32_t token = 0,
               const Standing& standing = kStanding) {
  return JudgeHeader(header, Call(), standing, {.peer = peer, .token = token}, state);
}

Header Says(uint32_t sequence, uint32_t tokens, const Standing& standing = kStanding) {
  return {sequence, tokens, 64, KindOf(Call(), standing.kernel, standing.protocol) << 16 | 1};
}

TEST(JudgeHeader, OfTheSameCallOrAnEarlierOneTellsNothing) {
  EXPECT_EQ(Judge(Says(41, 4), 3, 1 << 20), 1u << 20);
  EXPECT_EQ(Judge(Says(40, 2), 3, 1 << 20), 1u << 20);
  EXPECT_EQ(Judge({}, 3, 1 << 20), 1u << 20);
}

TEST(JudgeHeader, OfFewerTokensGivesUpOnlyTheRowsBehindThem) {
  EXPECT_EQ(Judge(Says(41, 2), 3, 0, 1), kDiverges);
  EXPECT_EQ(Judge(Says(41, 2), 3, 0, 2), kDiverges | kGivenUp);
  EXPECT_EQ(Judge(Says(41, 9), 3, 0, 3), kDiverges);
}

TEST(JudgeHeader, OfOtherTokensInLinesGivesUpAll) {
  Standing lines = kStanding;
  lines.protocol = Protocol::kEpoch;
  EXPECT_EQ(Judge(Says(41, 2, lines), 3, 0, 1, lines), kDiverges | kGivenUp);
  EXPECT_EQ(Judge(Says(41, 4, lines), 3, 0, 1, lines), 0u);
}

TEST(JudgeHeader, OfAnotherShapeGivesUpAll) {
  Header header = Says(41, 4);
  header.hidden = 128;
  EXPECT_EQ(Judge(header, 3, 0), kDiverges | kGivenUp);
  header = Says(41, 4);
  header.kind_and_check ^= 1u << 16;
  EXPECT_EQ(Judge(header, 3, 0), kDiverges | kGivenUp);
}

// One look lies between two checks of the same peer, none between those of two peers.
TEST(JudgeHeader, OfALaterCallGivesUpAtTheSecondCheckOfThatPeer) {
  for (uint32_t peer = 0; peer < 16; ++peer) {
    const uint64_t once = Judge(Says(42, 4), peer, 0);
    EXPECT_EQ(once & (kDiverges | kGivenUp), 0u) << peer;
    EXPECT_EQ(Judge(Says(42, 4), peer, once), once | kDiverges | kGivenUp) << peer;
    for (uint32_t other = 0; other < 16; ++other) {
      if (other == peer) continue;
      EXPECT_EQ(Judge(Says(43, 4), other, once) & kGivenUp, 0u) << peer << " then " << other;
    }
  }
}

TEST(JudgeHeader, MarksAPeerOfTheLargestWorld) {
  const uint64_t once = Judge(Says(42, 4), kMaxWorld - 1, 0);
  EXPECT_EQ(once & ~kMarks, 0u);
  EXPECT_NE(Judge(Says(42, 4), kMaxWorld - 1, once) & kGivenUp, 0u);
}

}  // namespace
}  // namespace lamplight::kernels
