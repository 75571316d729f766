// From slots of the GPU's ring to records of the trace, and to what the watchdog is told.
#include "shim/snapshot_drain.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "tests/unit/shim/recorded_test.h"

namespace lamplight::shim {
namespace {

constexpr uint32_t kSlots = 8;
constexpr uint32_t kNode = static_cast<uint32_t>(trace::SnapshotPlace::kNode);
constexpr uint32_t kTail = static_cast<uint32_t>(trace::SnapshotPlace::kTail);

class SnapshotDrainTest : public RecordedTest {
 protected:
  void SetUp() override {
    RecordedTest::SetUp();
    graphs_ = std::make_unique<Graphs>(recorder());
    workspaces_ = std::make_unique<Workspaces>(recorder());
    drain_ = std::make_unique<SnapshotDrain>(ring_, *graphs_, *workspaces_);
    auto exec = std::make_unique<Exec>();
    exec->id = 5;
    exec->tells_itself = true;
    exec->journals[2].counter = 1;
    exec->journals[4].counter = 2;
    exec_ = exec.get();
    graphs_->ExecCreated(reinterpret_cast<CUgraphExec>(1), std::move(exec), 0, 0);
  }

  uint32_t AddWorkspace(uint64_t ops) {
    lamport::DecodedCall call{};
    call.flags_address = 0x4000;
    call.call.world = 2;
    Workspace* workspace = workspaces_->Resolve({}, 0, &call);
    workspace->ops = ops;
    return workspace->id;
  }

  void Write(SnapshotRecord record) {
    uint32_t values[kSnapshotCells];
    std::memcpy(values, &record, sizeof record);
    const uint64_t tag = uint64_t{SnapshotTag(ticket_)} << 32;
    for (uint32_t i = 0; i < kSnapshotCells; ++i) {
      slots_[ticket_ % kSlots].cell[i] = tag | values[i];
    }
    ++ticket_;
  }
  void Write(uint32_t place, uint32_t node, uint32_t replay) {
    Write({5, 1, replay, 0, 0, 0, node, place | 9u << 16, {}});
  }
  void Drain() { drain_->Drain(recorder()); }
  std::vector<std::pair<uint32_t, uint64_t>> Places() {
    std::vector<std::pair<uint32_t, uint64_t>> places;
    for (const auto& record : Events<trace::Snapshot>(trace::RecordType::kSnapshot)) {
      places.emplace_back(record.node, record.replay);
    }
    return places;
  }

  std::vector<SnapshotSlot> slots_ = std::vector<SnapshotSlot>(kSlots);
  SnapshotRing ring_{slots_.data(), kSlots};
  std::unique_ptr<Graphs> graphs_;
  std::unique_ptr<Workspaces> workspaces_;
  std::unique_ptr<SnapshotDrain> drain_;
  Exec* exec_ = nullptr;
  uint64_t ticket_ = 0;
};

using Place = std::pair<uint32_t, uint64_t>;

TEST_F(SnapshotDrainTest, NodesKeepTheReplayThatTheyCounted) {
  Write(kNode, 2, 1);
  Write(kNode, 4, 1);
  Write(kNode, 2, 2);
  Drain();
  EXPECT_EQ(Places(), (std::vector<Place>{{2, 1}, {4, 1}, {2, 2}}));
}

TEST_F(SnapshotDrainTest, AReplayIsPastItsCollectivesWhenAllItsNodesHaveTold) {
  Write(kNode, 2, 1);
  Drain();
  EXPECT_EQ(exec_->snapshot_runs, 0u);
  Write(kNode, 4, 1);
  Write(kNode, 2, 2);
  Drain();
  EXPECT_EQ(exec_->snapshot_runs, 1u);
}

TEST_F(SnapshotDrainTest, TailSnapshotsTellWhereNotAllNodesDo) {
  exec_->tells_itself = false;
  Write(kNode, 2, 3);
  Write(kNode, 4, 3);
  Drain();
  EXPECT_EQ(exec_->snapshot_runs, 0u);
  Write(kTail, 4, 3);
  Drain();
  EXPECT_EQ(exec_->snapshot_runs, 3u);
}

// In journal mode a snapshot node follows each kernel of others, and counts its runs itself.
TEST_F(SnapshotDrainTest, NodesBehindKernelsOfOthersAreWrittenToo) {
  Write(kNode, 3, 1);
  Drain();
  EXPECT_EQ(Places(), (std::vector<Place>{{3, 1}}));
  EXPECT_EQ(exec_->snapshot_runs, 0u);
}

// The ring keeps the newest half; what is left keeps its replay.
TEST_F(SnapshotDrainTest, LostSlotsAreCountedAndLeaveTheOthersRight) {
  for (uint32_t replay = 1; replay <= 10; ++replay) {
    Write(kNode, 2, replay);
    Write(kNode, 4, replay);
  }
  Drain();
  const std::vector<Place> places = Places();
  ASSERT_FALSE(places.empty());
  EXPECT_EQ(places.back(), (Place{4, 10}));
  for (size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(places[places.size() - 1 - i], (Place{i % 2 == 0 ? 4 : 2, 10 - i / 2}));
  }
  EXPECT_EQ(exec_->snapshot_runs, 10u);
  recorder().DrainNow();
  std::string error;
  const auto file = ReadTrace(recorder().path(), &error);
  EXPECT_EQ(file->header.snapshots_dropped, 20 - places.size());
}

TEST_F(SnapshotDrainTest, NodesWhoseRunsAreNoReplaysAreLeftOut) {
  exec_->journals.at(2).Doubt(1);
  exec_->journals.at(2).Doubt(9);
  for (uint32_t replay = 1; replay < 3; ++replay) {
    Write(kNode, 2, replay);
    Write(kNode, 4, replay);
  }
  Drain();
  EXPECT_EQ(Places(), (std::vector<Place>{{2, 1}, {4, 1}, {4, 2}}));
}

TEST_F(SnapshotDrainTest, EagerCallsGetTheirWholeOperationNumber) {
  SnapshotRecord record{};
  record.workspace_id = AddWorkspace(0x1'0000'0003u);
  record.node = 0xffffffffu;
  record.gpu_ns_low = 11;
  record.place_and_words = kNode | 9u << 16;
  record.word[0] = 2;
  Write(record);
  Drain();
  const auto eager = Events<trace::EagerSnapshot>(trace::RecordType::kEagerSnapshot);
  ASSERT_EQ(eager.size(), 1u);
  EXPECT_EQ(eager[0].op, 0xffffffffu);
  EXPECT_EQ(eager[0].workspace_id, record.workspace_id);
  EXPECT_EQ(eager[0].gpu_ns, 11u);
  EXPECT_EQ(eager[0].words, 9u);
  EXPECT_EQ(eager[0].word[0], 2u);
  EXPECT_TRUE(Places().empty());
}

TEST_F(SnapshotDrainTest, EagerCallsOfNoKnownWorkspaceAreLeftOut) {
  SnapshotRecord record{};
  record.workspace_id = 77;
  Write(record);
  Drain();
  EXPECT_TRUE(Events<trace::EagerSnapshot>(trace::RecordType::kEagerSnapshot).empty());
}

}  // namespace
}  // namespace lamplight::shim
