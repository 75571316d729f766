// C16: stalls on one rank, and collectives that only look like one.
#include <gtest/gtest.h>

#include "analyzer/detectors/c16_not_collective.h"
#include "analyzer/detectors/other_collectives.h"
#include "analyzer/detectors/registry.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

constexpr uint32_t kHostNode = 3;
constexpr uint32_t kConditionalNode = 13;

// Rank 1's second replay was launched and has sent nothing; rank 0 waits for it.
class C16 : public testing::Test {
 protected:
  C16() {
    for (uint32_t rank = 0; rank < 2; ++rank) {
      const Index exec = world.AddExec(rank, 2);
      world.Tail(world.Replay(exec), 2);
      replay.push_back(world.Replay(exec));
    }
    stalled = world.Hang(replay[1], 2, 0);
    for (uint32_t token = 0; token < world.tokens; ++token) {
      world.Slot(stalled, 0, token, 0, 0);
      world.Slot(stalled, 1, token, world.dim / 2, 0);
    }
    waiting = world.Hang(replay[0], 2, 8);
    world.Slots(waiting, 1);
  }
  Hang& hang() { return world.model.hangs[stalled]; }
  Detection Detect() { return DetectC16(world.model); }

  World world;
  std::vector<Index> replay;
  Index stalled = kNone;
  Index waiting = kNone;
};

TEST_F(C16, ProvenWhenTheKernelThatIsDueHasNotBegun) {
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C16"});
  const Finding& finding = detection.findings[0];
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.ranks, std::vector<uint32_t>{1});
  EXPECT_EQ(finding.hangs, std::vector<Index>{stalled});
  EXPECT_TRUE(Mentions(finding.evidence, "rank 0 (pid 100) is inside its call and waits"));
  ASSERT_EQ(finding.place.nodes.size(), 1u);
  EXPECT_EQ(finding.place.nodes[0].position, 0u);
}

TEST_F(C16, NothingWhenItsBlocksHaveArrived) {
  for (FlagsRead& read : hang().flags) read.word[protocol::kArrivals] = 1;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C16, NothingWhenItsOwnSlotIsWritten) {
  hang().slots[1].sentinel -= 1;
  hang().slots[1].arrived += 1;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C16, NothingWhenWordsMove) {
  hang().slots[0].changed = 1;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C16, NothingWhenTheFlagsCouldNotBeRead) {
  for (FlagsRead& read : hang().flags) read.status = trace::SideChannel::kBlocked;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C16, NothingWhenTheReplayCompletedAfterAll) {
  hang().ended = true;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C16, LikelyWhenItsOwnSlotsWereNotRead) {
  hang().slots.clear();
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kLikely);
}

TEST_F(C16, NothingWhenTheLayoutHasNoArrivals) {
  world.model.workspaces[1].flag_layout = trace::FlagLayout::kUnknown;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C16, NothingWhenAnotherWorkspaceOfTheReplayIsInUse) {
  const Index other = world.AddWorkspace(1);
  world.model.workspaces[other].flag_layout = trace::FlagLayout::kEraC;
  for (uint32_t pass = 0; pass < 2; ++pass) {
    FlagsRead read = hang().flags[pass];
    read.workspace = other;
    read.word[protocol::kArrivals] = 3;
    hang().flags.push_back(read);
  }
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C16, NothingForAReplayBehindAnother) {
  const Index behind = world.Replay(1);
  const Index hang = world.Hang(behind, 2, 0);
  for (uint32_t token = 0; token < world.tokens; ++token) {
    world.Slot(hang, 1, token, world.dim / 2, 0);
  }
  const Detection detection = Detect();
  ASSERT_EQ(detection.findings.size(), 1u);
  EXPECT_EQ(detection.findings[0].hangs, std::vector<Index>{stalled});
}

TEST_F(C16, SaysWhenTheLaunchCallItselfDidNotReturn) {
  hang().launch_returned = false;
  EXPECT_TRUE(Mentions(Detect().findings.at(0).evidence, "still inside the launch call"));
  EXPECT_TRUE(Mentions(Detect().findings.at(0).actions, "host thread inside the launch call"));
}

TEST_F(C16, NamesNodesThatCanWait) {
  world.model.graphs[1].nodes.push_back({2, kHostNode, "", {}});
  EXPECT_TRUE(Mentions(Detect().findings.at(0).evidence, "node 2 of the graph can wait by itself"));
}

TEST_F(C16, KnowsWhenAllCollectivesAreComplete) {
  for (FlagsRead& read : hang().flags) read.word[protocol::kCurrentIndex] = 1;
  const Finding finding = Detect().findings.at(0);
  EXPECT_NE(finding.summary.find("has completed all collectives"), std::string::npos);
  EXPECT_TRUE(finding.place.nodes.empty());
}

// ---------------------------------------------------------------- other collectives

constexpr char kNccl[] = "ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)";

// A kernel node from which an edge leads to rank 1's first call, or to which one leads from its
// last.
class C16Others : public C16 {
 protected:
  Graph& graph() { return world.model.graphs[1]; }
  void InFront(const std::string& name) {
    graph().nodes.push_back({2, 0, name, {}});
    graph().edges.push_back({2, 0, false});
  }
  void Behind(const std::string& name) {
    graph().nodes.push_back({2, 0, name, {}});
    graph().edges.push_back({1, 2, false});
  }
  Finding Found() { return Detect().findings.at(0); }
};

TEST_F(C16Others, ACollectiveInFrontMayBeWhatHangs) {
  InFront(kNccl);
  const Finding finding = Found();
  EXPECT_EQ(finding.confidence, Confidence::kLikely);
  EXPECT_NE(finding.title.find("or in another collective"), std::string::npos);
  EXPECT_NE(finding.summary.find("this rank, or another collective of the graph"),
            std::string::npos);
  EXPECT_EQ(finding.summary.find("on this rank itself"), std::string::npos);
  EXPECT_TRUE(Mentions(finding.evidence, "node 2 of the graph is another collective"));
  EXPECT_TRUE(Mentions(finding.evidence, "ncclDevKernel_AllGather"));
}

TEST_F(C16Others, OneBehindTheDueCallCannotBe) {
  Behind(kNccl);
  EXPECT_EQ(Found().confidence, Confidence::kProven);
}

TEST_F(C16Others, OneAheadOfACompleteCallCannotBe) {
  InFront(kNccl);
  hang().flags.clear();
  for (uint32_t pass = 0; pass < 2; ++pass) {
    FlagsRead read;
    read.workspace = 1;
    read.pass = pass;
    read.status = trace::SideChannel::kOk;
    read.words = 9;
    read.word[protocol::kCurrentIndex] = 0;  // the second call is due
    hang().flags.push_back(read);
  }
  EXPECT_EQ(Found().confidence, Confidence::kProven);
}

TEST_F(C16Others, OneBehindAllCallsMayBeWhereAllAreComplete) {
  Behind(kNccl);
  for (FlagsRead& read : hang().flags) read.word[protocol::kCurrentIndex] = 1;
  const Finding finding = Found();
  EXPECT_EQ(finding.confidence, Confidence::kLikely);
  EXPECT_NE(finding.summary.find("has completed all collectives"), std::string::npos);
}

TEST_F(C16Others, OnlyPossibleWhereALamportKernelWasNotDecoded) {
  const Index kernel = world.AddKernel(1, trace::Algorithm::kUnknown);
  world.model.kernels[kernel].decoded = false;
  world.model.kernels[kernel].name = "flashinfer::twoshotNew<8>";
  InFront("flashinfer::twoshotNew<8>");
  const Finding finding = Found();
  EXPECT_EQ(finding.confidence, Confidence::kPossible);
  EXPECT_TRUE(Mentions(finding.missing, "node 2, flashinfer::twoshotNew<8>"));
}

TEST_F(C16Others, OnlyLikelyWhereNobodyIsInside) {
  for (FlagsRead& read : world.model.hangs[waiting].flags) read.word[protocol::kArrivals] = 0;
  for (SlotState& slot : world.model.hangs[waiting].slots) {
    slot.sentinel = slot.words;
    slot.arrived = 0;
  }
  const Detection detection = Detect();
  ASSERT_EQ(detection.findings.size(), 2u);
  for (const Finding& finding : detection.findings) {
    EXPECT_EQ(finding.confidence, Confidence::kLikely);
    EXPECT_TRUE(Mentions(finding.missing, "no rank of the group is known to be inside"));
    EXPECT_NE(finding.summary.find("or another collective in front of it"), std::string::npos);
  }
}

TEST_F(C16Others, BehindItsCollectivesAPeerThatEndedTheReplayIsEnough) {
  for (FlagsRead& read : hang().flags) read.word[protocol::kCurrentIndex] = 1;
  world.model.hangs[waiting].ended = true;
  EXPECT_EQ(Found().confidence, Confidence::kLikely);
  world.model.replays[replay[0]].completed_ns = world.now();
  EXPECT_EQ(Found().confidence, Confidence::kProven);
}

TEST_F(C16Others, ARankThatIsGoneMayHoldThemUp) {
  world.model.hangs[waiting].ended = true;
  world.model.processes[0].last_ns = hang().launched_ns;
  const Finding finding = Found();
  EXPECT_EQ(finding.confidence, Confidence::kLikely);
  EXPECT_TRUE(Mentions(finding.evidence, "rank 0 (pid 100): its trace ends 10.0 s before"));
  EXPECT_NE(finding.actions.at(0).find("dmesg"), std::string::npos);
}

TEST(OtherCollectives, AreKnownByTheirNames) {
  for (const char* name :
       {kNccl, "void vllm::cross_device_reduce_1stage<__nv_bfloat16, 2>(vllm::RankData*)",
        "c10d::symmetric_memory::(anonymous namespace)::one_shot_all_reduce_kernel<float, 16>",
        "nvshmemi_transfer_rma_warp(void*)", "void deep_ep::internode::dispatch<false>(int4*)",
        "multimem_all_reduce_kernel(float*)", "moeAllToAllKernel(int)"}) {
    EXPECT_TRUE(LooksLikeCollective(name)) << name;
  }
  for (const char* name :
       {"", "void cub::BlockReduce<BlockAllReduce<float>>(float*)", "scale(float*, float)",
        "at::native::(anonymous namespace)::softmax<float>(ncclComm*)", "rms_norm_kernel"}) {
    EXPECT_FALSE(LooksLikeCollective(name)) << name;
  }
}

// ---------------------------------------------------------------- two workspaces in one graph

// Both ranks call on one workspace, then on another. Rank 1 is stuck between the two, rank 0 waits
// for it in the second.
TEST(C16TwoWorkspaces, TheOneWhoseCallIsDueIsNamed) {
  World world;
  const std::vector<Index> second{world.AddWorkspace(0), world.AddWorkspace(1)};
  world.model.communicators.push_back({2, second, true, "a key"});
  for (const Index index : second) world.model.workspaces[index].communicator = 1;
  std::vector<Index> hangs;
  for (uint32_t rank = 0; rank < 2; ++rank) {
    Call first = world.MakeCall(rank), other = first;
    other.workspace = second[rank];
    const Index replay = world.Replay(world.AddExec(rank, {first, other}));
    hangs.push_back(world.Hang(replay, 1, 0));
    Hang& hang = world.model.hangs.back();
    for (uint32_t token = 0; token < world.tokens; ++token) {
      for (uint32_t peer = 0; peer < 2; ++peer) world.Slot(hangs.back(), peer, token, 32, 0);
    }
    for (uint32_t pass = 0; pass < 2; ++pass) {
      FlagsRead read = hang.flags[pass];
      read.workspace = second[rank];
      read.word[protocol::kCurrentIndex] = 0;
      read.word[protocol::kArrivals] = rank == 0 ? 8 : 0;
      hang.flags.push_back(read);
    }
    for (uint32_t token = 0; token < world.tokens; ++token) {
      world.Slot(hangs.back(), 0, token, 0, 0).workspace = second[rank];
      world.Slot(hangs.back(), 1, token, 32, 0).workspace = second[rank];
    }
  }
  const Detection detection = Diagnose(world.model);
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C16"});
  const Finding& finding = detection.findings[0];
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.hangs, std::vector<Index>{hangs[1]});
  EXPECT_NE(finding.summary.find("before the kernel that is due"), std::string::npos);
  EXPECT_EQ(finding.place.communicator, 1u);
  ASSERT_EQ(finding.place.nodes.size(), 1u);
  EXPECT_EQ(finding.place.nodes[0].position, 1u);
  ASSERT_EQ(finding.consequences.size(), 1u);
  EXPECT_EQ(finding.consequences[0].hang, hangs[0]);
}

// ---------------------------------------------------------------- no collective at all

class C16Without : public testing::Test {
 protected:
  C16Without() {
    world.model.graphs[0].nodes.push_back({0, kHostNode, "", {}});
    replay = world.Replay(0);
    world.Hang(replay, 0, 0);
  }
  Graph& graph() { return world.model.graphs[0]; }
  Detection Detect() { return DetectC16(world.model); }

  World world;
  Index exec = world.AddExec(0, std::vector<Call>{});
  Index replay = kNone;
};

TEST_F(C16Without, ProvenWhenNoNodeIsALamportKernel) {
  const Detection detection = Detect();
  ASSERT_EQ(Hazards(detection), std::vector<std::string>{"C16"});
  EXPECT_EQ(detection.findings[0].confidence, Confidence::kProven);
  EXPECT_TRUE(Mentions(detection.findings[0].evidence, "none is a Lamport kernel"));
}

TEST_F(C16Without, OnlyLikelyWhenANodeIsAnotherCollective) {
  graph().nodes.push_back({1, 0, kNccl, {}});
  const Finding finding = Detect().findings.at(0);
  EXPECT_EQ(finding.confidence, Confidence::kLikely);
  EXPECT_TRUE(Mentions(finding.evidence, "node 1 of the graph is another collective"));
}

TEST_F(C16Without, OnlyLikelyWhenAllProcessesHangLikeThis) {
  const Index other = world.AddExec(1, std::vector<Call>{});
  world.model.graphs.back().nodes.push_back({0, kHostNode, "", {}});
  world.Hang(world.Replay(other), 0, 0);
  for (const Finding& finding : Detect().findings) {
    EXPECT_EQ(finding.confidence, Confidence::kLikely);
  }
}

TEST_F(C16Without, NothingWhenNodesAreMissing) {
  graph().complete = false;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C16Without, NothingWhenTheShimCountedLamportNodes) {
  graph().declared_lamport_nodes = 1;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C16Without, NothingWhenANodeMayHideOthers) {
  graph().nodes.push_back({1, kConditionalNode, "", {}});
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C16Without, NothingWhenANodesKernelWasNotDecoded) {
  world.model.kernels[0].decoded = false;
  graph().nodes.push_back({1, 0, world.model.kernels[0].name, {}});
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C16Without, NothingWhenTheGraphIsNotRecorded) {
  world.model.execs[0].versions[0].graph = kNone;
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C16Without, NothingForAReplayThatMayWaitForAnotherStream) {
  const Index other = world.AddStream(0);
  const Index collective = world.Replay(world.AddExec(0, 1), other);
  world.model.replays[collective].launched_ns = world.model.replays[replay].launched_ns - 10 * kMs;
  world.Slots(world.Hang(collective, 0, 8), 1);
  Order record{0, world.model.replays[collective].launched_ns + kMs};
  record.kind = trace::OrderKind::kEventRecord;
  record.stream = other;
  record.event = 1;
  Order wait = record;
  wait.kind = trace::OrderKind::kStreamWait;
  wait.time_ns += kMs;
  wait.stream = 0;
  world.model.orders = {record, wait};
  EXPECT_TRUE(Detect().findings.empty());
}

}  // namespace
}  // namespace lamplight
