#include "shim/swap/swap_kernels.h"

#include <algorithm>

#include "shim/swap/kernel_images.h"

namespace lamplight::shim {
namespace {

using kernels::DataType;
using kernels::Kernel;
using kernels::KernelId;
using kernels::Protocol;

constexpr int kMaxSharedBytes = 96 * 1024;

struct Family {
  Kernel kernel;
  Protocol protocol;
};
// What stands for a kernel of the field.
constexpr Family kFamilies[] = {
    {Kernel::kOneShot, Protocol::kMnnvl},          {Kernel::kTwoShotSends, Protocol::kMnnvl},
    {Kernel::kTwoShotNorm, Protocol::kMnnvl},      {Kernel::kOneShot, Protocol::kUnicast},
    {Kernel::kOneShot, Protocol::kUnicastInWords},
};
constexpr DataType kTypes[] = {DataType::kFp16, DataType::kBf16, DataType::kFp32};
constexpr uint8_t kWorlds[] = {0, 2, 4, 8};

std::vector<KernelId> IdsOf(DataType type) {
  std::vector<KernelId> ids;
  for (const Family& family : kFamilies) {
    for (const uint8_t world : kWorlds) {
      const KernelId general = kernels::IdFor(family.kernel, family.protocol, type, world);
      if (std::ranges::find(ids, general) != ids.end()) continue;
      for (const kernels::KernelForm form : kernels::kForms) {
        if (!kernels::HasForm(general, form)) continue;
        ids.push_back(general);
        ids.back().form = form;
      }
    }
  }
  return ids;
}

}  // namespace

std::unique_ptr<SwapKernels> SwapKernels::Load(const DriverApi& driver,
                                               const SwapDriver& swap_driver, std::string* error) {
  std::unique_ptr<SwapKernels> loaded(new SwapKernels());
  CUdevice device = 0;
  int processors = 0;
  int major = 0;
  driver.CtxGetDevice(&device);
  driver.DeviceGetAttribute(&processors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device);
  driver.DeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
  loaded->limits_ = {static_cast<uint32_t>(processors), static_cast<uint32_t>(major)};
  for (const DataType type : kTypes) {
    CUmodule module = nullptr;
    if (KernelImage(type) == nullptr) {
      *error = "this shim was built with a CUDA Toolkit older than 12.8";
      return nullptr;
    }
    if (driver.ModuleLoadData(&module, KernelImage(type)) != CUDA_SUCCESS) {
      *error = "the device does not load the kernels";
      return nullptr;
    }
    for (const KernelId& id : IdsOf(type)) {
      CUfunction handle = nullptr;
      const std::string symbol = kernels::SymbolOf(id);
      const bool usable =
          driver.ModuleGetFunction(&handle, module, symbol.c_str()) == CUDA_SUCCESS &&
          swap_driver.FuncLoad(handle) == CUDA_SUCCESS &&
          swap_driver.FuncSetAttribute(handle, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                       kMaxSharedBytes) == CUDA_SUCCESS;
      if (!usable) {
        *error = "the device does not load " + symbol;
        return nullptr;
      }
      loaded->kernels_.push_back({id, handle});
    }
  }
  return loaded;
}

const SwapKernel* SwapKernels::Find(const KernelId& id) const noexcept {
  const auto found = std::ranges::find(kernels_, id, &SwapKernel::id);
  return found == kernels_.end() ? nullptr : &*found;
}

}  // namespace lamplight::shim
