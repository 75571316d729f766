// Memory: allocation, copies, what is refused.
#include <cuda.h>

#include <cstring>
#include <vector>

#include "fixture.h"

namespace device_sim_test {
namespace {

using MemoryTest = DeviceTest;

CUdeviceptr Device(const void* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

TEST_F(MemoryTest, GivesBackWhatIsFreed) {
  size_t before = 0, after = 0, total = 0;
  EXPECT_EQ(cudaSuccess, cudaMemGetInfo(&before, &total));
  std::vector<void*> blocks(100);
  for (void*& block : blocks) ASSERT_EQ(cudaSuccess, cudaMalloc(&block, 100'000));
  EXPECT_EQ(cudaSuccess, cudaMemGetInfo(&after, &total));
  EXPECT_LE(after + 100 * 100'000, before);
  for (size_t i = 0; i < blocks.size(); i += 2) EXPECT_EQ(cudaSuccess, cudaFree(blocks[i]));
  for (size_t i = 1; i < blocks.size(); i += 2) EXPECT_EQ(cudaSuccess, cudaFree(blocks[i]));
  EXPECT_EQ(cudaSuccess, cudaMemGetInfo(&after, &total));
  EXPECT_EQ(before, after);
}

TEST_F(MemoryTest, RefusesMoreThanThereIs) {
  void* memory = nullptr;
  EXPECT_EQ(cudaErrorMemoryAllocation, cudaMalloc(&memory, size_t{1} << 50));
  EXPECT_EQ(cudaErrorMemoryAllocation, cudaMalloc(&memory, ~size_t{0}));
  EXPECT_EQ(nullptr, memory);
}

TEST_F(MemoryTest, RefusesToFreeWhatItDidNotGive) {
  EXPECT_EQ(cudaErrorInvalidValue, cudaFree(words_ + 1));
  int host = 0;
  EXPECT_EQ(cudaErrorInvalidValue, cudaFree(&host));
  EXPECT_EQ(cudaSuccess, cudaFree(nullptr));
}

TEST_F(MemoryTest, RefusesCopiesOutsideAnyAllocation) {
  uint32_t target[4] = {};
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(target, 0x1000, 16));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoHAsync(target, 0x1000, 16, stream_));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(target, Device(words_ + kWords - 1), 16));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(0x1000, target, 16));
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoH(target, Device(words_), 16));
}

TEST_F(MemoryTest, RefusesCopiesFromFreedMemory) {
  void* gone = nullptr;
  cudaMalloc(&gone, 64);
  cudaFree(gone);
  uint32_t target = 0;
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(&target, Device(gone), 4));
}

TEST_F(MemoryTest, ReadsPageableSourcesAtTheCall) {
  LaunchAwait(stream_, words_);
  uint32_t source = 7;
  EXPECT_EQ(cudaSuccess, cudaMemcpyAsync(words_ + 1, &source, 4, cudaMemcpyHostToDevice, stream_));
  source = 8;
  LaunchStore(other_, words_, 1);
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(7u, Word(1));
}

TEST_F(MemoryTest, CopiesToPinnedMemoryWithoutWaiting) {
  uint32_t* host = nullptr;
  ASSERT_EQ(cudaSuccess, cudaHostAlloc(reinterpret_cast<void**>(&host), 4, cudaHostAllocMapped));
  *host = 5;
  LaunchAwait(stream_, words_);
  EXPECT_EQ(cudaSuccess, cudaMemcpyAsync(host, words_, 4, cudaMemcpyDeviceToHost, stream_));
  EXPECT_EQ(5u, *host);
  LaunchStore(other_, words_, 9);
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(9u, *host);
  void* device = nullptr;
  EXPECT_EQ(cudaSuccess, cudaHostGetDevicePointer(&device, host, 0));
  EXPECT_EQ(host, device);
  EXPECT_EQ(cudaSuccess, cudaFreeHost(host));
  EXPECT_EQ(cudaErrorInvalidValue, cudaFreeHost(host));
}

TEST_F(MemoryTest, SideChannelReadsWhileAKernelPolls) {
  uint32_t* host = nullptr;
  ASSERT_EQ(CUDA_SUCCESS, cuMemHostAlloc(reinterpret_cast<void**>(&host), 4, 0));
  LaunchStore(other_, words_ + 1, 6);
  cudaStreamSynchronize(other_);
  LaunchAwait(stream_, words_);
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoHAsync(host, Device(words_ + 1), 4, other_));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(other_));
  EXPECT_EQ(6u, *host);
  LaunchStore(other_, words_, 1);
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(CUDA_SUCCESS, cuMemFreeHost(host));
}

TEST_F(MemoryTest, FillsWords) {
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32(Device(words_), 0x80000000u, kWords));
  EXPECT_EQ(0x80000000u, Word(0));
  EXPECT_EQ(0x80000000u, Word(kWords - 1));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(Device(words_), 0, kWords + 1));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(Device(words_) + 1, 0, 1));
}

TEST_F(MemoryTest, KnowsItsPointers) {
  cudaPointerAttributes attributes;
  EXPECT_EQ(cudaSuccess, cudaPointerGetAttributes(&attributes, words_ + 3));
  EXPECT_EQ(cudaMemoryTypeDevice, attributes.type);
  EXPECT_EQ(0, attributes.device);
  int host = 0;
  EXPECT_EQ(cudaSuccess, cudaPointerGetAttributes(&attributes, &host));
  EXPECT_EQ(cudaMemoryTypeUnregistered, attributes.type);
  CUdeviceptr base = 0;
  size_t bytes = 0;
  EXPECT_EQ(CUDA_SUCCESS, cuMemGetAddressRange(&base, &bytes, Device(words_ + 3)));
  EXPECT_EQ(Device(words_), base);
  EXPECT_EQ(kWords * sizeof(uint32_t), bytes);
  EXPECT_EQ(CUDA_ERROR_NOT_FOUND, cuMemGetAddressRange(&base, &bytes, 0x1000));
}

TEST_F(MemoryTest, RefusesIpcHandlesOfItsOwnProcess) {
  cudaIpcMemHandle_t handle;
  EXPECT_EQ(cudaSuccess, cudaIpcGetMemHandle(&handle, words_));
  void* mapped = nullptr;
  EXPECT_EQ(cudaErrorDeviceUninitialized,
            cudaIpcOpenMemHandle(&mapped, handle, cudaIpcMemLazyEnablePeerAccess));
  std::memset(&handle, 0x5a, sizeof handle);
  EXPECT_EQ(cudaErrorInvalidValue,
            cudaIpcOpenMemHandle(&mapped, handle, cudaIpcMemLazyEnablePeerAccess));
}

TEST_F(MemoryTest, StreamOrderedMemoryEndsInOrder) {
  void* memory = nullptr;
  ASSERT_EQ(cudaSuccess, cudaMallocAsync(&memory, 64, stream_));
  EXPECT_EQ(cudaSuccess, LaunchAwait(stream_, words_));
  EXPECT_EQ(cudaSuccess, cudaFreeAsync(memory, stream_));
  cudaPointerAttributes attributes{};
  EXPECT_EQ(cudaSuccess, cudaPointerGetAttributes(&attributes, memory));
  EXPECT_EQ(cudaMemoryTypeDevice, attributes.type);
  EXPECT_EQ(cudaSuccess, LaunchStore(other_, words_, 1));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(cudaSuccess, cudaPointerGetAttributes(&attributes, memory));
  EXPECT_EQ(cudaMemoryTypeUnregistered, attributes.type);
  EXPECT_EQ(cudaErrorInvalidValue, cudaFreeAsync(memory, stream_));
}

}  // namespace
}  // namespace device_sim_test
