// Changing execs: whole-graph updates and single nodes.
#include "fixture.h"

namespace device_sim_test {
namespace {

class ExecUpdateTest : public DeviceTest {
 protected:
  cudaGraph_t Chain(uint32_t first, uint32_t second) {
    return Capture([&] {
      LaunchAdd(stream_, words_, first);
      LaunchAdd(stream_, words_, second);
    });
  }

  uint32_t RunFromZero(cudaGraphExec_t exec) {
    EXPECT_EQ(cudaSuccess, cudaMemset(words_, 0, 4));
    EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, stream_));
    EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
    return Word(0);
  }

  static cudaGraphNode_t FirstNode(cudaGraph_t graph) {
    cudaGraphNode_t node = nullptr;
    size_t count = 1;
    EXPECT_EQ(cudaSuccess, cudaGraphGetNodes(graph, &node, &count));
    return node;
  }
};

TEST_F(ExecUpdateTest, TakesNewParametersOfTheSameShape) {
  cudaGraph_t graph = Chain(1, 2);
  cudaGraph_t next = Chain(3, 4);
  cudaGraphExec_t exec = Instantiate(graph);
  cudaGraphExecUpdateResultInfo outcome;
  EXPECT_EQ(cudaSuccess, cudaGraphExecUpdate(exec, next, &outcome));
  EXPECT_EQ(cudaGraphExecUpdateSuccess, outcome.result);
  EXPECT_EQ(34u, RunFromZero(exec));
  // The nodes of the instantiated graph still name the exec's nodes.
  const AddNodeParams params(words_, 9);
  EXPECT_EQ(cudaSuccess, cudaGraphExecKernelNodeSetParams(exec, FirstNode(graph), params.get()));
  EXPECT_EQ(94u, RunFromZero(exec));
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaGraphDestroy(next);
}

TEST_F(ExecUpdateTest, RefusesAnotherTopologyAndKeepsTheOld) {
  cudaGraph_t graph = Chain(1, 2);
  cudaGraph_t next = Capture([&] { LaunchAdd(stream_, words_, 3); });
  cudaGraphExec_t exec = Instantiate(graph);
  cudaGraphExecUpdateResultInfo outcome;
  EXPECT_EQ(cudaErrorGraphExecUpdateFailure, cudaGraphExecUpdate(exec, next, &outcome));
  EXPECT_EQ(cudaGraphExecUpdateErrorTopologyChanged, outcome.result);
  EXPECT_EQ(12u, RunFromZero(exec));
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaGraphDestroy(next);
}

TEST_F(ExecUpdateTest, RefusesAnotherEdgeType) {
  cudaGraph_t graph = Chain(1, 2);
  cudaGraph_t next = Capture([&] {
    LaunchAdd(stream_, words_, 1);
    LaunchAdd(stream_, words_, 2, /*pdl=*/true);
  });
  cudaGraphExec_t exec = Instantiate(graph);
  cudaGraphExecUpdateResultInfo outcome;
  EXPECT_EQ(cudaErrorGraphExecUpdateFailure, cudaGraphExecUpdate(exec, next, &outcome));
  EXPECT_EQ(cudaGraphExecUpdateErrorTopologyChanged, outcome.result);
  EXPECT_NE(nullptr, outcome.errorNode);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaGraphDestroy(next);
}

TEST_F(ExecUpdateTest, NamesTheNodeWhoseTypeChanged) {
  cudaGraph_t graph = Chain(1, 2);
  cudaGraph_t next = Capture([&] {
    cudaMemsetAsync(words_, 0, 4, stream_);
    LaunchAdd(stream_, words_, 2);
  });
  cudaGraphExec_t exec = Instantiate(graph);
  cudaGraphExecUpdateResultInfo outcome;
  EXPECT_EQ(cudaErrorGraphExecUpdateFailure, cudaGraphExecUpdate(exec, next, &outcome));
  EXPECT_EQ(cudaGraphExecUpdateErrorNodeTypeChanged, outcome.result);
  EXPECT_EQ(FirstNode(next), outcome.errorNode);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaGraphDestroy(next);
}

TEST_F(ExecUpdateTest, LeavesTheGraphAloneWhenOnlyTheExecChanges) {
  cudaGraph_t graph = Chain(1, 2);
  cudaGraphExec_t exec = Instantiate(graph);
  const AddNodeParams params(words_, 7);
  EXPECT_EQ(cudaSuccess, cudaGraphExecKernelNodeSetParams(exec, FirstNode(graph), params.get()));
  EXPECT_EQ(72u, RunFromZero(exec));
  cudaGraphExec_t again = Instantiate(graph);
  EXPECT_EQ(12u, RunFromZero(again));
  cudaGraphExecDestroy(again);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
}

TEST_F(ExecUpdateTest, SkipsDisabledNodes) {
  cudaGraph_t graph = Chain(1, 2);
  cudaGraphExec_t exec = Instantiate(graph);
  EXPECT_EQ(cudaSuccess, cudaGraphNodeSetEnabled(exec, FirstNode(graph), 0));
  EXPECT_EQ(2u, RunFromZero(exec));
  unsigned enabled = 1;
  EXPECT_EQ(cudaSuccess, cudaGraphNodeGetEnabled(exec, FirstNode(graph), &enabled));
  EXPECT_EQ(0u, enabled);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
}

TEST_F(ExecUpdateTest, DoesNotReachLaunchesInFlight) {
  cudaGraph_t graph = Capture([&] {
    LaunchAwait(stream_, words_ + 1);
    LaunchAdd(stream_, words_, 2);
  });
  cudaGraph_t next = Capture([&] {
    LaunchAwait(stream_, words_ + 1);
    LaunchAdd(stream_, words_, 5);
  });
  cudaGraphExec_t exec = Instantiate(graph);
  EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, stream_));
  cudaGraphExecUpdateResultInfo outcome;
  EXPECT_EQ(cudaSuccess, cudaGraphExecUpdate(exec, next, &outcome));
  EXPECT_EQ(cudaSuccess, LaunchStore(other_, words_ + 1, 1));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(2u, Word(0));
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaGraphDestroy(next);
}

}  // namespace
}  // namespace device_sim_test
