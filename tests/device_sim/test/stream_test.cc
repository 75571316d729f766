// Streams and events outside graphs: order, the default streams, and waiting.
#include <cuda.h>

#include <future>

#include "fixture.h"

extern "C" cudaError_t cudaStreamGetId_ptsz(cudaStream_t stream, unsigned long long* id);
extern "C" cudaError_t cudaLaunchKernel_ptsz(const void*, dim3, dim3, void**, size_t, cudaStream_t);

namespace device_sim_test {
namespace {

using StreamTest = DeviceTest;

TEST_F(StreamTest, RunsItsWorkInOrder) {
  for (uint32_t value = 1; value <= 9; ++value) LaunchAdd(stream_, words_, value);
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(123456789u, Word(0));
}

TEST_F(StreamTest, CopiesArgumentsAtTheLaunch) {
  LaunchAwait(stream_, words_);
  for (uint32_t value = 1; value <= 3; ++value) LaunchAdd(stream_, words_ + 1, value);
  LaunchStore(other_, words_, 1);
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(123u, Word(1));
}

TEST_F(StreamTest, IsNotReadyWhileAKernelPolls) {
  EXPECT_EQ(cudaSuccess, cudaStreamQuery(stream_));
  LaunchAwait(stream_, words_);
  EXPECT_EQ(cudaErrorNotReady, cudaStreamQuery(stream_));
  EXPECT_EQ(cudaErrorNotReady, cudaGetLastError());
  EXPECT_EQ(cudaSuccess, cudaGetLastError());
  LaunchStore(other_, words_, 1);
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(cudaSuccess, cudaStreamQuery(stream_));
}

TEST_F(StreamTest, BlockingStreamsWaitForTheLegacyStream) {
  cudaStream_t blocking;
  cudaStreamCreate(&blocking);
  LaunchAwait(nullptr, words_);
  LaunchAdd(blocking, words_ + 1, 1);
  LaunchAdd(stream_, words_ + 2, 1);
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(cudaErrorNotReady, cudaStreamQuery(blocking));
  LaunchStore(other_, words_, 1);
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(blocking));
  EXPECT_EQ(1u, Word(1));
  cudaStreamDestroy(blocking);
}

TEST_F(StreamTest, TheLegacyStreamWaitsForBlockingStreams) {
  cudaStream_t blocking;
  cudaStreamCreate(&blocking);
  LaunchAwait(blocking, words_);
  LaunchAdd(nullptr, words_ + 1, 1);
  Pause();
  EXPECT_EQ(cudaErrorNotReady, cudaStreamQuery(nullptr));
  LaunchStore(other_, words_, 1);
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(nullptr));
  cudaStreamDestroy(blocking);
}

TEST_F(StreamTest, PerThreadStreamsDifferByThread) {
  unsigned long long here = 0, there = 0, legacy = 0;
  EXPECT_EQ(cudaSuccess, cudaStreamGetId_ptsz(nullptr, &here));
  EXPECT_EQ(cudaSuccess, cudaStreamGetId(nullptr, &legacy));
  std::async(std::launch::async, [&] { cudaStreamGetId_ptsz(nullptr, &there); }).wait();
  EXPECT_NE(here, there);
  EXPECT_NE(here, legacy);
  unsigned long long again = 0;
  EXPECT_EQ(cudaSuccess, cudaStreamGetId(cudaStreamPerThread, &again));
  EXPECT_EQ(here, again);
}

TEST_F(StreamTest, PtszLaunchTakesZeroForThePerThreadStream) {
  uint32_t value = 6;
  uint32_t* word = words_;
  void* arguments[] = {&word, &value};
  EXPECT_EQ(cudaSuccess, cudaLaunchKernel_ptsz(FunctionOf(AddStub), dim3{1, 1, 1}, dim3{1, 1, 1},
                                               arguments, 0, nullptr));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(cudaStreamPerThread));
  EXPECT_EQ(6u, Word(0));
}

TEST_F(StreamTest, WaitsForTheEventAsItWasRecorded) {
  cudaEvent_t event;
  cudaEventCreate(&event);
  LaunchAwait(other_, words_);
  cudaEventRecord(event, other_);
  EXPECT_EQ(cudaSuccess, cudaStreamWaitEvent(stream_, event, 0));
  LaunchAdd(stream_, words_ + 1, 1);
  cudaStream_t third;
  cudaStreamCreateWithFlags(&third, cudaStreamNonBlocking);
  cudaEventRecord(event, third);  // later records do not change the wait
  Pause();
  EXPECT_EQ(cudaErrorNotReady, cudaStreamQuery(stream_));
  LaunchStore(third, words_, 1);
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  cudaStreamDestroy(third);
  cudaEventDestroy(event);
}

TEST_F(StreamTest, MeasuresTimeBetweenEvents) {
  cudaEvent_t start, end;
  cudaEventCreate(&start);
  cudaEventCreate(&end);
  float milliseconds = -1;
  EXPECT_EQ(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&milliseconds, start, end));
  cudaEventRecord(start, stream_);
  EXPECT_EQ(cudaSuccess, cudaEventSynchronize(start));
  LaunchAwait(stream_, words_);
  cudaEventRecord(end, stream_);
  Pause();
  EXPECT_EQ(cudaErrorNotReady, cudaEventElapsedTime(&milliseconds, start, end));
  LaunchStore(other_, words_, 1);
  EXPECT_EQ(cudaSuccess, cudaEventSynchronize(end));
  EXPECT_EQ(cudaSuccess, cudaEventElapsedTime(&milliseconds, start, end));
  EXPECT_GE(milliseconds, 25.0f);
  EXPECT_LT(milliseconds, 10'000.0f);
  cudaEventDestroy(start);
  cudaEventDestroy(end);
}

TEST_F(StreamTest, RefusesStaleHandles) {
  cudaStream_t stale;
  cudaStreamCreate(&stale);
  cudaStreamDestroy(stale);
  EXPECT_EQ(cudaErrorInvalidResourceHandle, LaunchAdd(stale, words_, 1));
  EXPECT_EQ(cudaErrorInvalidResourceHandle, cudaStreamSynchronize(stale));
  EXPECT_EQ(cudaErrorInvalidResourceHandle, cudaStreamDestroy(stale));
  cudaEvent_t event;
  cudaEventCreate(&event);
  cudaEventDestroy(event);
  EXPECT_EQ(cudaErrorInvalidResourceHandle, cudaEventQuery(event));
}

TEST_F(StreamTest, FinishesItsWorkAfterDestruction) {
  cudaStream_t gone;
  cudaStreamCreateWithFlags(&gone, cudaStreamNonBlocking);
  LaunchAwait(gone, words_);
  LaunchAdd(gone, words_ + 1, 3);
  EXPECT_EQ(cudaSuccess, cudaStreamDestroy(gone));
  LaunchStore(other_, words_, 1);
  EXPECT_EQ(cudaSuccess, cudaDeviceSynchronize());
  EXPECT_EQ(3u, Word(1));
}

TEST_F(StreamTest, BlocksTheHostWhenItsQueueIsFull) {
  LaunchAwait(stream_, words_);
  auto flood = std::async(std::launch::async, [&] {
    for (int i = 0; i < 2000; ++i) LaunchStore(stream_, words_ + 1, 1);
  });
  EXPECT_EQ(std::future_status::timeout, flood.wait_for(std::chrono::milliseconds(100)));
  LaunchStore(other_, words_, 1);
  flood.wait();
}

TEST_F(StreamTest, ReportsFlagsAndPriority) {
  unsigned flags = 0;
  EXPECT_EQ(cudaSuccess, cudaStreamGetFlags(stream_, &flags));
  EXPECT_EQ(cudaStreamNonBlocking, flags);
  cudaStream_t urgent;
  EXPECT_EQ(cudaSuccess, cudaStreamCreateWithPriority(&urgent, 0, -100));
  int priority = 0;
  EXPECT_EQ(cudaSuccess, cudaStreamGetPriority(urgent, &priority));
  EXPECT_EQ(-5, priority);
  cudaStreamDestroy(urgent);
}

}  // namespace
}  // namespace device_sim_test
