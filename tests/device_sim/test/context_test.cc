// Green contexts share their device's memory, ordinary ones have their own; nodes stay where they
// were captured.
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "fixture.h"

namespace device_sim_test {
namespace {

class ContextTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    ASSERT_EQ(CUDA_SUCCESS, cuCtxGetCurrent(&primary_));
    CUdevResource all{}, share{};
    CUdevResourceDesc description = nullptr;
    unsigned groups = 1;
    ASSERT_EQ(CUDA_SUCCESS, cuDeviceGetDevResource(0, &all, CU_DEV_RESOURCE_TYPE_SM));
    ASSERT_EQ(CUDA_SUCCESS, cuDevSmResourceSplitByCount(&share, &groups, &all, nullptr, 0, 12));
    EXPECT_EQ(16u, share.sm.smCount);
    ASSERT_EQ(CUDA_SUCCESS, cuDevResourceGenerateDesc(&description, &share, 1));
    ASSERT_EQ(CUDA_SUCCESS, cuGreenCtxCreate(&green_, description, 0, CU_GREEN_CTX_DEFAULT_STREAM));
    ASSERT_EQ(CUDA_SUCCESS, cuCtxFromGreenCtx(&converted_, green_));
    ASSERT_EQ(CUDA_SUCCESS,
              cuGreenCtxStreamCreate(&green_stream_, green_, CU_STREAM_NON_BLOCKING, 0));
  }

  void TearDown() override {
    EXPECT_EQ(CUDA_SUCCESS, cuCtxSetCurrent(primary_));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamDestroy(green_stream_));
    EXPECT_EQ(CUDA_SUCCESS, cuGreenCtxDestroy(green_));
    DeviceTest::TearDown();
  }

  static CUcontext OwnerOf(CUdeviceptr memory) {
    CUcontext owner = nullptr;
    EXPECT_EQ(CUDA_SUCCESS, cuPointerGetAttribute(&owner, CU_POINTER_ATTRIBUTE_CONTEXT, memory));
    return owner;
  }

  // The context of new memory in the current context.
  static CUcontext OwnerOfNew() {
    CUdeviceptr memory = 0;
    EXPECT_EQ(CUDA_SUCCESS, cuMemAlloc(&memory, 64));
    const CUcontext owner = OwnerOf(memory);
    EXPECT_EQ(CUDA_SUCCESS, cuMemFree(memory));
    return owner;
  }

  CUcontext primary_ = nullptr;
  CUcontext converted_ = nullptr;
  CUgreenCtx green_ = nullptr;
  CUstream green_stream_ = nullptr;
};

TEST_F(ContextTest, GreenOnesAllocateInThePrimaryOne) {
  ASSERT_EQ(CUDA_SUCCESS, cuCtxSetCurrent(converted_));
  EXPECT_EQ(primary_, OwnerOfNew());
}

TEST_F(ContextTest, OrdinaryOnesAllocateInThemselves) {
  CUcontext ordinary = nullptr;
  ASSERT_EQ(CUDA_SUCCESS, cuCtxCreate(&ordinary, nullptr, 0, 0));
  EXPECT_NE(primary_, ordinary);
  EXPECT_EQ(ordinary, OwnerOfNew());
  ASSERT_EQ(CUDA_SUCCESS, cuCtxDestroy(ordinary));
  CUcontext current = nullptr;
  ASSERT_EQ(CUDA_SUCCESS, cuCtxGetCurrent(&current));
  EXPECT_EQ(primary_, current);
  EXPECT_EQ(CUDA_ERROR_INVALID_CONTEXT, cuCtxSetCurrent(ordinary));
}

TEST_F(ContextTest, StreamsNameTheirContexts) {
  CUcontext regular = nullptr;
  CUgreenCtx green = nullptr;
  ASSERT_EQ(CUDA_SUCCESS, cuStreamGetCtx_v2(green_stream_, &regular, &green));
  EXPECT_EQ(primary_, regular);
  EXPECT_EQ(green_, green);
  ASSERT_EQ(CUDA_SUCCESS, cuStreamGetCtx(green_stream_, &regular));
  EXPECT_EQ(converted_, regular);
  ASSERT_EQ(CUDA_SUCCESS, cuStreamGetCtx_v2(CU_STREAM_LEGACY, &regular, &green));
  EXPECT_EQ(primary_, regular);
  EXPECT_EQ(nullptr, green);
  ASSERT_EQ(CUDA_SUCCESS, cuCtxSetCurrent(converted_));
  ASSERT_EQ(CUDA_SUCCESS, cuStreamGetCtx_v2(CU_STREAM_LEGACY, &regular, &green));
  EXPECT_EQ(primary_, regular);
  EXPECT_EQ(green_, green);
}

TEST_F(ContextTest, EventsBelongToTheStreamsOfOneMemory) {
  CUevent event = nullptr;
  ASSERT_EQ(CUDA_SUCCESS, cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(event, green_stream_));
  CUcontext ordinary = nullptr;
  CUstream stream = nullptr;
  ASSERT_EQ(CUDA_SUCCESS, cuCtxCreate(&ordinary, nullptr, 0, 0));
  ASSERT_EQ(CUDA_SUCCESS, cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuEventRecord(event, stream));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamDestroy(stream));
  EXPECT_EQ(CUDA_SUCCESS, cuCtxDestroy(ordinary));
  EXPECT_EQ(CUDA_SUCCESS, cuEventDestroy(event));
}

TEST_F(ContextTest, EveryContextHasItsOwnNumber) {
  unsigned long long one = 0, other = 0;
  ASSERT_EQ(CUDA_SUCCESS, cuCtxGetId(primary_, &one));
  ASSERT_EQ(CUDA_SUCCESS, cuCtxGetId(converted_, &other));
  EXPECT_NE(one, other);
}

TEST_F(ContextTest, NodesKeepTheContextOfTheirStream) {
  CUgraph graph = nullptr;
  ASSERT_EQ(CUDA_SUCCESS, cuStreamBeginCapture(green_stream_, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  EXPECT_EQ(cudaSuccess, LaunchAdd(green_stream_, words_, 1));
  ASSERT_EQ(CUDA_SUCCESS, cuStreamEndCapture(green_stream_, &graph));
  CUgraphNode node = nullptr;
  size_t count = 1;
  ASSERT_EQ(CUDA_SUCCESS, cuGraphGetNodes(graph, &node, &count));
  CUDA_KERNEL_NODE_PARAMS parameters{};
  ASSERT_EQ(CUDA_SUCCESS, cuGraphKernelNodeGetParams(node, &parameters));
  EXPECT_EQ(converted_, parameters.ctx);
  ASSERT_EQ(CUDA_SUCCESS, cuGraphKernelNodeSetParams(node, &parameters));
  ASSERT_EQ(CUDA_SUCCESS, cuGraphKernelNodeGetParams(node, &parameters));
  EXPECT_EQ(converted_, parameters.ctx);
  EXPECT_EQ(CUDA_SUCCESS, cuGraphDestroy(graph));
}

TEST_F(ContextTest, NullStreamOfAGreenOneCanBeCaptured) {
  ASSERT_EQ(CUDA_SUCCESS, cuCtxSetCurrent(converted_));
  CUgraph graph = nullptr;
  ASSERT_EQ(CUDA_SUCCESS, cuStreamBeginCapture(nullptr, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  CUcontext regular = nullptr;
  CUgreenCtx green = nullptr;
  EXPECT_NE(CUDA_SUCCESS, cuStreamGetCtx_v2(CU_STREAM_LEGACY, &regular, &green));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(nullptr, &graph));
}

}  // namespace
}  // namespace device_sim_test
