// Common ground of the tests: two streams and a few device words, released at the end.
//
// One test uses one fixture on one thread unless the test says otherwise.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "test_kernels.h"

namespace device_sim_test {

class DeviceTest : public testing::Test {
 protected:
  static constexpr size_t kWords = 64;

  void SetUp() override {
    ASSERT_EQ(cudaSuccess, cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    ASSERT_EQ(cudaSuccess, cudaStreamCreateWithFlags(&other_, cudaStreamNonBlocking));
    void* words = nullptr;
    ASSERT_EQ(cudaSuccess, cudaMalloc(&words, kWords * sizeof(uint32_t)));
    words_ = static_cast<uint32_t*>(words);
    ASSERT_EQ(cudaSuccess, cudaMemset(words_, 0, kWords * sizeof(uint32_t)));
  }

  void TearDown() override {
    EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
    EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(other_));
    EXPECT_EQ(cudaSuccess, cudaFree(words_));
    EXPECT_EQ(cudaSuccess, cudaStreamDestroy(stream_));
    EXPECT_EQ(cudaSuccess, cudaStreamDestroy(other_));
    cudaGetLastError();
  }

  uint32_t Word(size_t index) const {
    uint32_t value = 0;
    EXPECT_EQ(cudaSuccess,
              cudaMemcpy(&value, words_ + index, sizeof value, cudaMemcpyDeviceToHost));
    return value;
  }

  // Captures what `record()` does on stream_.
  template <class Record>
  cudaGraph_t Capture(Record record) {
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaSuccess, cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal));
    record();
    EXPECT_EQ(cudaSuccess, cudaStreamEndCapture(stream_, &graph));
    return graph;
  }

  static cudaGraphExec_t Instantiate(cudaGraph_t graph) {
    cudaGraphExec_t exec = nullptr;
    EXPECT_EQ(cudaSuccess, cudaGraphInstantiate(&exec, graph, 0));
    return exec;
  }

  static void Pause() { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }

  cudaStream_t stream_ = nullptr;
  cudaStream_t other_ = nullptr;
  uint32_t* words_ = nullptr;
};

}  // namespace device_sim_test
