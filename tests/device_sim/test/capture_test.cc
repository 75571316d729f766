// Capture: what becomes a node, and which calls a capture forbids.
#include <future>

#include "fixture.h"

namespace device_sim_test {
namespace {

using CaptureTest = DeviceTest;

cudaStreamCaptureStatus StatusOf(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  EXPECT_EQ(cudaSuccess, cudaStreamIsCapturing(stream, &status));
  return status;
}

TEST_F(CaptureTest, RunsNothingUntilTheGraphIsLaunched) {
  cudaGraph_t graph = Capture([&] {
    EXPECT_EQ(cudaSuccess, LaunchAdd(stream_, words_, 1));
    EXPECT_EQ(cudaSuccess, LaunchAdd(stream_, words_, 2));
  });
  EXPECT_EQ(0u, Word(0));
  cudaGraphExec_t exec = Instantiate(graph);
  EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, stream_));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(12u, Word(0));
  EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, other_));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(other_));
  EXPECT_EQ(1212u, Word(0));
  EXPECT_EQ(cudaSuccess, cudaGraphExecDestroy(exec));
  EXPECT_EQ(cudaSuccess, cudaGraphDestroy(graph));
}

TEST_F(CaptureTest, JoinsPdlLaunchesByProgrammaticEdges) {
  cudaGraph_t graph = Capture([&] {
    LaunchAdd(stream_, words_, 1);
    LaunchAdd(stream_, words_, 2, /*pdl=*/true);
    LaunchAdd(stream_, words_, 3);
  });
  size_t count = 0;
  EXPECT_EQ(cudaSuccess, cudaGraphGetEdges(graph, nullptr, nullptr, nullptr, &count));
  ASSERT_EQ(2u, count);
  cudaGraphNode_t from[2], to[2];
  cudaGraphEdgeData edges[2];
  EXPECT_EQ(cudaErrorLossyQuery, cudaGraphGetEdges(graph, from, to, nullptr, &count));
  EXPECT_EQ(cudaSuccess, cudaGraphGetEdges(graph, from, to, edges, &count));
  EXPECT_EQ(cudaGraphDependencyTypeProgrammatic, edges[0].type);
  EXPECT_EQ(cudaGraphKernelNodePortProgrammatic, edges[0].from_port);
  EXPECT_EQ(cudaGraphDependencyTypeDefault, edges[1].type);
  EXPECT_EQ(0, edges[1].from_port);
  EXPECT_EQ(to[0], from[1]);
  cudaGraphDestroy(graph);
}

TEST_F(CaptureTest, MakesFullEdgesFromOtherThanKernels) {
  cudaGraph_t graph = Capture([&] {
    cudaMemsetAsync(words_, 0, 4, stream_);
    LaunchAdd(stream_, words_, 2, /*pdl=*/true);
  });
  cudaGraphNode_t from, to;
  size_t count = 1;
  EXPECT_EQ(cudaSuccess, cudaGraphGetEdges(graph, &from, &to, nullptr, &count));
  cudaGraphDestroy(graph);
}

TEST_F(CaptureTest, ForksAndJoinsThroughEvents) {
  cudaEvent_t fork, join;
  cudaEventCreateWithFlags(&fork, cudaEventDisableTiming);
  cudaEventCreateWithFlags(&join, cudaEventDisableTiming);
  cudaGraph_t graph = Capture([&] {
    LaunchAdd(stream_, words_, 1);
    EXPECT_EQ(cudaSuccess, cudaEventRecord(fork, stream_));
    EXPECT_EQ(cudaSuccess, cudaStreamWaitEvent(other_, fork, 0));
    EXPECT_EQ(cudaStreamCaptureStatusActive, StatusOf(other_));
    LaunchAdd(other_, words_ + 1, 7);
    LaunchAdd(stream_, words_, 2);
    EXPECT_EQ(cudaSuccess, cudaEventRecord(join, other_));
    EXPECT_EQ(cudaSuccess, cudaStreamWaitEvent(stream_, join, 0));
    LaunchAdd(stream_, words_, 3);
  });
  EXPECT_EQ(cudaStreamCaptureStatusNone, StatusOf(other_));
  size_t edges = 0;
  EXPECT_EQ(cudaSuccess, cudaGraphGetEdges(graph, nullptr, nullptr, nullptr, &edges));
  EXPECT_EQ(4u, edges);
  cudaGraphExec_t exec = Instantiate(graph);
  cudaGraphLaunch(exec, stream_);
  cudaStreamSynchronize(stream_);
  EXPECT_EQ(123u, Word(0));
  EXPECT_EQ(7u, Word(1));
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaEventDestroy(fork);
  cudaEventDestroy(join);
}

TEST_F(CaptureTest, RefusesToEndWithUnjoinedWork) {
  cudaEvent_t fork;
  cudaEventCreate(&fork);
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal);
  LaunchAdd(stream_, words_, 1);
  cudaEventRecord(fork, stream_);
  cudaStreamWaitEvent(other_, fork, 0);
  LaunchAdd(other_, words_ + 1, 7);
  EXPECT_EQ(cudaErrorStreamCaptureUnjoined, cudaStreamEndCapture(stream_, &graph));
  EXPECT_EQ(nullptr, graph);
  EXPECT_EQ(cudaStreamCaptureStatusNone, StatusOf(stream_));
  EXPECT_EQ(cudaStreamCaptureStatusNone, StatusOf(other_));
  cudaEventDestroy(fork);
}

TEST_F(CaptureTest, RefusesToEndOnAForkedStream) {
  cudaEvent_t fork;
  cudaEventCreate(&fork);
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal);
  LaunchAdd(stream_, words_, 1);
  cudaEventRecord(fork, stream_);
  cudaStreamWaitEvent(other_, fork, 0);
  EXPECT_EQ(cudaErrorStreamCaptureUnmatched, cudaStreamEndCapture(other_, &graph));
  EXPECT_EQ(cudaSuccess, cudaStreamEndCapture(stream_, &graph));
  cudaGraphDestroy(graph);
  cudaEventDestroy(fork);
}

TEST_F(CaptureTest, RefusesToWaitForEventsFromOutside) {
  cudaEvent_t outside;
  cudaEventCreate(&outside);
  cudaEventRecord(outside, other_);
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal);
  EXPECT_EQ(cudaErrorStreamCaptureIsolation, cudaStreamWaitEvent(stream_, outside, 0));
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(stream_, &graph));
  cudaEventDestroy(outside);
}

TEST_F(CaptureTest, RefusesToMergeTwoCaptures) {
  cudaEvent_t event;
  cudaEventCreate(&event);
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal);
  cudaStreamBeginCapture(other_, cudaStreamCaptureModeGlobal);
  LaunchAdd(stream_, words_, 1);
  cudaEventRecord(event, stream_);
  EXPECT_EQ(cudaErrorStreamCaptureMerge, cudaStreamWaitEvent(other_, event, 0));
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(stream_, &graph));
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(other_, &graph));
  cudaEventDestroy(event);
}

TEST_F(CaptureTest, IsInvalidatedByAnUnsafeCallOfItsOwnThread) {
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal);
  void* memory = nullptr;
  EXPECT_EQ(cudaErrorStreamCaptureUnsupported, cudaMalloc(&memory, 16));
  EXPECT_EQ(cudaStreamCaptureStatusInvalidated, StatusOf(stream_));
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, LaunchAdd(stream_, words_, 1));
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(stream_, &graph));
  EXPECT_EQ(cudaSuccess, LaunchAdd(stream_, words_, 1));
}

TEST_F(CaptureTest, IsInvalidatedByAnotherThreadsEventQueryInGlobalMode) {
  cudaEvent_t event;
  cudaEventCreate(&event);
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal);
  const auto query = std::async(std::launch::async, [&] { return cudaEventQuery(event); });
  query.wait();
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(stream_, &graph));
  cudaEventDestroy(event);
}

TEST_F(CaptureTest, IsLeftAloneByOtherThreadsInThreadLocalMode) {
  cudaEvent_t event;
  cudaEventCreate(&event);
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal);
  auto query = std::async(std::launch::async, [&] { return cudaEventQuery(event); });
  EXPECT_EQ(cudaSuccess, query.get());
  EXPECT_EQ(cudaSuccess, cudaStreamEndCapture(stream_, &graph));
  cudaGraphDestroy(graph);
  cudaEventDestroy(event);
}

TEST_F(CaptureTest, IsLeftAloneByARelaxedThread) {
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal);
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  EXPECT_EQ(cudaSuccess, cudaThreadExchangeStreamCaptureMode(&mode));
  EXPECT_EQ(cudaStreamCaptureModeGlobal, mode);
  void* memory = nullptr;
  EXPECT_EQ(cudaSuccess, cudaMalloc(&memory, 16));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(other_));
  EXPECT_EQ(cudaSuccess, cudaThreadExchangeStreamCaptureMode(&mode));
  EXPECT_EQ(cudaStreamCaptureModeRelaxed, mode);
  EXPECT_EQ(cudaSuccess, cudaStreamEndCapture(stream_, &graph));
  EXPECT_EQ(cudaSuccess, cudaFree(memory));
  cudaGraphDestroy(graph);
}

TEST_F(CaptureTest, ForbidsToSynchroniseItsStreamInEveryMode) {
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed);
  EXPECT_EQ(cudaErrorStreamCaptureUnsupported, cudaStreamSynchronize(stream_));
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(stream_, &graph));
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed);
  EXPECT_EQ(cudaErrorStreamCaptureUnsupported, cudaDeviceSynchronize());
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(stream_, &graph));
}

TEST_F(CaptureTest, ForbidsToAskItsStreamForItsFlags) {
  cudaGraph_t graph = nullptr;
  unsigned flags = 0;
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed);
  EXPECT_EQ(cudaErrorStreamCaptureUnsupported, cudaStreamGetFlags(stream_, &flags));
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(stream_, &graph));
}

TEST_F(CaptureTest, ForbidsTheLegacyStreamWhileABlockingStreamCaptures) {
  cudaStream_t blocking;
  cudaStreamCreate(&blocking);
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(blocking, cudaStreamCaptureModeRelaxed);
  EXPECT_EQ(cudaErrorStreamCaptureImplicit, LaunchAdd(nullptr, words_, 1));
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(blocking, &graph));
  cudaStreamDestroy(blocking);
}

TEST_F(CaptureTest, CannotBeginOnTheLegacyStream) {
  EXPECT_EQ(cudaErrorStreamCaptureUnsupported,
            cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal));
}

TEST_F(CaptureTest, CannotBeginTwiceOrEndWithoutBegin) {
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaErrorIllegalState, cudaStreamEndCapture(stream_, &graph));
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal);
  EXPECT_EQ(cudaErrorIllegalState, cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal));
  EXPECT_EQ(cudaSuccess, cudaStreamEndCapture(stream_, &graph));
  cudaGraphDestroy(graph);
}

TEST_F(CaptureTest, EndsOnlyOnTheThreadThatBeganIt) {
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal);
  auto end = std::async(std::launch::async, [&] { return cudaStreamEndCapture(stream_, &graph); });
  EXPECT_EQ(cudaErrorStreamCaptureWrongThread, end.get());
  EXPECT_EQ(cudaSuccess, cudaStreamEndCapture(stream_, &graph));
  cudaGraphDestroy(graph);
}

TEST_F(CaptureTest, ReportsItsGraphAndTips) {
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal);
  LaunchAdd(stream_, words_, 1);
  cudaStreamCaptureStatus status;
  unsigned long long id = 0;
  cudaGraph_t graph = nullptr;
  const cudaGraphNode_t* tips = nullptr;
  const cudaGraphEdgeData* edges = nullptr;
  size_t count = 0;
  EXPECT_EQ(cudaSuccess,
            cudaStreamGetCaptureInfo(stream_, &status, &id, &graph, &tips, &edges, &count));
  EXPECT_EQ(cudaStreamCaptureStatusActive, status);
  EXPECT_NE(0u, id);
  ASSERT_EQ(1u, count);
  cudaGraphNode_t node = nullptr;
  size_t nodes = 1;
  EXPECT_EQ(cudaSuccess, cudaGraphGetNodes(graph, &node, &nodes));
  EXPECT_EQ(tips[0], node);
  cudaGraph_t ended = nullptr;
  EXPECT_EQ(cudaSuccess, cudaStreamEndCapture(stream_, &ended));
  EXPECT_EQ(graph, ended);
  cudaGraphDestroy(graph);
}

TEST_F(CaptureTest, AddsToAnExistingGraphBehindTheGivenNodes) {
  cudaGraph_t graph = nullptr;
  cudaGraphCreate(&graph, 0);
  cudaGraphNode_t first = nullptr;
  const AddNodeParams params(words_, 4);
  cudaGraphAddKernelNode(&first, graph, nullptr, 0, params.get());
  EXPECT_EQ(cudaSuccess, cudaStreamBeginCaptureToGraph(stream_, graph, &first, nullptr, 1,
                                                       cudaStreamCaptureModeGlobal));
  LaunchAdd(stream_, words_, 5);
  cudaGraph_t ended = nullptr;
  EXPECT_EQ(cudaSuccess, cudaStreamEndCapture(stream_, &ended));
  EXPECT_EQ(graph, ended);
  cudaGraphExec_t exec = Instantiate(graph);
  cudaGraphLaunch(exec, stream_);
  cudaStreamSynchronize(stream_);
  EXPECT_EQ(45u, Word(0));
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
}

TEST_F(CaptureTest, KeepsEventsRecordedInItFromBeingQueried) {
  cudaEvent_t event;
  cudaEventCreate(&event);
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed);
  LaunchAdd(stream_, words_, 1);
  cudaEventRecord(event, stream_);
  EXPECT_EQ(cudaErrorCapturedEvent, cudaEventQuery(event));
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaSuccess, cudaStreamEndCapture(stream_, &graph));
  cudaGraphDestroy(graph);
  cudaEventDestroy(event);
}

TEST_F(CaptureTest, TurnsALaunchedExecIntoAChildGraph) {
  cudaGraph_t inner = Capture([&] { LaunchAdd(stream_, words_, 8); });
  cudaGraphExec_t inner_exec = Instantiate(inner);
  cudaGraph_t outer = Capture([&] {
    LaunchAdd(stream_, words_, 1);
    EXPECT_EQ(cudaSuccess, cudaGraphLaunch(inner_exec, stream_));
    LaunchAdd(stream_, words_, 2);
  });
  cudaGraphExec_t exec = Instantiate(outer);
  cudaGraphLaunch(exec, stream_);
  cudaStreamSynchronize(stream_);
  EXPECT_EQ(182u, Word(0));
  for (cudaGraphExec_t each : {inner_exec, exec}) cudaGraphExecDestroy(each);
  for (cudaGraph_t each : {inner, outer}) cudaGraphDestroy(each);
}

}  // namespace
}  // namespace device_sim_test
