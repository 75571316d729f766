// What a thread finds current when the library has worked on another device, or its own.
#include "kernels/host/device_scope.h"

#include <gtest/gtest.h>

namespace lamplight::kernels::test {
namespace {

template <class Function>
Function* Entry(const char* name) {
  void* entry = nullptr;
  cudaDriverEntryPointQueryResult found{};
  EXPECT_EQ(cudaSuccess, cudaGetDriverEntryPointByVersion(name, &entry, CUDA_VERSION,
                                                          cudaEnableDefault, &found));
  EXPECT_NE(nullptr, entry) << name;
  return reinterpret_cast<Function*>(entry);
}

CUcontext Current() {
  CUcontext context = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, Entry<decltype(cuCtxGetCurrent)>("cuCtxGetCurrent")(&context));
  return context;
}

// A green context of device 0, made current.
CUcontext GreenContext() {
  CUdevResource all{}, share{};
  CUdevResourceDesc description = nullptr;
  CUgreenCtx green = nullptr;
  CUcontext context = nullptr;
  unsigned groups = 1;
  Entry<decltype(cuDeviceGetDevResource)>("cuDeviceGetDevResource")(0, &all,
                                                                    CU_DEV_RESOURCE_TYPE_SM);
  Entry<decltype(cuDevSmResourceSplitByCount)>("cuDevSmResourceSplitByCount")(&share, &groups, &all,
                                                                              nullptr, 0, 8);
  Entry<decltype(cuDevResourceGenerateDesc)>("cuDevResourceGenerateDesc")(&description, &share, 1);
  Entry<decltype(cuGreenCtxCreate)>("cuGreenCtxCreate")(&green, description, 0,
                                                        CU_GREEN_CTX_DEFAULT_STREAM);
  Entry<decltype(cuCtxFromGreenCtx)>("cuCtxFromGreenCtx")(&context, green);
  EXPECT_EQ(CUDA_SUCCESS, Entry<decltype(cuCtxSetCurrent)>("cuCtxSetCurrent")(context));
  return context;
}

TEST(DeviceScopeTest, PutsTheDeviceBack) {
  ASSERT_EQ(cudaSuccess, cudaSetDevice(1));
  {
    const DeviceScope scope(0);
    int device = -1;
    EXPECT_EQ(cudaSuccess, scope.status());
    EXPECT_EQ(cudaSuccess, cudaGetDevice(&device));
    EXPECT_EQ(0, device);
  }
  int device = -1;
  EXPECT_EQ(cudaSuccess, cudaGetDevice(&device));
  EXPECT_EQ(1, device);
  EXPECT_EQ(cudaSuccess, cudaSetDevice(0));
}

TEST(DeviceScopeTest, PutsAGreenContextBack) {
  ASSERT_EQ(cudaSuccess, cudaSetDevice(0));
  const CUcontext primary = Current();
  const CUcontext green = GreenContext();
  ASSERT_NE(primary, green);
  for (const int device : {0, 1}) {
    { const DeviceScope scope(device); }
    EXPECT_EQ(green, Current()) << "device " << device;
  }
  EXPECT_EQ(cudaSuccess, cudaSetDevice(0));
  EXPECT_EQ(primary, Current());
}

}  // namespace
}  // namespace lamplight::kernels::test
