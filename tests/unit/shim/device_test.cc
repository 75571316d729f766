// Counters and marks that are given back, against a driver whose device memory is the host's.
#include "shim/device.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "tests/unit/shim/device_driver.h"

namespace lamplight::shim {
namespace {

bool busy = false;  // the stream comes to nothing
int copies = 0;

CUresult Copy(CUdeviceptr to, const void* from, size_t bytes, CUstream) {
  ++copies;
  if (!busy) std::memcpy(reinterpret_cast<void*>(to), from, bytes);
  return CUDA_SUCCESS;
}

DriverApi FakeDriver() {
  DriverApi api = DriverOfADevice();
  api.StreamQuery = [](CUstream) { return busy ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS; };
  api.MemcpyHtoDAsync = Copy;
  return api;
}

class DeviceTest : public ::testing::Test {
 protected:
  DeviceTest() {
    busy = false;
    copies = 0;
    std::string error;
    device_ = Device::Open(driver_, &error);
  }
  void SetUp() override { ASSERT_NE(device_, nullptr); }

  NodeMark& MarkOf(uint32_t mark) {
    return *reinterpret_cast<NodeMark*>(device_->MarkAddress(mark));
  }
  SnapshotCounter& CounterOf(uint32_t counter) {
    return *reinterpret_cast<SnapshotCounter*>(device_->CounterAddress(counter));
  }
  // All that are left.
  std::vector<uint32_t> AllMarks() {
    std::vector<uint32_t> marks;
    testing::internal::CaptureStderr();
    while (const uint32_t mark = device_->NewMark()) marks.push_back(mark);
    testing::internal::GetCapturedStderr();
    return marks;
  }

  const DriverApi driver_ = FakeDriver();
  std::unique_ptr<Device> device_;
};

TEST_F(DeviceTest, WhatIsTakenBackIsZeroAndGivenAgain) {
  const std::vector<uint32_t> marks = AllMarks();
  const uint32_t counter = device_->NewCounter();
  for (const uint32_t mark : marks) MarkOf(mark).progress = mark;
  CounterOf(counter) = {7, 1};
  device_->TakeBack(driver_, {{counter}, {marks[9], marks[3], marks[4]}});
  EXPECT_EQ(CounterOf(counter).runs, 0u);
  EXPECT_EQ(CounterOf(counter).disabled, 0u);
  for (const uint32_t mark : marks) {
    const bool taken = mark == marks[3] || mark == marks[4] || mark == marks[9];
    ASSERT_EQ(MarkOf(mark).progress, taken ? 0 : mark) << "mark " << mark;
  }
  EXPECT_EQ(AllMarks(), (std::vector<uint32_t>{marks[3], marks[4], marks[9]}));
  EXPECT_EQ(copies, 3) << "neighbours go together";
}

TEST_F(DeviceTest, AllOfThemMayComeBackAtOnce) {
  std::vector<uint32_t> marks = AllMarks();
  for (const uint32_t mark : marks) MarkOf(mark).gpu_ns = 1;
  device_->TakeBack(driver_, {{}, marks});
  for (const uint32_t mark : marks) ASSERT_EQ(MarkOf(mark).gpu_ns, 0u) << "mark " << mark;
  EXPECT_EQ(AllMarks(), marks);
}

TEST_F(DeviceTest, WhatTheGpuDoesNotComeToIsLost) {
  const std::vector<uint32_t> marks = AllMarks();
  busy = true;
  device_->TakeBack(driver_, {{}, marks});
  EXPECT_TRUE(AllMarks().empty());
}

TEST_F(DeviceTest, WhatWasNotUsedComesBackAsItIs) {
  const std::vector<uint32_t> marks = AllMarks();
  device_->TakeBackUnused({{}, {marks[5]}});
  EXPECT_EQ(copies, 0);
  EXPECT_EQ(AllMarks(), std::vector<uint32_t>{marks[5]});
}

}  // namespace
}  // namespace lamplight::shim
