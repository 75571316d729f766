// The driver's functions for contexts, virtual memory and multicast, found at run time: the library
// does not link libcuda. Thread-safe.
#pragma once

#include <cuda.h>

#include "kernels/host/status.h"

namespace lamplight::kernels {

struct DriverApi {
  decltype(&cuDeviceGet) device_get;
  decltype(&cuDeviceGetAttribute) device_get_attribute;
  decltype(&cuGetErrorName) get_error_name;
  decltype(&cuCtxGetCurrent) ctx_get_current;
  decltype(&cuCtxSetCurrent) ctx_set_current;
  decltype(&cuMemCreate) mem_create;
  decltype(&cuMemRelease) mem_release;
  decltype(&cuMemAddressReserve) mem_address_reserve;
  decltype(&cuMemAddressFree) mem_address_free;
  decltype(&cuMemMap) mem_map;
  decltype(&cuMemUnmap) mem_unmap;
  decltype(&cuMemSetAccess) mem_set_access;
  decltype(&cuMemGetAllocationGranularity) mem_get_allocation_granularity;
  decltype(&cuMemExportToShareableHandle) mem_export_to_shareable_handle;
  decltype(&cuMemImportFromShareableHandle) mem_import_from_shareable_handle;
  decltype(&cuMulticastCreate) multicast_create;
  decltype(&cuMulticastAddDevice) multicast_add_device;
  decltype(&cuMulticastBindMem) multicast_bind_mem;
  decltype(&cuMulticastUnbind) multicast_unbind;
  decltype(&cuMulticastGetGranularity) multicast_get_granularity;

  Status Check(CUresult result, const char* call) const;
};

// The functions of the driver that is installed; those that it lacks are null. Null, with the
// reason, where there is no driver.
Status GetDriver(const DriverApi** api);
// In the place of the installed driver's, for tests; null: the driver's again.
void UseDriver(const DriverApi* api);

}  // namespace lamplight::kernels

#define LAMPLIGHT_TRY_DRIVER(api, function, ...) \
  LAMPLIGHT_TRY((api).Check((api).function(__VA_ARGS__), #function))
