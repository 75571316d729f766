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
