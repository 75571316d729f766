// Memory that a device sees, against a driver that takes its own back with the context.
#include "shim/pinned_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lamplight::shim {
namespace {

constexpr size_t kBytes = 1 << 16;

void* of_context = nullptr;  // what the driver has allocated
void* registered = nullptr;
bool takes_memory = true;

bool refused_stays = false;

bool IsMapped(void* memory) { return msync(memory, kBytes, MS_ASYNC) == 0; }

CUresult HostAlloc(void** memory, size_t bytes, unsigned) {
  refused_stays = registered != nullptr && IsMapped(registered);
  of_context = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *memory = of_context;
  return CUDA_SUCCESS;
}

CUresult HostRegister(void* memory, size_t, unsigned flags) {
  EXPECT_EQ(flags, unsigned{CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP});
  registered = memory;
  return takes_memory ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

CUresult DevicePointer(CUdeviceptr* device, void* host, unsigned) {
  *device = reinterpret_cast<CUdeviceptr>(host) + 1;
  return CUDA_SUCCESS;
}

class PinnedMemoryTest : public ::testing::Test {
 protected:
  PinnedMemoryTest() {
    of_context = registered = nullptr;
    takes_memory = true;
    driver_.MemHostAlloc = HostAlloc;
    driver_.MemHostRegister = HostRegister;
    driver_.MemHostGetDevicePointer = DevicePointer;
  }
  static void DestroyTheContext() {
    if (of_context != nullptr) munmap(of_context, kBytes);
  }

  DriverApi driver_{};
};

TEST_F(PinnedMemoryTest, OutlivesTheContext) {
  const auto pinned = AllocatePinned(driver_, kBytes);
  ASSERT_TRUE(pinned);
  EXPECT_EQ(pinned->device, reinterpret_cast<CUdeviceptr>(pinned->host) + 1);
  DestroyTheContext();
  auto* bytes = static_cast<volatile unsigned char*>(pinned->host);
  EXPECT_EQ(bytes[0], 0);
  EXPECT_EQ(bytes[kBytes - 1], 0);
}

TEST_F(PinnedMemoryTest, IsTheDriversWhereItTakesNone) {
  takes_memory = false;
  const auto pinned = AllocatePinned(driver_, kBytes);
  ASSERT_TRUE(pinned);
  EXPECT_EQ(pinned->host, of_context);
  EXPECT_FALSE(refused_stays);
}

// A store of the parent's would otherwise go to a copy that the device does not see.
TEST_F(PinnedMemoryTest, IsNotAForkedChilds) {
  const auto pinned = AllocatePinned(driver_, kBytes);
  ASSERT_TRUE(pinned);
  const pid_t child = fork();
  if (child == 0) _exit(IsMapped(pinned->host) ? 1 : 0);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace lamplight::shim
