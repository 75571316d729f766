// Replays: events inside graphs, branches that need each other, launches of one exec.
#include <atomic>

#include "fixture.h"

namespace device_sim_test {
namespace {

class ReplayTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    ASSERT_EQ(cudaSuccess, cudaEventCreateWithFlags(&event_, cudaEventDisableTiming));
  }
  void TearDown() override {
    EXPECT_EQ(cudaSuccess, cudaEventDestroy(event_));
    DeviceTest::TearDown();
  }

  cudaGraphNode_t AddWaiter(cudaGraph_t graph, const uint32_t* word) {
    void* arguments[] = {&word};
    cudaKernelNodeParams params{};
    params.func = const_cast<void*>(FunctionOf(AwaitStub));
    params.gridDim = params.blockDim = dim3{1, 1, 1};
    params.kernelParams = arguments;
    cudaGraphNode_t node = nullptr;
    EXPECT_EQ(cudaSuccess, cudaGraphAddKernelNode(&node, graph, nullptr, 0, &params));
    return node;
  }

  void LaunchAndDestroy(cudaGraph_t graph) {
    cudaGraphExec_t exec = Instantiate(graph);
    EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, stream_));
    EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
  }

  cudaEvent_t event_ = nullptr;
};

TEST_F(ReplayTest, EventNodeIsPendingFromTheLaunchUntilItRan) {
  cudaGraph_t graph = Capture([&] {
    LaunchAwait(stream_, words_);
    EXPECT_EQ(cudaSuccess, cudaEventRecordWithFlags(event_, stream_, cudaEventRecordExternal));
    LaunchAwait(stream_, words_ + 1);
  });
  cudaGraphExec_t exec = Instantiate(graph);
  EXPECT_EQ(cudaSuccess, cudaEventQuery(event_));
  for (uint32_t replay = 0; replay < 2; ++replay) {
    EXPECT_EQ(cudaSuccess, cudaMemset(words_, 0, 8));
    EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, stream_));
    EXPECT_EQ(cudaErrorNotReady, cudaEventQuery(event_));
    EXPECT_EQ(cudaSuccess, LaunchStore(other_, words_, 1));
    EXPECT_EQ(cudaSuccess, cudaEventSynchronize(event_));
    EXPECT_EQ(cudaErrorNotReady, cudaStreamQuery(stream_));
    EXPECT_EQ(cudaSuccess, LaunchStore(other_, words_ + 1, 1));
    EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
    EXPECT_EQ(cudaSuccess, cudaEventQuery(event_));
  }
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
}

TEST_F(ReplayTest, ExternalWaitNodeWaitsForTheEventAsRecordedAtItsRun) {
  cudaGraph_t graph = Capture([&] {
    EXPECT_EQ(cudaSuccess, cudaStreamWaitEvent(stream_, event_, cudaEventWaitExternal));
    LaunchAdd(stream_, words_ + 1, 3);
  });
  cudaGraphExec_t exec = Instantiate(graph);
  EXPECT_EQ(cudaSuccess, LaunchAwait(other_, words_));
  EXPECT_EQ(cudaSuccess, cudaEventRecord(event_, other_));
  EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, stream_));
  Pause();
  EXPECT_EQ(cudaErrorNotReady, cudaStreamQuery(stream_));
  cudaStream_t third;
  cudaStreamCreateWithFlags(&third, cudaStreamNonBlocking);
  EXPECT_EQ(cudaSuccess, LaunchStore(third, words_, 1));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(3u, Word(1));
  cudaStreamDestroy(third);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
}

TEST_F(ReplayTest, PollingBranchDoesNotStarveTheOneItNeeds) {
  cudaGraph_t graph = nullptr;
  cudaGraphCreate(&graph, 0);
  AddWaiter(graph, words_);
  AddWaiter(graph, words_);
  cudaGraphNode_t node = nullptr;
  const AddNodeParams params(words_, 1);
  cudaGraphAddKernelNode(&node, graph, nullptr, 0, params.get());
  LaunchAndDestroy(graph);
  EXPECT_EQ(1u, Word(0));
}

TEST_F(ReplayTest, BlockedHostNodeDoesNotStarveOtherBranches) {
  static std::atomic<bool> released{false};
  released = false;
  cudaGraph_t graph = nullptr;
  cudaGraphCreate(&graph, 0);
  cudaHostNodeParams host{};
  host.fn = [](void*) {
    while (!released) std::this_thread::yield();
  };
  cudaGraphNode_t node = nullptr;
  EXPECT_EQ(cudaSuccess, cudaGraphAddHostNode(&node, graph, nullptr, 0, &host));
  host.fn = [](void*) { released = true; };
  EXPECT_EQ(cudaSuccess, cudaGraphAddHostNode(&node, graph, nullptr, 0, &host));
  LaunchAndDestroy(graph);
  EXPECT_TRUE(released);
}

TEST_F(ReplayTest, LaunchesOfOneExecNeverOverlap) {
  static std::atomic<int> started{0};
  started = 0;
  cudaGraph_t graph = Capture([&] {
    EXPECT_EQ(cudaSuccess, cudaLaunchHostFunc(
                               stream_, [](void*) { ++started; }, nullptr));
    LaunchAwait(stream_, words_);
    LaunchAdd(stream_, words_ + 1, 1);
  });
  cudaGraphExec_t exec = Instantiate(graph);
  EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, stream_));
  EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, other_));
  Pause();
  EXPECT_EQ(1, started);
  cudaStream_t third;
  cudaStreamCreateWithFlags(&third, cudaStreamNonBlocking);
  EXPECT_EQ(cudaSuccess, LaunchStore(third, words_, 1));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(other_));
  EXPECT_EQ(2, started);
  EXPECT_EQ(11u, Word(1));
  cudaStreamDestroy(third);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
}

TEST_F(ReplayTest, RunsCopiesFillsAndHostFunctionsInOrder) {
  uint32_t* host = nullptr;
  ASSERT_EQ(cudaSuccess, cudaMallocHost(reinterpret_cast<void**>(&host), 8));
  host[0] = 40;
  cudaGraph_t graph = Capture([&] {
    cudaMemcpyAsync(words_, host, 4, cudaMemcpyHostToDevice, stream_);
    LaunchAdd(stream_, words_, 2);
    cudaMemcpyAsync(host + 1, words_, 4, cudaMemcpyDeviceToHost, stream_);
    cudaLaunchHostFunc(
        stream_, [](void* word) { *static_cast<uint32_t*>(word) += 1; }, host + 1);
    cudaMemsetAsync(words_, 0xff, 4, stream_);
  });
  LaunchAndDestroy(graph);
  EXPECT_EQ(403u, host[1]);
  EXPECT_EQ(0xffffffffu, Word(0));
  EXPECT_EQ(cudaSuccess, cudaFreeHost(host));
}

TEST_F(ReplayTest, DestroyedExecFinishesItsLaunches) {
  cudaGraph_t graph = Capture([&] {
    LaunchAwait(stream_, words_);
    LaunchAdd(stream_, words_ + 1, 4);
  });
  cudaGraphExec_t exec = Instantiate(graph);
  EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, stream_));
  EXPECT_EQ(cudaSuccess, cudaGraphExecDestroy(exec));
  EXPECT_EQ(cudaSuccess, cudaGraphDestroy(graph));
  EXPECT_EQ(cudaSuccess, LaunchStore(other_, words_, 1));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(4u, Word(1));
}

}  // namespace
}  // namespace device_sim_test
