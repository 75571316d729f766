// What kernels of ours report themselves: findings of their own, or part of one that is there.
#include "analyzer/detectors/troubles.h"

#include <gtest/gtest.h>

#include "analyzer/detectors/c10_divergence.h"
#include "analyzer/detectors/registry.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

using Kind = kernels::Trouble;

constexpr uint32_t kKind = 1 | 3 << 8;  // one-shot, bf16, three ranks

class Troubles : public testing::Test {
 protected:
  kernels::Diagnostic& Report(uint32_t rank, Kind kind, uint32_t peer = 0) {
    Trouble trouble;
    trouble.process = rank;
    trouble.workspace = world.workspace(rank);
    trouble.time_ns = world.now();
    trouble.swapped = true;
    trouble.report.trouble = static_cast<uint32_t>(kind);
    trouble.report.rank = rank;
    trouble.report.peer = peer;
    trouble.report.tokens = world.tokens;
    trouble.report.hidden = world.dim;
    trouble.report.kind = kKind;
    trouble.report.workspace = 0x7f00;
    trouble.report.index = 2;
    world.model.troubles.push_back(trouble);
    return world.model.troubles.back().report;
  }
  void Diverges(uint32_t rank, uint32_t peer, uint32_t peer_tokens, uint64_t epoch) {
    kernels::Diagnostic& report = Report(rank, Kind::kDivergence, peer);
    report.epoch = epoch;
    report.token = 8;
    report.word = 4;
    report.bits[0] = 0x80000000;
    report.peer_tokens = peer_tokens;
    report.peer_hidden = world.dim;
    report.peer_kind = kKind;
  }
  Finding Only() {
    const Detection detection = Diagnose(world.model);
    EXPECT_EQ(detection.findings.size(), 1u);
    return detection.findings.empty() ? Finding{} : detection.findings[0];
  }

  World world{3};
};

TEST_F(Troubles, WhatAKernelRefusesIsAFindingWithoutAHang) {
  for (const Kind kind : {Kind::kCapacity, Kind::kCorruptState, Kind::kMisaligned}) {
    world.model.troubles.clear();
    Report(1, kind);
    const Finding finding = Only();
    EXPECT_EQ(finding.hazard, "C4");
    EXPECT_EQ(finding.severity, Severity::kSilent);
    EXPECT_EQ(finding.confidence, Confidence::kProven);
    EXPECT_EQ(finding.ranks, std::vector<uint32_t>{1});
    EXPECT_EQ(finding.troubles, std::vector<Index>{0});
    EXPECT_EQ(finding.place.workspace, world.workspace(1));
    EXPECT_TRUE(Mentions(finding.evidence,
                         "rank 1 (pid 101): its swapped kernel (one-shot, "
                         "8 tokens x 64 bf16, buffer 0x7f00) reports: refused"));
    EXPECT_FALSE(finding.actions.empty());
  }
}

TEST_F(Troubles, TheSameOnAllRanksIsOneFinding) {
  for (uint32_t rank = 0; rank < 3; ++rank) Report(rank, Kind::kCapacity);
  const Finding finding = Only();
  EXPECT_EQ(finding.ranks, (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(finding.troubles.size(), 3u);
}

TEST_F(Troubles, DifferentKindsAreDifferentFindings) {
  Report(0, Kind::kCapacity);
  Report(0, Kind::kMisaligned);
  EXPECT_EQ(Diagnose(world.model).findings.size(), 2u);
}

TEST_F(Troubles, AHealedResidueIsLikelyNotProven) {
  Report(2, Kind::kArrivalResidue).arrivals = 5;
  const Finding finding = Only();
  EXPECT_EQ(finding.hazard, "C3b");
  EXPECT_EQ(finding.confidence, Confidence::kLikely);
  EXPECT_TRUE(Mentions(finding.evidence, "5 arrivals left over"));
}

TEST_F(Troubles, CountsWhatWasRepeated) {
  Report(0, Kind::kMisaligned);
  Report(0, Kind::kMisaligned);
  world.model.troubles[1].repeated = 6;
  EXPECT_EQ(Only().occurrences, 7u);
}

TEST_F(Troubles, AKindOfANewerVersionIsNotAFinding) {
  Report(0, static_cast<Kind>(77));
  EXPECT_TRUE(Diagnose(world.model).findings.empty());
}

TEST_F(Troubles, MoreReportsThanAnyServerHasAreCut) {
  for (int i = 0; i < 5000; ++i) Report(0, Kind::kMisaligned);
  const Detection detection = Diagnose(world.model);
  EXPECT_EQ(detection.findings.at(0).troubles.size(), 4096u);
  EXPECT_TRUE(Mentions(detection.unchecked, "only the first 4096"));
}

TEST_F(Troubles, AReportOfAnUnknownWorkspaceIsKept) {
  Diverges(0, 1, 9, 4);
  world.model.troubles[0].workspace = kNone;
  const Finding finding = Only();
  EXPECT_EQ(finding.hazard, "C10");
  EXPECT_EQ(finding.ranks, (std::vector<uint32_t>{0, 1}));
  EXPECT_TRUE(Mentions(finding.evidence, "rank 0 (pid 100)"));
}

TEST_F(Troubles, WhatAnOverlapLeavesIsEvidenceOfTheOverlap) {
  world.Replay(world.AddExec(0, 2));
  world.model.graphs[0].edges.clear();
  Report(0, Kind::kArrivalResidue).arrivals = 5;
  const Finding finding = Only();
  EXPECT_EQ(finding.hazard, "C9");
  EXPECT_EQ(finding.troubles, std::vector<Index>{0});
  EXPECT_TRUE(Mentions(finding.evidence, "5 arrivals left over"));
}

// ---------------------------------------------------------------- waits

TEST_F(Troubles, AWaitThatEndedIsAdvisory) {
  Report(0, Kind::kTimeout, 1).waited_ns = 2'000 * kMs;
  world.Pass(kMs);
  world.Tail(world.Replay(world.AddExec(0, 1)), 1);
  const Finding finding = Only();
  EXPECT_EQ(finding.severity, Severity::kAdvisory);
  EXPECT_TRUE(Mentions({finding.summary}, "waited 2.0 s for rank 1"));
}

TEST_F(Troubles, AWaitThatItsProcessDidNotOutliveIsAHang) {
  Report(0, Kind::kTimeout, 1).waited_ns = 2'000 * kMs;
  const Finding finding = Only();
  EXPECT_EQ(finding.hazard, "H0");
  EXPECT_EQ(finding.severity, Severity::kHang);
  world.model.processes[0].closed = true;
  EXPECT_EQ(Only().severity, Severity::kAdvisory);
}

TEST_F(Troubles, AWaitDuringAHangIsEvidenceOfThatHang) {
  const Index hang = world.Hang(world.Replay(world.AddExec(0, 1)), 0, 8);
  world.Slots(hang, 1);
  kernels::Diagnostic& report = Report(0, Kind::kTimeout, 1);
  report.token = 3;
  report.bits[1] = 0xdeadbeef;
  const Finding finding = Only();
  EXPECT_EQ(finding.hangs, std::vector<Index>{hang});
  EXPECT_EQ(finding.troubles, std::vector<Index>{0});
  EXPECT_TRUE(Mentions(finding.evidence,
                       "token 3, word 0 of rank 1, stage 0 of generation 2 held "
                       "00000000 deadbeef"));
}

TEST_F(Troubles, AWaitBeforeTheHangIsNotPartOfIt) {
  Report(0, Kind::kTimeout, 1);
  world.Pass(kMs);
  world.Slots(world.Hang(world.Replay(world.AddExec(0, 1)), 0, 8), 1);
  EXPECT_EQ(Diagnose(world.model).findings.size(), 2u);
}

// ---------------------------------------------------------------- divergence

TEST_F(Troubles, ADivergenceWithoutAHangIsProvenByTheKernels) {
  for (uint32_t call = 0; call < 4; ++call) {
    for (uint32_t rank = 0; rank < 3; ++rank) {
      Call made = world.MakeCall(rank);
      if (rank == 2 && call == 1) made.tokens = 9;
      world.Eager(rank, made);
    }
  }
  Diverges(0, 2, 9, 1);
  const Finding finding = Only();
  EXPECT_EQ(finding.hazard, "C10");
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.severity, Severity::kSilent);
  EXPECT_EQ(finding.ranks, std::vector<uint32_t>{2});
  EXPECT_EQ(finding.place.operation, 1u);
  EXPECT_TRUE(finding.missing.empty());
  EXPECT_TRUE(Mentions({finding.summary}, "NaN"));
  EXPECT_TRUE(Mentions(finding.evidence,
                       "rank 2 has announced one-shot, 9 tokens x 64 bf16; "
                       "token 8, word 4 of rank 2"));
}

TEST_F(Troubles, ADivergenceNamesTheOddRankFromOneTrace) {
  for (int i = 0; i < 5; ++i) world.Eager(0);
  Diverges(0, 2, 9, 4);
  Diverges(1, 2, 9, 4);
  const Finding finding = Only();
  EXPECT_EQ(finding.ranks, std::vector<uint32_t>{2});
  EXPECT_EQ(finding.place.operation, 4u);
  ASSERT_EQ(finding.place.nodes.size(), 1u);
  EXPECT_TRUE(finding.place.nodes[0].eager);
  EXPECT_TRUE(Mentions(finding.evidence, "rank 2: one-shot, 9 tokens x 64 bf16"));
}

TEST_F(Troubles, APeerThatWentOnIsTheOneThatDiverges) {
  Diverges(0, 2, world.tokens, 4);
  const Finding finding = Only();
  EXPECT_EQ(finding.ranks, std::vector<uint32_t>{2});
  EXPECT_TRUE(Mentions({finding.title}, "went on without sending"));
}

TEST_F(Troubles, ADivergenceWithAHangIsOneFinding) {
  Call nine = world.MakeCall(1);
  nine.tokens = 9;
  world.Eager(0);
  const Index eager = world.Eager(1, nine);
  const Index hang = world.EagerHang(eager, 0, 9);
  Diverges(0, 1, 9, 0);
  const Detection detection = DetectC10(world.model);
  ASSERT_EQ(detection.findings.size(), 1u);
  EXPECT_EQ(detection.findings[0].hangs, std::vector<Index>{hang});
  EXPECT_EQ(detection.findings[0].severity, Severity::kHang);
  EXPECT_EQ(detection.findings[0].troubles.size(), 1u);
}

}  // namespace
}  // namespace lamplight
