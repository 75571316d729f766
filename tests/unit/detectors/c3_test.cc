// C3: frozen index arguments, and constants that are meant to be.
#include <gtest/gtest.h>

#include "analyzer/detectors/c3_frozen_index.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

class C3 : public testing::Test {
 protected:
  Call Indexed(uint32_t index) const {
    Call call = world.MakeCall(0);
    call.flags |= trace::kCallHostIndex;
    call.index_argument = index;
    return call;
  }
  // Eager calls with the right index, then a graph captured with `frozen`.
  void EagerCalls(uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) world.Eager(0, Indexed(i));
  }
  Detection Detect() { return DetectC3(world.model); }

  World world;
};

TEST_F(C3, ProvenWhenReplaysPassTheSameIndex) {
  EagerCalls(3);
  const Index exec = world.AddExec(0, {Indexed(3)});
  for (int i = 0; i < 4; ++i) world.Replay(exec);  // operations 3 to 6, due 0 1 2 0
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C3"});
  const Finding& finding = detection.findings[0];
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.severity, Severity::kSilent);
  EXPECT_EQ(finding.occurrences, 2u);
  EXPECT_EQ(finding.place.replay, 2u);
  EXPECT_EQ(finding.place.operation, 4u);
  ASSERT_EQ(finding.place.nodes.size(), 1u);
  EXPECT_EQ(finding.place.nodes[0].position, 0u);
  EXPECT_TRUE(Mentions(finding.evidence,
                       "operation 4, index argument 3, generation 0; due is "
                       "generation 1"));
}

TEST_F(C3, NothingWhenEveryReplayMovesByThreeCalls) {
  EagerCalls(3);
  const Index exec = world.AddExec(0, {Indexed(3), Indexed(4), Indexed(5)});
  for (int i = 0; i < 4; ++i) world.Replay(exec);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3, AnEagerCallInBetweenShiftsTheGenerations) {
  EagerCalls(3);
  const Index exec = world.AddExec(0, {Indexed(3), Indexed(4), Indexed(5)});
  world.Replay(exec);
  world.Eager(0, Indexed(6));
  world.Replay(exec);
  EXPECT_EQ(Detect().findings.at(0).occurrences, 1u);
}

TEST_F(C3, StaleAgainstEagerCallsEvenWhenReplaysAgree) {
  EagerCalls(4);
  const Index exec = world.AddExec(0, {Indexed(3), Indexed(4), Indexed(5)});
  world.Replay(exec);  // from operation 4 on
  EXPECT_EQ(Detect().findings.at(0).occurrences, 1u);
}

TEST_F(C3, OnlyLikelyWhereTheValueOfAnExecThatMayHaveBeenUpdatedTells) {
  EagerCalls(4);
  const Index exec = world.AddExec(0, {Indexed(3), Indexed(4), Indexed(5)});
  world.Replay(exec);
  world.model.execs[exec].versions[0].assumed = true;
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kLikely);
  world.Eager(0, Indexed(7));
  world.Replay(exec);  // one call later: whatever it passes, it does not follow
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kProven);
}

TEST_F(C3, NothingWhenTheArgumentIsSetAnewForEveryReplay) {
  const Index exec = world.AddExec(0, {Indexed(0)});
  for (uint32_t i = 0; i < 5; ++i) {
    if (i > 0) world.Update(exec, {Indexed(i)});
    world.Replay(exec);
  }
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3, NothingConcludedWhenTheArgumentNeverVaries) {
  const Index exec = world.AddExec(0, {Indexed(1)});
  for (int i = 0; i < 4; ++i) world.Replay(exec);
  const Detection detection = Detect();
  EXPECT_TRUE(detection.findings.empty());
  EXPECT_TRUE(Mentions(detection.unchecked, "every call passes the same index 1"));
}

TEST_F(C3, NothingWhenTheKernelIgnoresTheArgument) {
  Call call = Indexed(3);
  call.flags &= ~trace::kCallHostIndex;
  world.Eager(0, call);
  call.index_argument = 4;
  const Index exec = world.AddExec(0, {call});
  for (int i = 0; i < 4; ++i) world.Replay(exec);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3, NothingWhenTheArgumentIsUnknown) {
  EagerCalls(3);
  const Index exec = world.AddExec(0, {Indexed(kUnknown)});
  for (int i = 0; i < 4; ++i) world.Replay(exec);
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3, NothingWhenAFrozenGraphRunsOnce) {
  EagerCalls(3);
  world.Replay(world.AddExec(0, {Indexed(3)}));
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C3, OneFindingForAllGraphsOfAWorkspace) {
  EagerCalls(3);
  const Index first = world.AddExec(0, {Indexed(3)});
  const Index second = world.AddExec(0, {Indexed(4)});
  for (int i = 0; i < 3; ++i) {
    world.Replay(first);
    world.Replay(second);
  }
  const Detection detection = Detect();
  ASSERT_EQ(detection.findings.size(), 1u);
  EXPECT_EQ(detection.findings[0].occurrences, 4u);
}

}  // namespace
}  // namespace lamplight
