// libcuda: initialisation, devices, contexts, errors. Thin C entries; thread-safe.
#include <cuda.h>

#include <cstdio>

#include "tests/device_sim/capture.h"
#include "tests/device_sim/driver_lookup.h"
#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/memory.h"
#include "tests/device_sim/tool_callbacks.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

namespace {

// `body(Device&)`, or the error of an unknown ordinal.
template <class Body>
CUresult DriverAt(CUdevice ordinal, Body body) {
  return Driver([&]() -> Status {
    Device* device = DeviceAt(ordinal);
    return device == nullptr ? CUDA_ERROR_INVALID_DEVICE : body(*device);
  });
}

// Null is a valid context here: none.
Status CheckedContext(CUcontext handle, Context** context) {
  *context = FindContext(handle);
  return handle != nullptr && *context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : kOk;
}

}  // namespace

#undef cuDeviceGetUuid
#undef cuGetProcAddress

extern "C" {

CUresult cuInit(unsigned flags) {
  return flags != 0 ? CUDA_ERROR_INVALID_VALUE : Contain([] { return Initialise(); });
}

CUresult cuDriverGetVersion(int* version) { return Store(version, kDriverVersion); }

CUresult cuGetErrorName(CUresult error, const char** name) {
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *name = DriverErrorName(error);
  return *name == nullptr ? CUDA_ERROR_INVALID_VALUE : kOk;
}

CUresult cuGetErrorString(CUresult error, const char** text) {
  if (text == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *text = DriverErrorText(error);
  return *text == nullptr ? CUDA_ERROR_INVALID_VALUE : kOk;
}

CUresult cuDeviceGetCount(int* count) {
  return Driver([&] { return Store(count, DeviceCount()); });
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  return DriverAt(ordinal, [&](Device& found) { return Store(device, found.ordinal); });
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  return DriverAt(device, [&](Device&) -> Status {
    if (name == nullptr || length <= 0) return CUDA_ERROR_INVALID_VALUE;
    std::snprintf(name, static_cast<size_t>(length), "%s", kDeviceName);
    return kOk;
  });
}

CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  return DriverAt(device, [&](Device& found) -> Status {
    if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
    DeviceUuid(found.ordinal, uuid);
    return kOk;
  });
}

CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) { return cuDeviceGetUuid_v2(uuid, device); }

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  return DriverAt(device, [&](Device&) { return DeviceAttribute(value, attribute); });
}

CUresult cuDeviceTotalMem(size_t* bytes, CUdevice device) {
  return DriverAt(device, [&](Device& found) { return Store(bytes, ArenaOf(found).size()); });
}

CUresult cuDeviceGetPCIBusId(char* text, int length, CUdevice device) {
  return DriverAt(device, [&](Device& found) -> Status {
    if (text == nullptr || length < 13) return CUDA_ERROR_INVALID_VALUE;
    std::snprintf(text, static_cast<size_t>(length), "0000:%02X:00.0",
                  static_cast<unsigned>(found.ordinal + 1));
    return kOk;
  });
}

CUresult cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
  return DriverAt(device, [&](Device&) -> Status {
    if (DeviceAt(peer) == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    return Store(can, device != peer ? 1 : 0);
  });
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  return DriverAt(device, [&](Device& found) { return Store(context, found.primary().handle()); });
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
  return DriverAt(device, [](Device&) { return kOk; });
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  return DriverAt(device, [&](Device&) -> Status {
    SIM_TRY(Store(flags, 0));
    return Store(active, 1);
  });
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  return Driver([&] {
    Context* current = CurrentContext();
    return Store(context, current == nullptr ? nullptr : current->handle());
  });
}

CUresult cuCtxSetCurrent(CUcontext context) {
  return Driver([&]() -> Status {
    Context* found = nullptr;
    SIM_TRY(CheckedContext(context, &found));
    SetCurrentContext(found);
    return kOk;
  });
}

CUresult cuCtxPushCurrent(CUcontext context) {
  return Driver([&]() -> Status {
    Context* found = nullptr;
    SIM_TRY(CheckedContext(context, &found));
    return PushCurrentContext(found);
  });
}

CUresult cuCtxPopCurrent(CUcontext* context) {
  return Driver([&] { return PopCurrentContext(context); });
}

CUresult cuCtxGetDevice(CUdevice* device) {
  return DriverInContext([&] { return Store(device, CurrentDevice()->ordinal); });
}

CUresult cuCtxGetFlags(unsigned* flags) {
  return DriverInContext([&] { return Store(flags, 0); });
}

CUresult cuCtxGetApiVersion(CUcontext, unsigned* version) {
  return Driver([&] { return Store(version, kDriverVersion); });
}

CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  return DriverInContext([&]() -> Status {
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = kGreatestStreamPriority;
    return kOk;
  });
}

CUresult cuCtxSynchronize() {
  const cupti::CtxParams told{};
  return Told(cupti::kCtxSynchronize, "cuCtxSynchronize", told, [&]() -> CUresult {
    return DriverInContext([]() -> Status {
      SIM_TRY(CheckDeviceWait(*CurrentDevice()));
      SIM_TRY(CheckUnsafeCall());
      return CurrentDevice()->Synchronize();
    });
  });
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  return Driver([&] { return ExchangeThreadMode(mode); });
}

CUresult cuGetProcAddress_v2(const char* symbol, void** out, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult* found) {
  if (symbol == nullptr || out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const bool per_thread = (flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) != 0;
  *out = FindDriverEntry(symbol, version, per_thread);
  if (found != nullptr) {
    *found = *out != nullptr ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  }
  return *out != nullptr ? kOk : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char* symbol, void** out, int version, cuuint64_t flags) {
  return cuGetProcAddress_v2(symbol, out, version, flags, nullptr);
}

}  // extern "C"
