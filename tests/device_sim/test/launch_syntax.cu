// A kernel as nvcc compiles it: <<<>>> and cudaLaunchKernelEx reach the simulated device.
#include <cuda_runtime.h>

#include "fixture.h"

namespace device_sim_test {

// External linkage: the symbol under which test_kernels.cc registers the body.
__global__ void ScaleValues(float* values, int count, float factor) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) values[i] *= factor;
}

namespace {

class LaunchSyntaxTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    values_ = reinterpret_cast<float*>(words_);
    const float ones[4] = {1, 1, 1, 1};
    ASSERT_EQ(cudaSuccess, cudaMemcpy(values_, ones, sizeof ones, cudaMemcpyHostToDevice));
  }
  float Value(size_t index) {
    float value = 0;
    cudaMemcpy(&value, values_ + index, sizeof value, cudaMemcpyDeviceToHost);
    return value;
  }
  float* values_ = nullptr;
};

TEST_F(LaunchSyntaxTest, TripleChevronRunsTheBody) {
  ScaleValues<<<1, 4, 0, stream_>>>(values_, 3, 2.5f);
  EXPECT_EQ(cudaSuccess, cudaGetLastError());
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(2.5f, Value(2));
  EXPECT_EQ(1.0f, Value(3));
}

TEST_F(LaunchSyntaxTest, LaunchKernelExRunsTheBodyInAGraph) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(1);
  config.blockDim = dim3(4);
  config.stream = stream_;
  cudaGraph_t graph = Capture(
      [&] { EXPECT_EQ(cudaSuccess, cudaLaunchKernelEx(&config, ScaleValues, values_, 4, 3.0f)); });
  cudaGraphExec_t exec = Instantiate(graph);
  cudaGraphLaunch(exec, stream_);
  cudaGraphLaunch(exec, stream_);
  cudaStreamSynchronize(stream_);
  EXPECT_EQ(9.0f, Value(3));
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
}

}  // namespace
}  // namespace device_sim_test
