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

// A time without marks.
constexpr uint64_t kNow = uint64_t{5} << 30;

uint64_t Judge(const Header& header, uint32_t peer, uint64_t state, uint32_t token = 0,
               const Standing& standing = kStanding, uint64_t now = kNow) {
  return JudgeHeader(header, Call(), standing, {.peer = peer, .token = token}, now, state);
}
uint64_t JudgeAt(uint64_t now, const Header& header, uint32_t peer, uint64_t state) {
  return Judge(header, peer, state, 0, kStanding, now);
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

// What it has sent may still be under way: the clock starts when the peer is first seen there.
TEST(JudgeHeader, OfALaterCallGivesUpWhenThePeerHasLongBeenThere) {
  for (uint32_t peer = 0; peer < 16; ++peer) {
    const uint64_t waits = kNow - (uint64_t{3} << 30);
    const uint64_t once = Judge(Says(42, 4), peer, waits);
    EXPECT_EQ(once & ~kMarks, kNow) << peer;
    EXPECT_EQ(once & (kDiverges | kGivenUp), 0u) << peer;
    EXPECT_EQ(JudgeAt(kNow + kGoneOnPatienceNs - 1, Says(43, 4), peer, once), once) << peer;
    EXPECT_EQ(JudgeAt(kNow + kGoneOnPatienceNs, Says(43, 4), peer, once),
              once | kDiverges | kGivenUp)
        << peer;
    for (uint32_t other = 0; other < 16; ++other) {
      if (other == peer) continue;
      const uint64_t then = JudgeAt(kNow + kGoneOnPatienceNs, Says(43, 4), other, once);
      EXPECT_EQ(then & kGivenUp, 0u) << peer << " then " << other;
      EXPECT_EQ(then & ~kMarks, (kNow + kGoneOnPatienceNs) & ~kMarks);
    }
  }
}

TEST(Gone, IsKnownOfThePeerInTheCallAlone) {
  for (const Protocol protocol : {Protocol::kMnnvl, Protocol::kEpoch}) {
    MnnvlState flags{};
    EpochState count{};
    const bool lines = protocol == Protocol::kEpoch;
    Standing standing = kStanding;
    standing.protocol = protocol;
    standing.arrivals =
        lines ? reinterpret_cast<uint32_t*>(&count.progress) : flags.flags + protocol::kArrivals;
    EXPECT_FALSE(IsGone(standing, 3));
    NoteGone(standing, 3);
    NoteGone(standing, 9);
    EXPECT_EQ(GoneOf(standing), lines ? &count.gone : &flags.gone);
    Standing next = standing;
    ++next.epoch;
    for (uint32_t peer = 0; peer < 16; ++peer) {
      EXPECT_EQ(IsGone(standing, peer), peer == 3 || peer == 9) << peer;
      EXPECT_FALSE(IsGone(next, peer));
    }
    NoteGone(next, 0);
    EXPECT_TRUE(IsGone(next, 0));
    EXPECT_FALSE(IsGone(next, 3));
    EXPECT_FALSE(IsGone(standing, 3));
  }
}

TEST(JudgeHeader, KeepsThatTheWaitWasReported) {
  const uint64_t once = Judge(Says(42, 4), 3, kReported);
  EXPECT_EQ(once & kReported, kReported);
  EXPECT_EQ(once & kGivenUp, 0u);
}

TEST(JudgeHeader, MarksAPeerOfTheLargestWorld) {
  const uint64_t once = Judge(Says(42, 4), kMaxWorld - 1, 0);
  EXPECT_EQ(once & ~kMarks, kNow);
  EXPECT_NE(JudgeAt(kNow + kGoneOnPatienceNs, Says(42, 4), kMaxWorld - 1, once) & kGivenUp, 0u);
}

}  // namespace
}  // namespace lamplight::kernels
