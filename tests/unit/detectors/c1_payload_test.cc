// C1, the payload: what proves that a word which looks absent is data, and what only resembles it.
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "analyzer/detectors/c1_payload_is_sentinel.h"
#include "analyzer/detectors/c1_sentinel_aliasing.h"
#include "analyzer/detectors/registry.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

using Ranks = std::vector<uint32_t>;

constexpr uint32_t kScatterStage = 0;
constexpr uint32_t kBroadcastStage = 1;

// All ranks hang in one two-shot pair. Their scatters are whole; of the broadcast, two words of
// token 3 are the mark, in packets that have arrived.
class C1Payload : public testing::Test {
 protected:
  C1Payload() {
    for (uint32_t rank = 0; rank < 2; ++rank) hangs.push_back(HangOn(rank));
    for (const Index hang : hangs) Store(Broadcast(hang, 3), {8, 21});
  }

  Index HangOn(uint32_t rank) {
    Call reduce = world.MakeCall(rank);
    reduce.kernel = world.AddKernel(rank, trace::Algorithm::kTwoShot);
    reduce.flags = 0;
    Call norm = world.MakeCall(rank);
    norm.kernel = world.AddKernel(rank, trace::Algorithm::kRmsNorm);
    for (const Index kernel : {reduce.kernel, norm.kernel}) {
      world.model.kernels[kernel].descriptor = "flashinfer-mnnvl-C";
    }
    const Index hang = world.Hang(world.Replay(world.AddExec(rank, {reduce, norm})), 0, 8);
    for (uint32_t token = rank; token < world.tokens; token += 2) {
      for (uint32_t peer = 0; peer < 2; ++peer) Arrived(hang, peer, token, kScatterStage);
    }
    for (uint32_t token = 0; token < world.tokens; ++token) {
      Arrived(hang, token % 2, token, kBroadcastStage);
    }
    return hang;
  }
  void Arrived(Index hang, uint32_t peer, uint32_t token, uint32_t stage) {
    SlotState& slot = world.Slot(hang, peer, token, 0, 0, stage);
    slot.stored = slot.stored_leading = 0;
  }
  SlotState& Find(Index hang, uint32_t stage, uint32_t peer, uint32_t token) {
    for (SlotState& slot : world.model.hangs[hang].slots) {
      if (slot.stage == stage && slot.peer == peer && slot.token == token) return slot;
    }
    throw std::runtime_error("no such slot");
  }
  SlotState& Broadcast(Index hang, uint32_t token) {
    return Find(hang, kBroadcastStage, token % 2, token);
  }
  // The mark as data at these words.
  static void Store(SlotState& slot, const std::vector<uint32_t>& words) {
    slot.sentinel = slot.stored = static_cast<uint32_t>(words.size());
    slot.arrived = slot.words - slot.sentinel;
    slot.first_sentinel = slot.first_stored = words;
    slot.stored_leading =
        static_cast<uint32_t>(std::ranges::count_if(words, [](uint32_t w) { return w % 4 == 0; }));
  }
  // Nothing of the slot has come.
  static void Absent(SlotState& slot) {
    slot.sentinel = slot.words;
    slot.arrived = slot.stored = slot.stored_leading = 0;
    slot.first_sentinel = {0, 1, 2, 3};
    slot.first_stored.clear();
  }
  template <class Change>
  void OnBoth(Change change) {
    for (const Index hang : hangs) change(hang);
  }
  Detection Detect() { return DetectC1Payload(world.model); }
  Finding Only() {
    const Detection diagnosis = Diagnose(world.model);
    EXPECT_EQ(Hazards(diagnosis), std::vector<std::string>{"C1"});
    return diagnosis.findings.at(0);
  }

  World world;
  std::vector<Index> hangs;
};

TEST_F(C1Payload, ProvenAndTheOnlyVerdictOfAllRanks) {
  const Finding finding = Only();
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.hangs, hangs);
  EXPECT_TRUE(finding.consequences.empty());
  EXPECT_TRUE(finding.missing.empty());
}

TEST_F(C1Payload, NamesTheOwnerTokenAndWords) {
  const Finding finding = Only();
  EXPECT_EQ(finding.ranks, Ranks{1}) << "the rank that sent the sums";
  ASSERT_EQ(finding.slots.size(), 2u);
  for (const SlotWords& slot : finding.slots) {
    EXPECT_EQ(slot.peer, 1u);
    EXPECT_EQ(slot.token, 3u);
    EXPECT_EQ(slot.stored, 2u);
    EXPECT_EQ(slot.positions, (std::vector<uint32_t>{8, 21}));
  }
  EXPECT_NE(finding.title.find("a sum that is the mark"), std::string::npos);
  EXPECT_NE(finding.summary.find("Rank 1 sent sums of which 2 words are bitwise the mark"),
            std::string::npos)
      << finding.summary;
  EXPECT_NE(finding.summary.find("first in token 3, word 8"), std::string::npos);
  ASSERT_EQ(finding.place.nodes.size(), 1u) << "the kernel that polls sums";
  EXPECT_EQ(finding.place.nodes[0].position, 1u);
}

TEST_F(C1Payload, WordsOfSeveralOwnersNameThemAll) {
  OnBoth([&](Index hang) { Store(Broadcast(hang, 4), {0}); });
  EXPECT_EQ(Only().ranks, (Ranks{0, 1}));
}

TEST_F(C1Payload, NothingWhereWholePacketsAreAbsent) {
  OnBoth([&](Index hang) { Absent(Broadcast(hang, 3)); });
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C1Payload, OnlyPossibleWhereWholePacketsAreAbsentToo) {
  OnBoth([&](Index hang) { Absent(Broadcast(hang, 5)); });
  const Detection detection = Detect();
  ASSERT_EQ(detection.findings.size(), 2u);
  EXPECT_EQ(detection.findings[0].confidence, Confidence::kPossible);
  EXPECT_TRUE(Mentions(detection.findings[0].missing, "whole packets"));
}

// Rank 1 has sent nothing of the call that it is launched in: that explains what is absent.
TEST_F(C1Payload, NotNamedWhereAProvenCauseExplainsTheHang) {
  OnBoth([&](Index hang) { Store(Broadcast(hang, 3), {}); });
  Store(Broadcast(hangs[0], 2), {8});
  for (SlotState& slot : world.model.hangs[hangs[0]].slots) {
    if (slot.peer == 1) Absent(slot);
  }
  for (SlotState& slot : world.model.hangs[hangs[1]].slots) Absent(slot);
  for (FlagsRead& read : world.model.hangs[hangs[1]].flags) read.word[protocol::kArrivals] = 0;
  ASSERT_EQ(Hazards(Detect()), std::vector<std::string>{"C1"});
  EXPECT_EQ(Hazards(Diagnose(world.model)), std::vector<std::string>{"C16"});
}

TEST_F(C1Payload, OnlyPossibleWhereTheScatterIsAbsentToo) {
  Absent(Find(hangs[0], kScatterStage, 1, 2));
  EXPECT_EQ(Detect().findings.at(0).confidence, Confidence::kPossible);
  EXPECT_EQ(Detect().findings.at(1).confidence, Confidence::kProven);
}

TEST_F(C1Payload, NothingWhereASlotChangedBetweenTheReads) {
  OnBoth([&](Index hang) { Broadcast(hang, 3).changed = 1; });
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C1Payload, NothingWhereTheFlagsChangedBetweenTheReads) {
  OnBoth([&](Index hang) { world.model.hangs[hang].flags[1].word[protocol::kArrivals] = 7; });
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C1Payload, NothingFromATraceThatDoesNotCountThem) {
  OnBoth([&](Index hang) {
    for (SlotState& slot : world.model.hangs[hang].slots) {
      slot.stored = slot.stored_leading = kUnknown;
      slot.first_stored.clear();
    }
  });
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C1Payload, NothingWhereTheReplayCompletedAfterAll) {
  OnBoth([&](Index hang) { world.model.hangs[hang].ended = true; });
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C1Payload, NothingFromTheNextGeneration) {
  OnBoth([&](Index hang) { Broadcast(hang, 3).role = trace::kSlotNext; });
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C1Payload, ABitwiseCompareHangsAsWell) {
  for (Kernel& kernel : world.model.kernels) kernel.compare = protocol::Compare::kBitwise;
  EXPECT_EQ(Only().confidence, Confidence::kProven);
}

TEST_F(C1Payload, OnlyPossibleWhereNoMarkLeadsItsPacket) {
  OnBoth([&](Index hang) { Store(Broadcast(hang, 3), {9, 21}); });
  const Finding finding = Only();
  EXPECT_EQ(finding.confidence, Confidence::kPossible);
  EXPECT_TRUE(Mentions(finding.missing, "none of these is the first"));
}

TEST_F(C1Payload, NothingWhereNoMarkLeadsItsPacketAndOthersAreAbsent) {
  OnBoth([&](Index hang) {
    Store(Broadcast(hang, 3), {9});
    Absent(Broadcast(hang, 5));
  });
  EXPECT_TRUE(Detect().findings.empty());
}

TEST_F(C1Payload, ProvenInAnyPlaceWhereTheKernelsTestEveryWord) {
  for (Kernel& kernel : world.model.kernels) kernel.descriptor = "flashinfer-mnnvl-twoshot-EG";
  OnBoth([&](Index hang) { Store(Broadcast(hang, 3), {9, 21}); });
  EXPECT_EQ(Only().confidence, Confidence::kProven);
}

TEST_F(C1Payload, AllWordsOfTheScatterAreTested) {
  Store(Find(hangs[0], kScatterStage, 1, 2), {5});
  OnBoth([&](Index hang) {
    Store(Broadcast(hang, 3), {});
    Absent(Broadcast(hang, 2));
  });
  EXPECT_EQ(Only().confidence, Confidence::kProven);
}

// An owner that has passed its polls, whatever it sent.
TEST_F(C1Payload, OwnSumsThatAreMarksAreNoSignOfAWaitInTheScatter) {
  SlotState& scatter = Find(hangs[1], kScatterStage, 0, 3);
  scatter.alias = 1;
  --scatter.arrived;
  const Detection detection = DetectC1(world.model);
  EXPECT_TRUE(std::ranges::none_of(detection.findings, [](const Finding& finding) {
    return finding.confidence == Confidence::kProven;
  }));
}

TEST_F(C1Payload, CountsThatCannotBeAreCutToWhatTheyAreOf) {
  OnBoth([&](Index hang) {
    SlotState& slot = Broadcast(hang, 3);
    slot.stored = 4'000'000'000u;
    slot.stored_leading = 4'100'000'000u;
  });
  EXPECT_EQ(Only().confidence, Confidence::kProven);
  EXPECT_TRUE(Mentions(Only().evidence, " 2 hold the empty-slot mark, 2 of them in 16-byte"));
}

TEST_F(C1Payload, LikelyWhereTheKernelMayStoreLessThanAPacket) {
  for (Kernel& kernel : world.model.kernels) kernel.descriptor = "my-kernel";
  const Finding finding = Only();
  EXPECT_EQ(finding.confidence, Confidence::kLikely);
  EXPECT_TRUE(Mentions(finding.missing, "16 bytes by one instruction"));
}

TEST_F(C1Payload, ARankOfWhichNothingCouldBeReadIsAConsequence) {
  for (FlagsRead& read : world.model.hangs[hangs[0]].flags) {
    read.status = trace::SideChannel::kTimedOut;
  }
  const Finding finding = Only();
  EXPECT_EQ(finding.hangs, std::vector<Index>{hangs[1]});
  ASSERT_EQ(finding.consequences.size(), 1u);
  EXPECT_EQ(finding.consequences[0].hang, hangs[0]);
}

// An input in the scatter: the owner of token 2 never reduces it, and everybody waits for its sum.
TEST_F(C1Payload, ProvenInTheScatterWhateverIsAbsentOfTheBroadcast) {
  Store(Find(hangs[0], kScatterStage, 1, 2), {4});
  OnBoth([&](Index hang) {
    Store(Broadcast(hang, 3), {});
    Absent(Broadcast(hang, 2));
  });
  const Finding finding = Only();
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.ranks, Ranks{1});
  EXPECT_EQ(finding.title, "Sentinel aliasing: data that is the mark of an empty slot");
  ASSERT_EQ(finding.slots.size(), 1u);
  EXPECT_EQ(finding.slots[0].stage, kScatterStage);
  EXPECT_EQ(finding.hangs, std::vector<Index>{hangs[0]});
  ASSERT_EQ(finding.consequences.size(), 1u) << "rank 1 waits for the sum of rank 0";
  EXPECT_EQ(finding.consequences[0].hang, hangs[1]);
}

// The first block is through and has moved the flags on; the marks are in the generation before.
class C1PayloadBehind : public C1Payload {
 protected:
  C1PayloadBehind() {
    OnBoth([&](Index hang) { MoveOn(hang); });
  }
  void MoveOn(Index hang) {
    std::vector<SlotState> due = world.model.hangs[hang].slots;
    for (SlotState& slot : world.model.hangs[hang].slots) slot.role = trace::kSlotDirty;
    for (SlotState& slot : due) {
      Absent(slot);
      slot.generation = 1;
      world.model.hangs[hang].slots.push_back(slot);
    }
    for (FlagsRead& read : world.model.hangs[hang].flags) {
      read.word[protocol::kCurrentIndex] = 1;
      read.word[protocol::kArrivals] = 0;
      read.word[protocol::kClearBytes0] = read.word[protocol::kClearBytes0 + 1] =
          world.tokens * world.dim * 2;
    }
  }
};

TEST_F(C1PayloadBehind, Proven) {
  const Finding finding = Only();
  EXPECT_EQ(finding.confidence, Confidence::kProven);
  EXPECT_EQ(finding.ranks, Ranks{1});
  EXPECT_TRUE(Mentions(finding.evidence, "moved the flags on"));
}

TEST_F(C1PayloadBehind, ACompleteCallMayLeaveMarksThatAreNotTested) {
  OnBoth([&](Index hang) { Store(Broadcast(hang, 3), {9}); });
  EXPECT_EQ(Hazards(Diagnose(world.model)), std::vector<std::string>{"C16"});
}

TEST_F(C1Payload, AdvisesByWhoseKernelsTheyAre) {
  const std::vector<std::string> flashinfer = Only().actions;
  EXPECT_TRUE(Mentions(flashinfer, "Upgrade FlashInfer to 0.6.15"));
  EXPECT_TRUE(Mentions(flashinfer, "LAMPLIGHT_SWAP=1"));
  for (Kernel& kernel : world.model.kernels) kernel.descriptor = "tensorrt-llm-mnnvl-twoshot-C";
  const std::vector<std::string> trtllm = Only().actions;
  EXPECT_TRUE(Mentions(trtllm, "without FAST_MATH"));
  EXPECT_TRUE(Mentions(trtllm, "allreduce_strategy: NCCL"));
  EXPECT_FALSE(Mentions(trtllm, "Upgrade FlashInfer"));
}

// Lines of the epoch protocol arrive by their tags: the shim counts no marks in them, and an absent
// line is ordinary waiting.
TEST(C1PayloadInLines, AnAbsentLineIsOrdinaryWaiting) {
  World world;
  for (Workspace& workspace : world.model.workspaces) {
    workspace.flag_layout = trace::FlagLayout::kEpoch;
    workspace.flag_words = 4;
  }
  for (Kernel& kernel : world.model.kernels) {
    kernel.algorithm = trace::Algorithm::kEpochOneShot;
    kernel.descriptor = "lamplight-oneshot-epoch-bf16";
  }
  const Index hang = world.Hang(world.Replay(world.AddExec(0, 1)), 0, 0);
  for (FlagsRead& read : world.model.hangs[hang].flags) read.word = {1, 0};
  world.Slots(hang);
  SlotState& slot = world.Slot(hang, 1, 3, 30, 0);
  slot.stored = slot.stored_leading = 0;
  EXPECT_TRUE(DetectC1Payload(world.model).findings.empty());
  EXPECT_NE(Hazards(Diagnose(world.model)), std::vector<std::string>{"C1"});
}

}  // namespace
}  // namespace lamplight
