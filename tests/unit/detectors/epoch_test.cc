// Workspaces of the epoch protocol: they count their calls, and their ranks announce them.
#include <gtest/gtest.h>

#include "analyzer/detectors/c10_divergence.h"
#include "analyzer/detectors/c16_not_collective.h"
#include "analyzer/detectors/c3b_index_not_advanced.h"
#include "analyzer/detectors/hang_state.h"
#include "analyzer/detectors/registry.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

using trace::SnapshotPlace;
using Only = std::vector<uint32_t>;

// The state words of a workspace that has completed so many calls.
template <size_t kCount>
void SetWords(uint64_t epoch, std::array<uint32_t, kCount>* words) {
  *words = {static_cast<uint32_t>(epoch << 16), static_cast<uint32_t>(epoch >> 16)};
}

constexpr uint32_t kKind = 0x222;  // one-shot of two ranks, fp32

class EpochWorkspaces : public ::testing::Test {
 protected:
  EpochWorkspaces() {
    for (Workspace& workspace : world.model.workspaces) {
      workspace.flag_layout = trace::FlagLayout::kEpoch;
      workspace.flag_words = 4;
    }
    for (Kernel& kernel : world.model.kernels) {
      kernel.algorithm = trace::Algorithm::kEpochOneShot;
      kernel.compare = protocol::Compare::kBitwise;
    }
  }

  void Snap(Index replay, uint64_t epoch, SnapshotPlace place = SnapshotPlace::kTail) {
    Snapshot& snapshot = world.model.snapshots[world.Snap(replay, place, 0)];
    snapshot.words = 4;
    SetWords(epoch, &snapshot.word);
  }
  // After `epoch` calls; peers 0 and 1 announce `own` and `peer`.
  Index Hang(Index replay, uint64_t epoch) {
    const Index hang = world.Hang(replay, 0, 0);
    for (FlagsRead& read : world.model.hangs[hang].flags) {
      read.words = 4;
      SetWords(epoch, &read.word);
    }
    return hang;
  }
  PeerHeader& Announce(Index hang, uint32_t peer, uint32_t sequence, uint32_t own_sequence) {
    PeerHeader header;
    header.workspace = world.model.hangs[hang].workspace;
    header.peer = peer;
    header.announced = true;
    header.sequence = sequence;
    header.own_sequence = own_sequence;
    header.tokens = header.own_tokens = world.tokens;
    header.hidden = header.own_hidden = world.dim;
    header.kind = header.own_kind = kKind;
    world.model.hangs[hang].headers.push_back(header);
    return world.model.hangs[hang].headers.back();
  }
  RankState State(Index hang) { return StatesOf(world.model, hang).front(); }

  World world;
};

TEST(EpochWords, CountCallsAndSharesOfOne) {
  const uint32_t words[] = {0x5'0000 + 3, 1, 0, 0};
  const FlagWords flags = ReadFlagWords(trace::FlagLayout::kEpoch, words);
  EXPECT_EQ(flags.epoch, 0x1'0005u);
  EXPECT_EQ(flags.index, 1u);
  EXPECT_EQ(flags.share, 3u);
  EXPECT_FALSE(flags.arrivals);
  EXPECT_FALSE(flags.bytes);
  EXPECT_FALSE(ReadFlagWords(trace::FlagLayout::kEpoch, {words, 1}).index);
}

TEST_F(EpochWorkspaces, CountLeavesOneNodeOfSeven) {
  const Index exec = world.AddExec(0, 7);
  Snap(world.Replay(exec), 100);
  const Index hang = Hang(world.Replay(exec), 104);
  const StuckCalls stuck = FindStuckCalls(world.model, State(hang));
  ASSERT_EQ(stuck.operations.size(), 1u);
  EXPECT_EQ(stuck.operations[0].node, 4u);
  EXPECT_TRUE(stuck.exact);
}

TEST_F(EpochWorkspaces, CountFromTheFirstCallNeedsNoSnapshot) {
  const Index hang = Hang(world.Replay(world.AddExec(0, 7)), 5);
  const StuckCalls stuck = FindStuckCalls(world.model, State(hang));
  ASSERT_EQ(stuck.operations.size(), 1u);
  EXPECT_EQ(stuck.operations[0].node, 5u);
}

TEST_F(EpochWorkspaces, CountBeyondTheReplayIsPastIt) {
  const Index hang = Hang(world.Replay(world.AddExec(0, 3)), 3);
  EXPECT_TRUE(FindStuckCalls(world.model, State(hang)).past_all);
}

TEST_F(EpochWorkspaces, RanksThatHaveAnnouncedTheCallHaveBegun) {
  const Index hang = Hang(world.Replay(world.AddExec(0, 3)), 1);
  world.Slot(hang, 1, kUnknown, 32, 0);
  Announce(hang, 0, 0, 1);
  EXPECT_EQ(State(hang).progress, Progress::kNotBegun);
  world.model.hangs[hang].headers[0].sequence = 1;
  EXPECT_EQ(State(hang).progress, Progress::kWaiting);
  EXPECT_EQ(State(hang).AbsentPeers(0), Only{1});
}

TEST_F(EpochWorkspaces, AnotherShapeUnderOneNumberIsADivergence) {
  const Index hang = Hang(world.Replay(world.AddExec(0, 3)), 1);
  world.Slot(hang, 1, kUnknown, 32, 0);
  Announce(hang, 0, 1, 1);
  Announce(hang, 1, 1, 1).tokens = 9;
  const Detection detection = DetectC10(world.model);
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C10"});
  const Finding& finding = detection.findings[0];
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.ranks, (Only{0, 1}));
  EXPECT_EQ(finding.place.operation, 1u);
  EXPECT_TRUE(Mentions(finding.evidence, "rank 0 announced one-shot, 8 tokens x 64 fp32"));
  EXPECT_TRUE(Mentions(finding.evidence, "rank 1 announced one-shot, 9 tokens x 64 fp32"));
}

TEST_F(EpochWorkspaces, MajorityIsNotBlamed) {
  const Index hang = Hang(world.Replay(world.AddExec(0, 3)), 1);
  Announce(hang, 0, 1, 1).kind = 0x226;
  Announce(hang, 1, 1, 1);
  Announce(hang, 2, 1, 1);
  const Detection detection = DetectC10(world.model);
  ASSERT_EQ(detection.findings.size(), 1u);
  EXPECT_EQ(detection.findings[0].ranks, Only{0});
}

TEST_F(EpochWorkspaces, HeadersOfOtherCallsProveNoDivergence) {
  const Index hang = Hang(world.Replay(world.AddExec(0, 3)), 1);
  Announce(hang, 0, 1, 1);
  Announce(hang, 1, 0, 1).tokens = 9;
  EXPECT_TRUE(DetectC10(world.model).findings.empty());
}

TEST_F(EpochWorkspaces, ARankThatHasNotBegunBlamesNobody) {
  const Index hang = Hang(world.Replay(world.AddExec(0, 3)), 1);
  Announce(hang, 0, 0, 1);
  Announce(hang, 1, 1, 1).tokens = 9;
  EXPECT_TRUE(DetectC10(world.model).findings.empty());
}

TEST_F(EpochWorkspaces, ReportsSayWhatAnAwaitedPeerHasAnnounced) {
  const Index hang = Hang(world.Replay(world.AddExec(0, 3)), 1);
  world.Slot(hang, 1, kUnknown, 32, 0);
  Announce(hang, 0, 1, 1);
  Announce(hang, 1, 0, 1);
  world.model.communicators[0].members[1] = kNone;
  const Detection detection = Diagnose(world.model);
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"H0"});
  const Finding& finding = detection.findings[0];
  EXPECT_TRUE(Mentions(finding.evidence, "1 call completed"));
  EXPECT_TRUE(Mentions(finding.evidence, "rank 1 has announced its call number 0"));
  ASSERT_EQ(finding.slots.size(), 1u);
  EXPECT_EQ(finding.slots[0].peer, 1u);
}

TEST_F(EpochWorkspaces, CountsThatMoveWithTheCallsAreRight) {
  const Index exec = world.AddExec(0, 4);
  for (uint64_t replay = 1; replay < 6; ++replay) Snap(world.Replay(exec), 1000 + 4 * replay);
  EXPECT_TRUE(DetectC3b(world.model).findings.empty());
}

TEST_F(EpochWorkspaces, ACountThatMissesACallIsFound) {
  const Index exec = world.AddExec(0, 4);
  for (const uint64_t epoch : {4, 7, 11, 15}) Snap(world.Replay(exec), epoch);
  const Detection detection = DetectC3b(world.model);
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C3b"});
  EXPECT_TRUE(Mentions(detection.findings[0].evidence, "exit index 7, expected 8"));
}

TEST_F(EpochWorkspaces, AThirdOfACountIsNoAgreement) {
  const Index exec = world.AddExec(0, 4);
  for (const uint64_t epoch : {4, 11}) Snap(world.Replay(exec), epoch);
  EXPECT_EQ(Hazards(DetectC3b(world.model)), std::vector<std::string>{"C3b"});
}

TEST_F(EpochWorkspaces, ACountThatGoesBackIsANewWorkspace) {
  const Index exec = world.AddExec(0, 4);
  for (const uint64_t epoch : {400, 404, 4, 8}) Snap(world.Replay(exec), epoch);
  const Detection detection = DetectC3b(world.model);
  EXPECT_TRUE(detection.findings.empty());
  EXPECT_TRUE(Mentions(detection.unchecked, "initialised anew"));
}

}  // namespace
}  // namespace lamplight
