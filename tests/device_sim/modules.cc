// Thread-safe; a FatBinary is used by its binary's start-up code only.
#include "tests/device_sim/modules.h"

#include "tests/device_sim/capture.h"

namespace device_sim {

HandleTable<Module, CUmodule>& Modules() {
  static auto& table = *new HandleTable<Module, CUmodule>;
  return table;
}

HandleTable<Module, CUlibrary>& Libraries() {
  static auto& table = *new HandleTable<Module, CUlibrary>;
  return table;
}

Status Module::Find(const char* name, Kernel** kernel) {
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(mutex_);
  Kernel*& known = kernels_[name];
  if (known == nullptr && FindKernel(name) != nullptr) known = AddKernel(name, nullptr);
  if (known == nullptr) {
    kernels_.erase(name);
    return CUDA_ERROR_NOT_FOUND;
  }
  *kernel = known;
  return kOk;
}

Status LoadModule(CUmodule* out, const void* image) {
  if (out == nullptr || image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  SIM_TRY(CheckUnsafeCall());
  WaitToLoad();
  *out = Modules().Add(std::make_shared<Module>());
  return kOk;
}

Status LoadLibrary(CUlibrary* out, const void* image) {
  if (out == nullptr || image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *out = Libraries().Add(std::make_shared<Module>());
  return kOk;
}

void FatBinary::Add(const void* host_function, const char* symbol) {
  AddKernel(symbol, host_function);
  host_functions_.push_back(host_function);
}

FatBinary::~FatBinary() { ForgetHostFunctions(host_functions_); }

}  // namespace device_sim
