// The watchdog's sentence: what it may and may not conclude from one rank's evidence.
#include "shim/verdict.h"

#include <gtest/gtest.h>

namespace lamplight::shim {
namespace {

class VerdictTest : public ::testing::Test {
 protected:
  VerdictTest() {
    workspace_.rank = 1;
    evidence_.workspace = &workspace_;
    evidence_.status = trace::SideChannel::kOk;
  }

  trace::SlotState& Slot(uint32_t peer, uint32_t token, uint32_t sentinel, uint32_t alias) {
    trace::SlotState slot{};
    slot.peer = peer;
    slot.token = token;
    slot.role = trace::kSlotCurrent | trace::kSlotAwaited;
    slot.words = 100;
    slot.sentinel = sentinel;
    slot.alias = alias;
    slot.first_alias[0] = 7;
    evidence_.slots.push_back(slot);
    return evidence_.slots.back();
  }

  bool Says(const char* text) { return Verdict({evidence_}, true).find(text) != std::string::npos; }

  Workspace workspace_;
  WorkspaceEvidence evidence_;
};

TEST_F(VerdictTest, NamesAliasingWhenAllHasArrived) {
  Slot(0, trace::kNoId, 0, 5);
  Slot(0, 3, 0, 5);
  EXPECT_TRUE(Says("(C1)"));
  EXPECT_TRUE(Says("peer 0, token 3, word 7"));
}

TEST_F(VerdictTest, DoesNotNameAliasingWhileWordsAreMissing) {
  Slot(0, trace::kNoId, 1, 5);
  EXPECT_FALSE(Says("(C1)"));
  EXPECT_TRUE(Says("1 of 100 awaited words have not arrived"));
}

TEST_F(VerdictTest, NamesDataThatIsTheMark) {
  trace::SlotState& sum = Slot(0, trace::kNoId, 2, 0);
  sum.stored_sentinel = 2;
  sum.stored_leading = 1;
  trace::SlotState slot = sum;
  slot.token = 3;
  slot.first_stored[0] = 8;
  evidence_.slots.push_back(slot);
  EXPECT_TRUE(Says("(C1)"));
  EXPECT_TRUE(Says("peer 0, token 3, word 8"));
  EXPECT_FALSE(Says("not arrived"));
}

TEST_F(VerdictTest, DoesNotNameDataThatIsTheMarkWhileOtherWordsAreMissing) {
  trace::SlotState& sum = Slot(0, trace::kNoId, 6, 0);
  sum.stored_sentinel = 2;
  sum.stored_leading = 2;
  EXPECT_FALSE(Says("(C1)"));
  EXPECT_TRUE(Says("6 of 100 awaited words have not arrived"));
}

TEST_F(VerdictTest, DoesNotNameMarksThatSomeKernelsDoNotTest) {
  Slot(0, trace::kNoId, 2, 0).stored_sentinel = 2;
  EXPECT_FALSE(Says("(C1)"));
}

TEST_F(VerdictTest, DoesNotJudgeABufferThatChanges) {
  Slot(0, trace::kNoId, 0, 5).changed = 2;
  EXPECT_FALSE(Says("(C1)"));
  EXPECT_TRUE(Says("still changing"));
}

TEST_F(VerdictTest, SaysWhenTheKernelHasNotBegun) {
  workspace_.layout = trace::FlagLayout::kEraC;
  evidence_.words = protocol::kFlagWords;
  Slot(0, trace::kNoId, 100, 0);
  Slot(1, trace::kNoId, 100, 0);
  EXPECT_TRUE(Says("has not begun"));
  evidence_.second[protocol::kArrivals] = 1;
  EXPECT_FALSE(Says("has not begun"));
}

TEST_F(VerdictTest, AKernelThatMayStillPollTheGenerationBeforeHasBegun) {
  workspace_.layout = trace::FlagLayout::kEraC;
  evidence_.words = protocol::kFlagWords;
  Slot(1, trace::kNoId, 100, 0);
  Slot(0, trace::kNoId, 3, 0).role = trace::kSlotDirty;
  EXPECT_FALSE(Says("has not begun"));
}

TEST_F(VerdictTest, OwnHeaderTellsWhetherTheKernelHasBegun) {
  Slot(0, trace::kNoId, 100, 0);
  evidence_.headers.resize(2);
  evidence_.headers[1].own_sequence = 5;
  EXPECT_TRUE(Says("has not begun"));
  evidence_.headers[1].announced = 1;
  evidence_.headers[1].sequence = 4;
  EXPECT_TRUE(Says("has not begun"));
  evidence_.headers[1].sequence = 5;
  EXPECT_TRUE(Says("nothing has arrived from rank 0"));
}

TEST_F(VerdictTest, NamesTheRankFromWhichNothingCame) {
  Slot(0, trace::kNoId, 0, 0);
  Slot(3, trace::kNoId, 100, 0);
  EXPECT_TRUE(Says("nothing has arrived from rank 3"));
}

TEST_F(VerdictTest, NamesTheStageThatHoldsUpTheOthers) {
  Slot(0, trace::kNoId, 0, 5);
  Slot(1, trace::kNoId, 40, 0).stage = 1;
  EXPECT_TRUE(Says("(C1)"));
  EXPECT_FALSE(Says("not arrived"));
}

TEST_F(VerdictTest, LooksBehindFlagsThatHaveMovedOn) {
  evidence_.compare = protocol::Compare::kFlushToZero;
  Slot(1, trace::kNoId, 100, 0);  // nothing of its own in the current generation: not begun
  trace::SlotState& dirty = Slot(0, trace::kNoId, 0, 3);
  dirty.role = trace::kSlotDirty;
  EXPECT_TRUE(Says("moved on"));
  EXPECT_TRUE(Says("(C1)"));
}

TEST_F(VerdictTest, DoesNotBlameTheDirtyGenerationOfABitwiseKernel) {
  evidence_.compare = protocol::Compare::kBitwise;
  Slot(1, trace::kNoId, 100, 0);
  Slot(0, trace::kNoId, 0, 3).role = trace::kSlotDirty;
  EXPECT_FALSE(Says("(C1)"));
}

TEST_F(VerdictTest, DoesNotBlameTheDirtyGenerationOnceTheNextCallHasBegun) {
  evidence_.compare = protocol::Compare::kFlushToZero;
  Slot(1, trace::kNoId, 0, 0);
  Slot(0, trace::kNoId, 40, 0);
  Slot(0, trace::kNoId, 0, 3).role = trace::kSlotDirty;
  EXPECT_FALSE(Says("(C1)"));
}

// The flags say that the call before has written as much as was read of its generation.
class BehindTheFlags : public VerdictTest {
 protected:
  BehindTheFlags() {
    workspace_.layout = trace::FlagLayout::kEraC;
    evidence_.words = protocol::kFlagWords;
    evidence_.second[protocol::kDirtyStages] = 1;
    evidence_.second[protocol::kClearBytes0] = 2 * 100 * 4;
    Slot(0, trace::kNoId, 100, 0);
    Slot(1, trace::kNoId, 100, 0);
    Dirty(1, 0);
  }
  trace::SlotState& Dirty(uint32_t peer, uint32_t sentinel) {
    trace::SlotState& slot = Slot(peer, trace::kNoId, sentinel, 0);
    slot.role = trace::kSlotDirty;
    return slot;
  }
};

TEST_F(BehindTheFlags, WordsThatHaveNotArrivedAreStillAwaited) {
  Dirty(0, 30);
  EXPECT_TRUE(Says("moved on while blocks still poll: 30 of 200 awaited words"));
}

TEST_F(BehindTheFlags, UnicastWorkspacesAreReadAtTheSizeThatTheFlagsHold) {
  workspace_.layout = trace::FlagLayout::kUnicast;
  evidence_.words = protocol::kUnicastWords;
  Dirty(0, 30);
  EXPECT_TRUE(Says("moved on while blocks still poll: 30 of 200 awaited words"));
}

TEST_F(BehindTheFlags, InUnicastWorkspacesAPeersWordsMayLieInOwnSlots) {
  evidence_.slots[1].sentinel = 90;
  Dirty(0, 30);
  EXPECT_FALSE(Says("moved on"));
  workspace_.layout = trace::FlagLayout::kUnicast;
  EXPECT_TRUE(Says("moved on while blocks still poll: 30 of 200 awaited words"));
  evidence_.second[protocol::kUnicastArrivals] = 1;
  EXPECT_FALSE(Says("moved on"));
}

TEST_F(BehindTheFlags, HeadersOfTheCallThatIsDueDoNotMatter) {
  evidence_.headers.resize(2);
  Dirty(0, 30);
  EXPECT_TRUE(Says("moved on while blocks still poll"));
}

TEST_F(BehindTheFlags, TheLastOfTwoStagesTellsTheSize) {
  evidence_.second[protocol::kDirtyStages] = 2;
  evidence_.second[protocol::kClearBytes0 + 1] = 100 * 4;
  Dirty(0, 0);
  trace::SlotState& broadcast = Dirty(0, 30);
  broadcast.stage = 1;
  EXPECT_TRUE(Says("moved on while blocks still poll: 30 of 100 awaited words"));
}

TEST_F(BehindTheFlags, MarksThatNoKernelTestsAreNotAwaited) {
  evidence_.second[protocol::kDirtyStages] = 2;
  evidence_.second[protocol::kClearBytes0 + 1] = 100 * 4;
  Dirty(0, 0);
  trace::SlotState& broadcast = Dirty(0, 3);
  broadcast.stage = 1;
  broadcast.stored_sentinel = 3;
  EXPECT_FALSE(Says("moved on"));
  broadcast.stored_leading = 1;
  EXPECT_TRUE(Says("moved on while blocks still poll: all packets have arrived, and 3 of their"));
}

TEST_F(BehindTheFlags, NothingIsSaidWhereTheCallBeforeHadAnotherSize) {
  evidence_.second[protocol::kClearBytes0] += 4;
  Dirty(0, 30);
  EXPECT_FALSE(Says("moved on"));
}

TEST_F(BehindTheFlags, NorOfWordsThatChange) {
  Dirty(0, 30).changed = 1;
  EXPECT_FALSE(Says("moved on"));
}

TEST_F(BehindTheFlags, NorOfAGenerationThatNobodyHasWritten) {
  evidence_.slots.pop_back();
  Dirty(1, 100);
  Dirty(0, 100);
  EXPECT_FALSE(Says("moved on"));
}

TEST_F(BehindTheFlags, NorOfOneThatIsWhole) {
  Dirty(0, 0);
  EXPECT_TRUE(Says("has not begun"));
  workspace_.layout = trace::FlagLayout::kUnicast;
  EXPECT_TRUE(Says("has not begun"));
  evidence_.second[protocol::kUnicastArrivals] = 1;
  EXPECT_FALSE(Says("has not begun"));
}

TEST_F(VerdictTest, SaysWhyNothingWasRead) {
  evidence_.status = trace::SideChannel::kBlocked;
  EXPECT_TRUE(Says("does not answer"));
}

TEST_F(VerdictTest, SaysThatItIsNotTheCollective) {
  EXPECT_NE(Verdict({}, true).find("not the collective"), std::string::npos);
  EXPECT_NE(Verdict({}, false).find("inside the launch call"), std::string::npos);
}

}  // namespace
}  // namespace lamplight::shim
