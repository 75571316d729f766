// Thread-safe: the table is filled once.
#include "kernels/host/driver_api.h"

#include <atomic>

namespace lamplight::kernels {
namespace {

std::atomic<const DriverApi*> replacement{nullptr};

// Leaves null what the driver does not have.
template <class Function>
void Find(const char* name, Function* function) {
  // The forms of the functions that cuda.h of this build declares.
  void* entry = nullptr;
  cudaDriverEntryPointQueryResult found{};
  const cudaError_t code =
      cudaGetDriverEntryPointByVersion(name, &entry, CUDA_VERSION, cudaEnableDefault, &found);
  if (code != cudaSuccess) static_cast<void>(cudaGetLastError());
  const bool good = code == cudaSuccess && found == cudaDriverEntryPointSuccess;
  *function = good ? reinterpret_cast<Function>(entry) : nullptr;
}

DriverApi FindAll() {
  DriverApi api{};
  Find("cuDeviceGet", &api.device_get);
  Find("cuDeviceGetAttribute", &api.device_get_attribute);
  Find("cuGetErrorName", &api.get_error_name);
  Find("cuCtxGetCurrent", &api.ctx_get_current);
  Find("cuCtxSetCurrent", &api.ctx_set_current);
  Find("cuMemCreate", &api.mem_create);
  Find("cuMemRelease", &api.mem_release);
  Find("cuMemAddressReserve", &api.mem_address_reserve);
  Find("cuMemAddressFree", &api.mem_address_free);
  Find("cuMemMap", &api.mem_map);
  Find("cuMemUnmap", &api.mem_unmap);
  Find("cuMemSetAccess", &api.mem_set_access);
  Find("cuMemGetAllocationGranularity", &api.mem_get_allocation_granularity);
  Find("cuMemExportToShareableHandle", &api.mem_export_to_shareable_handle);
  Find("cuMemImportFromShareableHandle", &api.mem_import_from_shareable_handle);
  Find("cuMulticastCreate", &api.multicast_create);
  Find("cuMulticastAddDevice", &api.multicast_add_device);
  Find("cuMulticastBindMem", &api.multicast_bind_mem);
  Find("cuMulticastUnbind", &api.multicast_unbind);
  Find("cuMulticastGetGranularity", &api.multicast_get_granularity);
  return api;
}

}  // namespace

Status DriverApi::Check(CUresult result, const char* call) const {
  if (result == CUDA_SUCCESS) return {};
  const char* name = nullptr;
  static_cast<void>(get_error_name(result, &name));
  lamplight_status status = LAMPLIGHT_ERROR_CUDA;
  if (result == CUDA_ERROR_OUT_OF_MEMORY) status = LAMPLIGHT_ERROR_OUT_OF_MEMORY;
  if (result == CUDA_ERROR_NOT_SUPPORTED || result == CUDA_ERROR_NOT_PERMITTED) {
    status = LAMPLIGHT_ERROR_UNSUPPORTED;
  }
  return Error(status, "the driver's %s failed: %s (%d)", call, name == nullptr ? "?" : name,
               static_cast<int>(result));
}

Status GetDriver(const DriverApi** api) {
  *api = replacement.load();
  if (*api != nullptr) return {};
  static const DriverApi found = FindAll();
  if (found.device_get == nullptr || found.device_get_attribute == nullptr ||
      found.get_error_name == nullptr) {
    return Error(LAMPLIGHT_ERROR_UNSUPPORTED,
                 "options->memory is FABRIC and the CUDA driver has no entry points for it: use "
                 "LAMPLIGHT_MEMORY_IPC");
  }
  *api = &found;
  return {};
}

void UseDriver(const DriverApi* api) { replacement = api; }

}  // namespace lamplight::kernels
