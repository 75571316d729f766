#include "kernels/host/device.h"

#include "kernels/kernel_table.h"

namespace lamplight::kernels {
namespace {

Status Attribute(int device, cudaDeviceAttr attribute, int* value) {
  LAMPLIGHT_TRY_CUDA(cudaDeviceGetAttribute(value, attribute, device));
  return {};
}

Status LoadKernel(const KernelId& id, int device, int shared_bytes, const void** function) {
  *function = KernelFunction(id);
  const std::string symbol = SymbolOf(id);
  if (*function == nullptr) {
    return Error(LAMPLIGHT_ERROR_INTERNAL, "the library was built without %s", symbol.c_str());
  }
  cudaFuncAttributes attributes{};
  const cudaError_t code = cudaFuncGetAttributes(&attributes, *function);
  if (code == cudaErrorNoKernelImageForDevice) {
    static_cast<void>(cudaGetLastError());
    return Error(LAMPLIGHT_ERROR_UNSUPPORTED,
                 "the library has no code of %s for device %d: build it for that architecture "
                 "(CMAKE_CUDA_ARCHITECTURES)",
                 symbol.c_str(), device);
  }
  LAMPLIGHT_TRY(FromCuda(code, ("cudaFuncGetAttributes(" + symbol + ")").c_str()));
  const int dynamic = shared_bytes - static_cast<int>(attributes.sharedSizeBytes);
  return FromCuda(
      cudaFuncSetAttribute(*function, cudaFuncAttributeMaxDynamicSharedMemorySize, dynamic),
      ("cudaFuncSetAttribute(" + symbol + ")").c_str());
}

}  // namespace

Status ResolveDevice(int asked, int* device) {
  int count = 0;
  LAMPLIGHT_TRY_CUDA(cudaGetDeviceCount(&count));
  int meant = asked;
  if (asked == LAMPLIGHT_CURRENT_DEVICE) LAMPLIGHT_TRY_CUDA(cudaGetDevice(&meant));
  if (meant >= 0 && meant < count) {
    *device = meant;
    return {};
  }
  return Error(LAMPLIGHT_ERROR_DEVICE,
               "options->device is %d and this process sees %d: give 0 to %d, and look at "
               "CUDA_VISIBLE_DEVICES",
               asked, count, count - 1);
}

Status ReadLimits(int device, DeviceLimits* limits) {
  int processors = 0;
  int major = 0;
  LAMPLIGHT_TRY(Attribute(device, cudaDevAttrMultiProcessorCount, &processors));
  LAMPLIGHT_TRY(Attribute(device, cudaDevAttrComputeCapabilityMajor, &major));
  limits->processors = static_cast<uint32_t>(processors);
  limits->compute_major = static_cast<uint32_t>(major);
  return {};
}

Status LoadKernels(Protocol protocol, uint32_t world, int device, KernelSet* kernels) {
  int shared_bytes = 0;
  LAMPLIGHT_TRY(Attribute(device, cudaDevAttrMaxSharedMemoryPerBlockOptin, &shared_bytes));
  for (uint32_t type = 0; type < kDataTypes; ++type) {
    for (const Kernel kernel : {Kernel::kOneShot, Kernel::kTwoShot}) {
      const KernelId general = IdFor(kernel, protocol, static_cast<DataType>(type), world);
      for (const KernelForm form : kForms) {
        if (!HasForm(general, form)) continue;
        KernelId id = general;
        id.form = form;
        const void** function = kernels->function[type][static_cast<uint32_t>(kernel)];
        LAMPLIGHT_TRY(LoadKernel(id, device, shared_bytes, &function[static_cast<uint32_t>(form)]));
      }
    }
  }
  return {};
}

}  // namespace lamplight::kernels
