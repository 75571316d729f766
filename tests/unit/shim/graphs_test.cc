// Graphs under ids of ours: what is defined anew, and what is forgotten.
#include "shim/graphs.h"

#include "tests/unit/shim/recorded_test.h"

namespace lamplight::shim {
namespace {

class GraphsTest : public RecordedTest {
 protected:
  void SetUp() override {
    RecordedTest::SetUp();
    graphs_ = std::make_unique<Graphs>(recorder());
    shape_.nodes = {nullptr, nullptr};
    shape_.own = 2;
    shape_.kinds = {CU_GRAPH_NODE_TYPE_KERNEL, CU_GRAPH_NODE_TYPE_KERNEL};
    shape_.edges = {{0, 1, 0, 0}};
    kernel_.kernel_id = 3;
    shape_.calls = {{.node = 1, .function = &kernel_, .decoded = {}, .decodable = true}};
    shape_.calls[0].decoded.call.tokens = 8;
  }

  size_t Defined() const { return Definitions<trace::Graph>(trace::RecordType::kGraph).size(); }

  std::unique_ptr<Graphs> graphs_;
  Function kernel_;
  GraphShape shape_;
  GraphInfo info_{.stream_id = 1, .site_id = 2};
};

TEST_F(GraphsTest, UpdatesThatChangeNothingAreDefinedOnce) {
  const uint32_t first = graphs_->DefineUpdate(info_, shape_);
  info_.capture_begin_ns = 5;
  info_.capture_end_ns = 6;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(graphs_->DefineUpdate(info_, shape_), first);
  EXPECT_EQ(Defined(), 1u);
}

TEST_F(GraphsTest, WhateverElseDiffersMakesAnotherGraph) {
  std::vector<uint32_t> ids = {graphs_->DefineUpdate(info_, shape_)};
  shape_.calls[0].decoded.call.tokens = 9;
  ids.push_back(graphs_->DefineUpdate(info_, shape_));
  shape_.edges[0].kind = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC;
  ids.push_back(graphs_->DefineUpdate(info_, shape_));
  shape_.kinds[0] = CU_GRAPH_NODE_TYPE_MEMSET;
  ids.push_back(graphs_->DefineUpdate(info_, shape_));
  info_.site_id = 7;
  ids.push_back(graphs_->DefineUpdate(info_, shape_));
  shape_.early_reads.push_back({.node = 1, .from = 0, .address = 64});
  ids.push_back(graphs_->DefineUpdate(info_, shape_));
  EXPECT_EQ(ids, (std::vector<uint32_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(Defined(), 6u);
}

TEST_F(GraphsTest, EachInstantiationHasAGraphOfItsOwn) {
  EXPECT_NE(graphs_->DefineGraph(info_, shape_), graphs_->DefineGraph(info_, shape_));
}

TEST_F(GraphsTest, WhatIsKnownOfACaptureEndsWithTheGraph) {
  const auto graph = reinterpret_cast<CUgraph>(0x40);
  graphs_->Captured(graph, info_);
  EXPECT_EQ(graphs_->InfoOf(graph).site_id, 2u);
  graphs_->GraphDestroyed(graph);
  EXPECT_EQ(graphs_->InfoOf(graph).site_id, 0u);
}

// The launch hook holds the exec until the driver lets it go, however long that takes.
TEST_F(GraphsTest, ADestroyedExecStaysWhileALaunchIsInTheDriver) {
  constexpr uint64_t kLongAfter = ~uint64_t{0};
  const auto handle = reinterpret_cast<CUgraphExec>(0x80);
  graphs_->ExecCreated(handle, std::make_unique<Exec>(), 0, 0);
  Exec* exec = graphs_->FindExec(handle);
  exec->launched = 3;
  exec->returned = 2;
  graphs_->ExecDestroyed(handle);
  EXPECT_EQ(graphs_->FindExec(handle), nullptr);
  EXPECT_TRUE(graphs_->TakeRetired(kLongAfter).empty());
  exec->returned = 3;
  EXPECT_EQ(graphs_->TakeRetired(kLongAfter).size(), 1u);
}

TEST_F(GraphsTest, AHandleThatComesAgainRetiresTheExecBefore) {
  const auto handle = reinterpret_cast<CUgraphExec>(0x80);
  graphs_->ExecCreated(handle, std::make_unique<Exec>(), 0, 0);
  Exec* first = graphs_->FindExec(handle);
  graphs_->ExecCreated(handle, std::make_unique<Exec>(), 0, 0);  // its end was not seen
  EXPECT_NE(graphs_->FindExec(handle), first);
  EXPECT_NE(first->retired_ns, 0u);
  EXPECT_EQ(graphs_->LiveExecs().size(), 1u);
}

}  // namespace
}  // namespace lamplight::shim
