// Hazards of non-MNNVL workspaces: C2 (two widths), C7 (the two-shot's barrier), C8 (early reads).
#include <gtest/gtest.h>

#include "analyzer/detectors/c2_other_width.h"
#include "analyzer/detectors/c7_open_barrier.h"
#include "analyzer/detectors/c8_early_read.h"
#include "analyzer/detectors/registry.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

class Unicast : public testing::Test {
 protected:
  Unicast() {
    for (Workspace& workspace : world.model.workspaces) {
      workspace.flag_layout = trace::FlagLayout::kUnicast;
    }
    narrow = world.AddKernel(0, trace::Algorithm::kUnicastOneShot);
    wide = world.AddKernel(0, trace::Algorithm::kUnicastOneShot);
    world.model.kernels[wide].data_type = trace::DataType::kF32;
    two_shot = world.AddKernel(0, trace::Algorithm::kUnicastTwoShot);
    world.model.kernels[two_shot].own_flag_first = true;
  }
  Call Made(Index kernel) const {
    Call call = world.MakeCall(0);
    call.kernel = kernel;
    return call;
  }
  void Eager(std::vector<Index> kernels) {
    for (const Index kernel : kernels) world.Eager(0, Made(kernel));
  }
  Call TwoShot(uint32_t blocks) const {
    Call call = Made(two_shot);
    call.flags = 0;
    call.grid = {blocks, 1, 1};
    return call;
  }

  World world;
  Index narrow = 0, wide = 0, two_shot = 0;
};

// ---------------------------------------------------------------- C2

TEST_F(Unicast, OneWidthIsNoHazard) {
  Eager({narrow, narrow, narrow, narrow});
  world.model.kernels[narrow].data_type = trace::DataType::kF16;
  Eager({narrow, narrow});
  EXPECT_TRUE(DetectC2(world.model).findings.empty());
}

TEST_F(Unicast, BothWidthsAreToldOfTheirWorkspaceAlone) {
  Eager({narrow, narrow});
  EXPECT_FALSE(HasCallsOfBothWidths(world.model, 0));
  Eager({wide});
  EXPECT_TRUE(HasCallsOfBothWidths(world.model, 0));
  EXPECT_FALSE(HasCallsOfBothWidths(world.model, 1));
}

TEST_F(Unicast, AWordArmedForAnotherWidthIsProven) {
  Eager({narrow, narrow, narrow, wide, wide, wide});
  const Detection detection = DetectC2(world.model);
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C2"});
  const Finding& finding = detection.findings[0];
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.place.operation, 3u);
  EXPECT_EQ(finding.occurrences, 2u);
  EXPECT_TRUE(Mentions({finding.summary}, "0x80008000 is not fp32's mark"));
}

TEST_F(Unicast, SixteenBitsAfterFp32AreToldSo) {
  Eager({wide, wide, wide, narrow});
  EXPECT_TRUE(Mentions({DetectC2(world.model).findings.at(0).summary}, "every other element"));
}

TEST_F(Unicast, InGraphsTooAndSeenThroughReplays) {
  const Index exec = world.AddExec(0, {Made(narrow), Made(narrow), Made(wide), Made(wide)});
  world.Replay(exec);
  world.Replay(exec);
  const Detection detection = DetectC2(world.model);
  ASSERT_EQ(detection.findings.size(), 1u);
  EXPECT_EQ(detection.findings[0].place.operation, 3u);
  EXPECT_EQ(detection.findings[0].place.replay, 1u);
}

TEST_F(Unicast, TheFirstCallsHaveBeenArmedByWhoMadeTheWorkspace) {
  Eager({narrow, wide});
  const Finding finding = DetectC2(world.model).findings.at(0);
  EXPECT_EQ(finding.confidence, Confidence::kLikely);
  EXPECT_EQ(finding.place.operation, 1u);
}

TEST_F(Unicast, MnnvlWorkspacesAreArmedAlikeForAllTypes) {
  world.model.workspaces[0].flag_layout = trace::FlagLayout::kEraC;
  for (const Index kernel : {narrow, wide}) {
    world.model.kernels[kernel].algorithm = trace::Algorithm::kOneShot;
  }
  Eager({narrow, narrow, narrow, wide, wide, wide});
  EXPECT_TRUE(DetectC2(world.model).findings.empty());
}

TEST_F(Unicast, ALostCallInBetweenProvesNothing) {
  Eager({narrow, narrow, narrow, wide, wide});
  std::erase_if(world.model.workspaces[0].timeline,
                [](const Turn& turn) { return turn.before == 1 || turn.before == 2; });
  EXPECT_EQ(DetectC2(world.model).findings.at(0).confidence, Confidence::kLikely);
}

// ---------------------------------------------------------------- C7

TEST_F(Unicast, ALargerGridBehindASmallerOneIsAdvisory) {
  for (const uint32_t blocks : {8u, 4u, 8u, 16u}) world.Eager(0, TwoShot(blocks));
  const Detection detection = Diagnose(world.model);
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C7"});
  EXPECT_EQ(detection.findings[0].severity, Severity::kAdvisory);
  EXPECT_EQ(detection.findings[0].occurrences, 2u);
  EXPECT_FALSE(HasFindings(detection));
}

TEST_F(Unicast, NeitherShrinkingGridsNorLaterReleasesAreNamed) {
  for (const uint32_t blocks : {16u, 8u, 8u, 4u}) world.Eager(0, TwoShot(blocks));
  EXPECT_TRUE(DetectC7(world.model).findings.empty());
  world.Eager(0, TwoShot(32));
  world.model.kernels[two_shot].own_flag_first = false;
  EXPECT_TRUE(DetectC7(world.model).findings.empty());
}

// ---------------------------------------------------------------- C8

class EarlyReads : public Unicast {
 protected:
  EarlyReads() : exec(world.AddExec(0, {Made(narrow), Made(narrow)})) {}
  void Add(trace::EarlyRelation relation) {
    world.model.graphs[0].early_reads.push_back(
        {1, 0, trace::EarlyOperand::kResidual, relation, 0x4000, 512});
  }

  Index exec;
};

TEST_F(EarlyReads, ProvenWhereTheKernelInFrontWrites) {
  Add(trace::EarlyRelation::kWrites);
  world.Replay(exec);
  world.Replay(exec);
  const Detection detection = DetectC8(world.model);
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C8"});
  const Finding& finding = detection.findings[0];
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.severity, Severity::kSilent);
  EXPECT_EQ(finding.occurrences, 2u);
  EXPECT_EQ(finding.place.replay, 1u);
  ASSERT_EQ(finding.place.nodes.size(), 1u);
  EXPECT_EQ(finding.place.nodes[0].position, 1u);
  EXPECT_TRUE(Mentions(finding.evidence, "512 bytes at 0x4000"));
}

TEST_F(EarlyReads, ManyGraphsOfOneProcessAreOneFinding) {
  for (int i = 0; i < 3; ++i) {
    const Index graph = static_cast<Index>(world.model.graphs.size());
    const Index other = world.AddExec(0, {Made(narrow), Made(narrow)});
    world.model.graphs[graph].early_reads.assign(
        5, {1, 0, trace::EarlyOperand::kGamma, trace::EarlyRelation::kWrites, 0x4000, 128});
    world.Replay(other);
  }
  const Detection detection = DetectC8(world.model);
  ASSERT_EQ(detection.findings.size(), 1u);
  EXPECT_EQ(detection.findings[0].occurrences, 3u);
  EXPECT_EQ(detection.findings[0].evidence.size(), 2u);
  EXPECT_TRUE(Mentions(detection.findings[0].evidence, "15 such reads"));
}

TEST_F(EarlyReads, OnlyPossibleWhereItHasTheAddress) {
  Add(trace::EarlyRelation::kNames);
  world.Replay(exec);
  const Finding finding = DetectC8(world.model).findings.at(0);
  EXPECT_EQ(finding.confidence, Confidence::kPossible);
  EXPECT_EQ(finding.severity, Severity::kAdvisory);
  EXPECT_FALSE(finding.missing.empty());
}

TEST_F(EarlyReads, AGraphThatNeverRanIsNotNamed) {
  Add(trace::EarlyRelation::kWrites);
  EXPECT_TRUE(DetectC8(world.model).findings.empty());
}

}  // namespace
}  // namespace lamplight
