// Callbacks of the driver API, as a subscriber sees them.
#include <cuda.h>

#include <string>
#include <vector>

#include "fixture.h"
#include "tests/device_sim/tool_callbacks.h"

namespace device_sim_test {
namespace {

namespace cupti = lamplight::cupti;

struct Seen {
  std::string name;
  int site;
  uint32_t id;
  const void* first_word;  // of the parameters
};

class ToolCallbacksTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    ASSERT_EQ(cupti::kSuccess, device_sim::Subscribe(&subscriber_, OnCall, this));
  }
  void TearDown() override {
    device_sim::Unsubscribe(subscriber_);
    DeviceTest::TearDown();
  }
  void Enable(uint32_t id) {
    ASSERT_EQ(cupti::kSuccess,
              device_sim::EnableCallback(true, subscriber_, cupti::kDriverApi, id));
  }
  static void OnCall(void* user, int, uint32_t id, const void* data) {
    auto& test = *static_cast<ToolCallbacksTest*>(user);
    const auto& call = *static_cast<const cupti::CallbackData*>(data);
    if (call.site == cupti::kEnter) *call.shared = ++test.serial_;
    EXPECT_EQ(test.serial_, *call.shared);
    test.seen_.push_back(
        {call.function_name, call.site, id, *static_cast<const void* const*>(call.parameters)});
    if (call.site == cupti::kExit && test.answer_ != CUDA_SUCCESS) {
      *static_cast<CUresult*>(call.return_value) = test.answer_;
    }
  }

  cupti::Subscriber subscriber_ = nullptr;
  std::vector<Seen> seen_;
  uint64_t serial_ = 0;
  CUresult answer_ = CUDA_SUCCESS;
};

TEST_F(ToolCallbacksTest, ToldOfEnabledFunctionsOnly) {
  Enable(cupti::kStreamSynchronize.plain);
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(stream_));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamQuery(stream_));
  ASSERT_EQ(2u, seen_.size());
  EXPECT_EQ("cuStreamSynchronize", seen_[0].name);
  EXPECT_EQ(cupti::kEnter, seen_[0].site);
  EXPECT_EQ(cupti::kExit, seen_[1].site);
  EXPECT_EQ(stream_, seen_[0].first_word);
}

TEST_F(ToolCallbacksTest, ToldOfTheRuntimesCallsOnce) {
  Enable(cupti::kStreamSynchronize.plain);
  Enable(cupti::kLaunchKernel.plain);
  uint32_t value = 1;
  void* arguments[] = {&words_, &value};
  EXPECT_EQ(cudaSuccess,
            cudaLaunchKernel(FunctionOf(AddStub), dim3(1), dim3(1), arguments, 0, stream_));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  ASSERT_EQ(4u, seen_.size());
  EXPECT_EQ(cupti::kLaunchKernel.plain, seen_[0].id);
  // The runtime hands on a CUkernel, which is no CUfunction.
  const char* name = nullptr;
  auto* handle = const_cast<void*>(seen_[0].first_word);
  EXPECT_EQ(CUDA_SUCCESS, cuKernelGetName(&name, static_cast<CUkernel>(handle)));
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuFuncGetName(&name, static_cast<CUfunction>(handle)));
}

TEST_F(ToolCallbacksTest, ReturnsWhatTheSubscriberAnswers) {
  Enable(cupti::kStreamSynchronize.plain);
  answer_ = CUDA_ERROR_NOT_PERMITTED;
  EXPECT_EQ(CUDA_ERROR_NOT_PERMITTED, cuStreamSynchronize(stream_));
  answer_ = CUDA_SUCCESS;
}

TEST_F(ToolCallbacksTest, HasOneSubscriber) {
  cupti::Subscriber second = nullptr;
  EXPECT_EQ(cupti::kMultipleSubscribers, device_sim::Subscribe(&second, OnCall, this));
  EXPECT_EQ(cupti::kInvalidParameter,
            device_sim::EnableCallback(true, second, cupti::kDriverApi, 514));
}

}  // namespace
}  // namespace device_sim_test
