// What the probe reads, and what it leaves alone, against a driver that only counts.
#include "shim/probe.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/unit/shim/device_driver.h"

namespace lamplight::shim {
namespace {

int copies = 0;
CUdeviceptr known_end = 0;     // addresses from here on are unknown to the driver
bool mapped = true;            // whether the others have memory behind them
bool tells_of_mapping = true;  // whether it answers that question at all

CUresult GetAttribute(void* out, CUpointer_attribute attribute, CUdeviceptr address) {
  if (address >= known_end) return CUDA_ERROR_INVALID_VALUE;
  if (attribute == CU_POINTER_ATTRIBUTE_MEMORY_TYPE) {
    *static_cast<unsigned*>(out) = CU_MEMORYTYPE_DEVICE;
    return CUDA_SUCCESS;
  }
  if (!tells_of_mapping) return CUDA_ERROR_NOT_SUPPORTED;
  *static_cast<bool*>(out) = mapped;
  return CUDA_SUCCESS;
}

class ProbeTest : public ::testing::Test {
 protected:
  ProbeTest() {
    copies = 0;
    known_end = 0x2000;
    mapped = tells_of_mapping = true;
    driver_.PointerGetAttribute = GetAttribute;
    driver_.CtxSetCurrent = [](CUcontext) { return CUDA_SUCCESS; };
    std::string error;
    device_ = Device::Open(driver_, &error);
    driver_.MemcpyDtoHAsync = [](void*, CUdeviceptr, size_t, CUstream) {
      ++copies;
      return CUDA_SUCCESS;
    };
  }
  void SetUp() override { ASSERT_NE(device_, nullptr); }

  trace::SideChannel Read(uint64_t address, size_t bytes) {
    Probe probe(driver_);
    CUresult error{};
    char out[64];
    return probe.Read(*device_, address, out, bytes, std::chrono::milliseconds(100), &error);
  }

  DriverApi driver_ = DriverOfADevice();
  std::unique_ptr<Device> device_;
};

TEST_F(ProbeTest, ReadsWhatIsThere) {
  EXPECT_EQ(Read(0x1000, 64), trace::SideChannel::kOk);
  tells_of_mapping = false;
  EXPECT_EQ(Read(0x1000, 64), trace::SideChannel::kOk);
  EXPECT_EQ(copies, 2);
}

// The host has freed a workspace: a copy from there could fail its context.
TEST_F(ProbeTest, DoesNotTouchWhatIsGone) {
  EXPECT_EQ(Read(0x2000, 64), trace::SideChannel::kError);
  EXPECT_EQ(Read(0x1fe0, 64), trace::SideChannel::kError);  // its end is
  mapped = false;
  EXPECT_EQ(Read(0x1000, 64), trace::SideChannel::kError);
  EXPECT_EQ(copies, 0);
}

}  // namespace
}  // namespace lamplight::shim
