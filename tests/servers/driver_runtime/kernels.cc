// What nvcc's start-up code calls, and launches with <<<>>>.
#include "kernels.h"

#include <cuda_runtime_api.h>

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "driver_table.h"

namespace driver_runtime {
namespace {

// As crt/fatbinary.h lays it out.
struct FatBinaryWrapper {
  int magic;
  int version;
  const void* image;
  void* file;
};

struct Binary {
  const void* image;
  CUlibrary library = nullptr;
};

struct Known {
  Binary* binary;
  std::string symbol;
  CUkernel kernel = nullptr;
};

struct Registry {
  std::mutex mutex;
  std::map<const void*, Known> kernels;
};

Registry& TheRegistry() {
  static auto* registry = new Registry();
  return *registry;
}

bool LoadLibrary(const Driver& driver, Binary* binary) {
  if (binary->library != nullptr) return true;
  return driver.cuLibraryLoadData(&binary->library, binary->image, nullptr, nullptr, 0, nullptr,
                                  nullptr, 0) == CUDA_SUCCESS;
}

struct Configuration {
  dim3 grid;
  dim3 block;
  size_t shared_bytes;
  cudaStream_t stream;
};
thread_local std::vector<Configuration> configurations;

}  // namespace

CUkernel KernelOf(const void* host_function) {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  const auto found = registry.kernels.find(host_function);
  const Driver* driver = TheDriver();
  if (found == registry.kernels.end() || driver == nullptr) return nullptr;
  Known& known = found->second;
  if (known.kernel != nullptr) return known.kernel;
  if (!LoadLibrary(*driver, known.binary)) return nullptr;
  driver->cuLibraryGetKernel(&known.kernel, known.binary->library, known.symbol.c_str());
  return known.kernel;
}

}  // namespace driver_runtime

using driver_runtime::Binary;
using driver_runtime::configurations;

extern "C" {

void** __cudaRegisterFatBinary(void* wrapper) {
  const auto* binary = static_cast<const driver_runtime::FatBinaryWrapper*>(wrapper);
  return reinterpret_cast<void**>(new Binary{binary->image});
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}  // at the end of the process

void __cudaRegisterFunction(void** handle, const char* host_function, char*, const char* symbol,
                            int, uint3*, uint3*, dim3*, dim3*, int*) {
  auto* binary = reinterpret_cast<Binary*>(handle);
  driver_runtime::TheRegistry().kernels[host_function] = {binary, symbol};
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes,
                                     CUstream_st* stream) {
  configurations.push_back({grid, block, shared_bytes, stream});
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared_bytes,
                                       void* stream) {
  if (configurations.empty()) return cudaErrorMissingConfiguration;
  const auto& call = configurations.back();
  *grid = call.grid;
  *block = call.block;
  *shared_bytes = call.shared_bytes;
  *static_cast<cudaStream_t*>(stream) = call.stream;
  configurations.pop_back();
  return cudaSuccess;
}

// Runs before main(): the host function stands for the kernel until a launch.
cudaError_t __cudaGetKernel(cudaKernel_t* out, const void* function) {
  *out = static_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}

}  // extern "C"
