// Functions by name and handle, modules, driver entry points, devices and errors.
#include <cuda.h>
#include <dlfcn.h>

#include "fixture.h"

extern "C" cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function);
extern "C" cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t, cudaStream_t);

namespace device_sim_test {
namespace {

using ModuleTest = DeviceTest;

TEST_F(ModuleTest, NamesAKernelByEveryHandle) {
  const char* name = nullptr;
  EXPECT_EQ(cudaSuccess, cudaFuncGetName(&name, FunctionOf(AddStub)));
  EXPECT_STREQ(kAddSymbol, name);
  cudaKernel_t kernel = nullptr;
  EXPECT_EQ(cudaSuccess, __cudaGetKernel(&kernel, FunctionOf(AddStub)));
  EXPECT_EQ(CUDA_SUCCESS, cuKernelGetName(&name, reinterpret_cast<CUkernel>(kernel)));
  EXPECT_STREQ(kAddSymbol, name);
  CUfunction function = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuKernelGetFunction(&function, reinterpret_cast<CUkernel>(kernel)));
  EXPECT_EQ(CUDA_SUCCESS, cuFuncGetName(&name, function));
  EXPECT_STREQ(kAddSymbol, name);
  cudaFunction_t symbol = nullptr;
  EXPECT_EQ(cudaSuccess, cudaGetFuncBySymbol(&symbol, FunctionOf(AddStub)));
  EXPECT_EQ(function, reinterpret_cast<CUfunction>(symbol));
  int not_a_kernel = 0;
  EXPECT_EQ(cudaErrorInvalidDeviceFunction, cudaFuncGetName(&name, &not_a_kernel));
}

TEST_F(ModuleTest, TellsParametersAndTheirEnd) {
  cudaFunction_t function = nullptr;
  cudaGetFuncBySymbol(&function, FunctionOf(AddStub));
  const auto driver = reinterpret_cast<CUfunction>(function);
  size_t offset = 99, size = 99;
  EXPECT_EQ(CUDA_SUCCESS, cuFuncGetParamInfo(driver, 0, &offset, &size));
  EXPECT_EQ(0u, offset);
  EXPECT_EQ(8u, size);
  EXPECT_EQ(CUDA_SUCCESS, cuFuncGetParamInfo(driver, 1, &offset, &size));
  EXPECT_EQ(8u, offset);
  EXPECT_EQ(4u, size);
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuFuncGetParamInfo(driver, 2, &offset, &size));
}

TEST_F(ModuleTest, LaunchesByKernelHandle) {
  cudaKernel_t kernel = nullptr;
  __cudaGetKernel(&kernel, FunctionOf(AddStub));
  uint32_t* word = words_;
  uint32_t value = 4;
  void* arguments[] = {&word, &value};
  EXPECT_EQ(cudaSuccess,
            __cudaLaunchKernel(kernel, dim3{1, 1, 1}, dim3{1, 1, 1}, arguments, 0, stream_));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(4u, Word(0));
}

TEST_F(ModuleTest, RefusesKernelsWithoutABody) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(
      cudaErrorNoKernelImageForDevice,
      cudaLaunchKernel(FunctionOf(UnknownStub), dim3{1, 1, 1}, dim3{1, 1, 1}, nullptr, 0, stream_));
  EXPECT_NE(std::string::npos, testing::internal::GetCapturedStderr().find(kUnknownSymbol));
  cudaFuncAttributes attributes;
  EXPECT_EQ(cudaErrorNoKernelImageForDevice,
            cudaFuncGetAttributes(&attributes, FunctionOf(UnknownStub)));
  EXPECT_EQ(cudaErrorInvalidDeviceFunction,
            cudaLaunchKernel(&attributes, dim3{1, 1, 1}, dim3{1, 1, 1}, nullptr, 0, stream_));
}

TEST_F(ModuleTest, RefusesShapesThatNoDeviceRuns) {
  uint32_t* word = words_;
  uint32_t value = 4;
  void* arguments[] = {&word, &value};
  const void* add = FunctionOf(AddStub);
  EXPECT_EQ(cudaErrorInvalidValue,
            cudaLaunchKernel(add, dim3{0, 1, 1}, dim3{1, 1, 1}, arguments, 0, stream_));
  EXPECT_EQ(cudaErrorInvalidValue,
            cudaLaunchKernel(add, dim3{1, 1, 1}, dim3{1025, 1, 1}, arguments, 0, stream_));
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = 2;
  cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3{3, 1, 1};
  config.blockDim = dim3{32, 1, 1};
  config.stream = stream_;
  config.attrs = &cluster;
  config.numAttrs = 1;
  EXPECT_EQ(cudaErrorInvalidValue, cudaLaunchKernelExC(&config, add, arguments));
  config.gridDim = dim3{4, 1, 1};
  EXPECT_EQ(cudaSuccess, cudaLaunchKernelExC(&config, add, arguments));
}

TEST_F(ModuleTest, FindsFunctionsOfModulesByName) {
  CUmodule module = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuModuleLoadData(&module, "any image"));
  CUfunction function = nullptr;
  EXPECT_EQ(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&function, module, "no_such_kernel"));
  EXPECT_EQ(CUDA_SUCCESS, cuModuleGetFunction(&function, module, kStoreSymbol));
  uint32_t* word = words_;
  uint32_t value = 11;
  void* arguments[] = {&word, &value};
  EXPECT_EQ(CUDA_SUCCESS,
            cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream_, arguments, nullptr));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(stream_));
  EXPECT_EQ(11u, Word(0));
  EXPECT_EQ(CUDA_SUCCESS, cuModuleUnload(module));
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuModuleGetFunction(&function, module, kStoreSymbol));
}

TEST_F(ModuleTest, TakesPackedArguments) {
  CUmodule module = nullptr;
  CUfunction function = nullptr;
  cuModuleLoadData(&module, "any image");
  cuModuleGetFunction(&function, module, kStoreSymbol);
  struct {
    uint32_t* word;
    uint32_t value;
  } packed{words_, 13};
  size_t bytes = sizeof packed;
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                   CU_LAUNCH_PARAM_END};
  EXPECT_EQ(CUDA_SUCCESS, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream_, nullptr, extra));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(stream_));
  EXPECT_EQ(13u, Word(0));
  bytes = 4;
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE,
            cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream_, nullptr, extra));
  cuModuleUnload(module);
}

TEST_F(ModuleTest, FindsDriverEntriesByName) {
  void* libcuda = dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_LAZY);
  ASSERT_NE(nullptr, libcuda);
  void* entry = nullptr;
  cudaDriverEntryPointQueryResult found;
  EXPECT_EQ(cudaSuccess, cudaGetDriverEntryPointByVersion("cuMemAlloc", &entry, 13000, 0, &found));
  EXPECT_EQ(cudaDriverEntryPointSuccess, found);
  EXPECT_EQ(dlsym(libcuda, "cuMemAlloc_v2"), entry);
  EXPECT_EQ(cudaSuccess,
            cudaGetDriverEntryPointByVersion("cuNoSuchCall", &entry, 13000, 0, &found));
  EXPECT_EQ(cudaDriverEntryPointSymbolNotFound, found);
  EXPECT_EQ(nullptr, entry);
  CUdriverProcAddressQueryResult status;
  EXPECT_EQ(CUDA_SUCCESS, cuGetProcAddress("cuLaunchKernel", &entry, 13000,
                                           CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status));
  EXPECT_EQ(dlsym(libcuda, "cuLaunchKernel_ptsz"), entry);
  dlclose(libcuda);
}

TEST_F(ModuleTest, DescribesTheDevice) {
  cudaDeviceProp properties;
  EXPECT_EQ(cudaSuccess, cudaGetDeviceProperties(&properties, 0));
  EXPECT_STREQ("Simulated H100", properties.name);
  EXPECT_EQ(9, properties.major);
  int major = 0;
  EXPECT_EQ(cudaSuccess, cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
  EXPECT_EQ(9, major);
  EXPECT_EQ(cudaErrorInvalidDevice, cudaSetDevice(1));
  EXPECT_EQ(cudaErrorInvalidDevice, cudaGetDeviceProperties(&properties, -1));
}

TEST_F(ModuleTest, KeepsTheLastErrorPerThread) {
  EXPECT_EQ(cudaErrorInvalidDevice, cudaSetDevice(9));
  EXPECT_EQ(cudaErrorInvalidDevice, cudaPeekAtLastError());
  std::thread([] { EXPECT_EQ(cudaSuccess, cudaPeekAtLastError()); }).join();
  EXPECT_EQ(cudaErrorInvalidDevice, cudaGetLastError());
  EXPECT_EQ(cudaSuccess, cudaGetLastError());
}

TEST_F(ModuleTest, NamesErrors) {
  EXPECT_STREQ("cudaErrorStreamCaptureUnsupported",
               cudaGetErrorName(cudaErrorStreamCaptureUnsupported));
  EXPECT_STREQ("invalid argument", cudaGetErrorString(cudaErrorInvalidValue));
  const char* name = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuGetErrorName(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, &name));
  EXPECT_STREQ("CUDA_ERROR_STREAM_CAPTURE_UNJOINED", name);
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuGetErrorName(static_cast<CUresult>(12345), &name));
}

TEST_F(ModuleTest, DriverCallsNeedAContextOfTheThread) {
  std::thread([] {
    CUstream stream = nullptr;
    EXPECT_EQ(CUDA_ERROR_INVALID_CONTEXT, cuStreamCreate(&stream, 0));
    CUcontext context = nullptr;
    EXPECT_EQ(CUDA_SUCCESS, cuDevicePrimaryCtxRetain(&context, 0));
    EXPECT_EQ(CUDA_SUCCESS, cuCtxSetCurrent(context));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamDestroy(stream));
  }).join();
}

}  // namespace
}  // namespace device_sim_test
