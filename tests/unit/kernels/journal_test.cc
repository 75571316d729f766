// The snapshots that calls leave, in the shim's ring, one whole slot for each, told by its tag, or
// in a mark of the node's own.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <map>

#include "kernels/snapshot_slot.h"
#include "shim/trace_format.h"
#include "tests/unit/kernels/reference.h"
#include "tests/unit/kernels/routes.h"

namespace lamplight::kernels {
namespace {

class Ring {
 public:
  explicit Ring(uint32_t slots) : slots_(slots) {}

  // As a node of a graph, which counts its runs.
  Journal JournalOf(uint32_t rank) {
    const auto bits = static_cast<uint32_t>(std::bit_width(slots_.size()) - 1);
    return {.ring = reinterpret_cast<uint64_t>(slots_.data()),
            .tickets_or_mark = reinterpret_cast<uint64_t>(counters_),
            .counter_and_bits = Journal::Pack(1 + rank, bits),
            .exec_id = 70 + rank,
            .workspace_id = 30 + rank,
            .node = 5};
  }
  uint64_t tickets() const { return counters_[0].runs; }
  // Whether every cell of the record in `ticket`'s slot carries its tag.
  bool Whole(uint64_t ticket) const {
    const SnapshotSlot& slot = slots_[ticket % slots_.size()];
    const uint32_t words = static_cast<uint32_t>(slot.cell[kCountCell]) >> 16;
    return std::all_of(slot.cell, slot.cell + CellsOf(words),
                       [&](uint64_t cell) { return cell >> 32 == ticket + 1; });
  }
  SnapshotRecord Record(uint64_t ticket) const {
    uint32_t words[kSnapshotCells];
    for (uint32_t i = 0; i < kSnapshotCells; ++i) {
      words[i] = static_cast<uint32_t>(slots_[ticket % slots_.size()].cell[i]);
    }
    SnapshotRecord record;
    std::memcpy(&record, words, sizeof record);
    return record;
  }
  bool Untouched() const {
    return std::all_of(slots_.begin(), slots_.end(), [](const SnapshotSlot& slot) {
      return std::all_of(slot.cell, slot.cell + kSnapshotThreads,
                         [](uint64_t cell) { return cell == 0; });
    });
  }
  // Behind the record, nothing is written.
  bool TailsUntouched() const {
    return std::all_of(slots_.begin(), slots_.end(), [](const SnapshotSlot& slot) {
      return std::all_of(slot.cell + kSnapshotCells, slot.cell + kSnapshotThreads,
                         [](uint64_t cell) { return cell == 0; });
    });
  }

 private:
  std::vector<SnapshotSlot> slots_;
  struct Counter {
    uint64_t runs;
    uint64_t unused;
  };
  static_assert(sizeof(Counter) == kRunCounterBytes);
  Counter counters_[8] = {};  // the first counts the slots taken
};

class Journals : public testing::TestWithParam<Route> {
 protected:
  Work work_{.kernel = GetParam().kernel, .tokens = 3, .hidden = 64};
  RankGroup group_{ShapeFor(GetParam(), 2, work_)};

  void Call(uint32_t rank, const Journal& journal) {
    Tensors tensors = std::move(RandomTensors(2, work_, 1)[rank]);
    CollectiveCall call = group_.CallOf(rank, work_, tensors);
    call.journal = journal;
    if (work_.kernel != Kernel::kTwoShotSends) return group_.Launch(call, work_);
    CollectiveCall sends = call;
    sends.options = 0;
    group_.Launch(sends, work_);
    Work norm = work_;
    norm.kernel = Kernel::kTwoShotNorm;
    group_.Launch(call, norm);
  }
  uint32_t Words() const {
    if (GetParam().protocol == Protocol::kMnnvl) return 9;
    if (GetParam().protocol == Protocol::kEpoch) return 4;
    return GetParam().sizes_apart ? 3 : 5;
  }
};

// The flag words as the call leaves them, and who left them.
TEST_P(Journals, SlotHoldsTheWordsAsTheCallLeavesThem) {
  Ring ring(8);
  group_.Together([&](uint32_t rank) { Call(rank, rank == 0 ? ring.JournalOf(0) : Journal{}); });
  ASSERT_EQ(ring.tickets(), 1u);
  ASSERT_TRUE(ring.Whole(0));
  EXPECT_TRUE(ring.TailsUntouched());
  const SnapshotRecord record = ring.Record(0);
  EXPECT_EQ(record.exec_id, 70u);
  EXPECT_EQ(record.workspace_id, 30u);
  EXPECT_EQ(record.node, 5u);
  EXPECT_EQ(record.replay_low, 1u);
  EXPECT_EQ(record.replay_high, 0u);
  EXPECT_EQ(record.place_and_words & 0xffff, static_cast<uint32_t>(trace::SnapshotPlace::kNode));
  EXPECT_EQ(record.place_and_words >> 16, Words());
  EXPECT_NE(record.gpu_ns_low | record.gpu_ns_high, 0u);
  for (uint32_t i = 0; i < kSnapshotWords; ++i) {
    EXPECT_EQ(record.word[i], i < Words() ? group_.state(0)[i] : 0) << "word " << i;
  }
}

// All ranks into one ring, more calls than slots: tickets are given once, the last stay whole, and
// each workspace's snapshots follow one another.
TEST_P(Journals, EveryCallOfEveryRankTakesOneTicket) {
  constexpr uint32_t kCalls = 20;
  Ring large(64);
  Ring small(4);
  for (Ring* ring : {&large, &small}) {
    group_.Together([&](uint32_t rank) {
      for (uint32_t call = 0; call < kCalls; ++call) Call(rank, ring->JournalOf(rank));
    });
    ASSERT_EQ(ring->tickets(), 2 * kCalls);
  }
  for (uint64_t ticket = 2 * kCalls - 4; ticket < 2 * kCalls; ++ticket) {
    EXPECT_TRUE(small.Whole(ticket));
  }
  const uint32_t index_word = IsUnicast(GetParam().protocol) ? 2 : 0;
  std::map<uint32_t, uint32_t> calls;
  std::map<uint32_t, uint64_t> time;
  for (uint64_t ticket = 0; ticket < 2 * kCalls; ++ticket) {
    ASSERT_TRUE(large.Whole(ticket));
    const SnapshotRecord record = large.Record(ticket);
    const uint32_t call = ++calls[record.workspace_id];
    const bool counts = GetParam().protocol == Protocol::kEpoch;
    EXPECT_EQ(record.word[index_word], counts ? call * kWholeCall : call % 3);
    EXPECT_EQ(record.replay_low, call);
    const uint64_t now = record.gpu_ns_low | uint64_t{record.gpu_ns_high} << 32;
    EXPECT_GE(now, time[record.workspace_id]);
    time[record.workspace_id] = now;
    EXPECT_EQ(record.exec_id, record.workspace_id + 40);
  }
  EXPECT_EQ(calls[30], kCalls);
  EXPECT_EQ(calls[31], kCalls);
}

TEST_P(Journals, EagerCallCountsNoRuns) {
  Ring ring(8);
  group_.Together([&](uint32_t rank) {
    Journal journal = ring.JournalOf(rank);
    journal.exec_id = 0;
    journal.counter_and_bits = Journal::Pack(0, 3);
    Call(rank, journal);
    Call(rank, journal);
  });
  ASSERT_EQ(ring.tickets(), 4u);
  for (uint64_t ticket = 0; ticket < 4; ++ticket) {
    ASSERT_TRUE(ring.Whole(ticket));
    EXPECT_EQ(ring.Record(ticket).replay_low, 0u);
  }
}

// Without a ring. The mark holds the words of the last call, and how many have left it.
TEST_P(Journals, MarkHoldsTheWordsAsTheCallLeavesThem) {
  NodeMark marks[2] = {};
  constexpr uint32_t kCalls = 5;
  group_.Together([&](uint32_t rank) {
    Journal journal{};
    journal.tickets_or_mark = reinterpret_cast<uint64_t>(&marks[rank]);
    for (uint32_t call = 0; call < kCalls; ++call) Call(rank, journal);
  });
  for (uint32_t rank = 0; rank < 2; ++rank) {
    const NodeMark& mark = marks[rank];
    EXPECT_EQ(mark.progress, kCalls * kWholeCall);
    EXPECT_NE(mark.gpu_ns, 0u);
    for (uint32_t i = 0; i < std::size(mark.word); ++i) {
      EXPECT_EQ(mark.word[i], i < Words() ? group_.state(rank)[i] : 0) << "word " << i;
    }
  }
}

TEST_P(Journals, NeitherRingNorMarkTakesNothing) {
  Ring ring(4);
  group_.Together([&](uint32_t rank) {
    Journal journal = ring.JournalOf(rank);
    journal.ring = journal.tickets_or_mark = 0;
    Call(rank, journal);
  });
  EXPECT_EQ(ring.tickets(), 0u);
  EXPECT_TRUE(ring.Untouched());
}

TEST_P(Journals, RefusedCallLeavesNone) {
  Ring ring(4);
  if (GetParam().protocol == Protocol::kEpoch) {
    reinterpret_cast<EpochState*>(group_.state(0))->progress = 7 * kWholeCall;
    work_.tokens = 30;
  } else {
    group_.state(0)[GetParam().protocol == Protocol::kMnnvl ? 2 : 3] = 0;
    group_.sizes(0).generation_bytes = 0;
  }
  Call(0, ring.JournalOf(0));
  NodeMark mark{};
  Call(0, {.tickets_or_mark = reinterpret_cast<uint64_t>(&mark)});
  EXPECT_EQ(mark.progress, 0u);
  ASSERT_NE(group_.diagnostic(0).trouble, 0u);
  EXPECT_EQ(ring.tickets(), 0u);
  EXPECT_TRUE(ring.Untouched());
}

INSTANTIATE_TEST_SUITE_P(Routes, Journals, testing::ValuesIn(kRoutes),
                         [](const auto& param) { return NameOf(param.param); });

}  // namespace
}  // namespace lamplight::kernels
