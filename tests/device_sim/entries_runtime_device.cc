// libcudart: devices, errors, versions. Thin C entries; thread-safe.
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstring>

#include "tests/device_sim/capture.h"
#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/memory.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

namespace {

int Attribute(CUdevice_attribute attribute) {
  int value = 0;
  DeviceAttribute(&value, attribute);
  return value;
}

void FillLimits(cudaDeviceProp* out) {
  out->maxThreadsPerBlock = 1024;
  out->maxThreadsDim[0] = out->maxThreadsDim[1] = 1024;
  out->maxThreadsDim[2] = 64;
  out->maxGridSize[0] = 2147483647;
  out->maxGridSize[1] = out->maxGridSize[2] = 65535;
  out->warpSize = 32;
  out->regsPerBlock = out->regsPerMultiprocessor = 65536;
  out->sharedMemPerBlock = 49152;
  out->sharedMemPerBlockOptin = 232448;
  out->sharedMemPerMultiprocessor = 233472;
  out->maxThreadsPerMultiProcessor = 2048;
  out->maxBlocksPerMultiProcessor = 32;
}

Status FillProperties(cudaDeviceProp* out, int device) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (DeviceAt(device) == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  std::memset(out, 0, sizeof *out);
  std::snprintf(out->name, sizeof out->name, "%s", kDeviceName);
  CUuuid uuid;
  DeviceUuid(device, &uuid);
  std::memcpy(&out->uuid, &uuid, sizeof out->uuid);
  out->totalGlobalMem = ArenaOf(*DeviceAt(device)).size();
  out->major = kComputeMajor;
  out->minor = kComputeMinor;
  FillLimits(out);
  out->multiProcessorCount = Attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  out->l2CacheSize = Attribute(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  out->asyncEngineCount = Attribute(CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT);
  out->canMapHostMemory = out->concurrentKernels = out->unifiedAddressing = 1;
  out->cooperativeLaunch = out->clusterLaunch = out->streamPrioritiesSupported = 1;
  out->pciBusID = device + 1;
  return kOk;
}

Status CheckPeers(int device, int peer) {
  const bool known = DeviceAt(device) != nullptr && DeviceAt(peer) != nullptr;
  return known ? kOk : CUDA_ERROR_INVALID_DEVICE;
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  return Runtime([&] { return Store(count, DeviceCount()); });
}

cudaError_t cudaSetDevice(int device) {
  return Runtime([&]() -> Status {
    if (DeviceAt(device) == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    SetCurrentDevice(*DeviceAt(device));
    return kOk;
  });
}

cudaError_t cudaInitDevice(int device, unsigned, unsigned) {
  return Runtime([&] { return DeviceAt(device) == nullptr ? CUDA_ERROR_INVALID_DEVICE : kOk; });
}

cudaError_t cudaGetDevice(int* device) {
  return Runtime([&] { return Store(device, CurrentDevice()->ordinal); });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return Runtime([&] { return FillProperties(properties, device); });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return Runtime([&]() -> Status {
    if (DeviceAt(device) == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    return DeviceAttribute(value, static_cast<CUdevice_attribute>(attribute));
  });
}

cudaError_t cudaDeviceSynchronize() {
  return Runtime([&] { return cuCtxSynchronize(); });
}

cudaError_t cudaSetDeviceFlags(unsigned) {
  return Runtime([] { return kOk; });
}

cudaError_t cudaGetDeviceFlags(unsigned* flags) {
  return Runtime([&] { return Store(flags, cudaDeviceMapHost); });
}

cudaError_t cudaDeviceSetLimit(cudaLimit, size_t) {
  return Runtime([] { return kOk; });
}

cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit) {
  return Runtime([&] { return Store(value, 0); });
}

cudaError_t cudaDeviceSetCacheConfig(cudaFuncCache) {
  return Runtime([] { return kOk; });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return Runtime([&]() -> Status {
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = kGreatestStreamPriority;
    return kOk;
  });
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  return Runtime([&]() -> Status {
    if (text == nullptr || length < 13) return CUDA_ERROR_INVALID_VALUE;
    if (DeviceAt(device) == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    std::snprintf(text, static_cast<size_t>(length), "0000:%02X:00.0",
                  static_cast<unsigned>(device + 1));
    return kOk;
  });
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  return Runtime([&]() -> Status {
    SIM_TRY(CheckPeers(device, peer));
    return Store(can, device != peer ? 1 : 0);
  });
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  return Runtime([&]() -> Status {
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    SIM_TRY(CheckPeers(CurrentDevice()->ordinal, peer));
    if (CurrentDevice()->ordinal == peer) return CUDA_ERROR_INVALID_DEVICE;
    return CurrentDevice()->EnablePeer(peer);
  });
}

cudaError_t cudaDeviceDisablePeerAccess(int peer) {
  return Runtime([&]() -> Status {
    SIM_TRY(CheckPeers(CurrentDevice()->ordinal, peer));
    return CurrentDevice()->DisablePeer(peer);
  });
}

cudaError_t cudaDriverGetVersion(int* version) { return Remember(Store(version, kDriverVersion)); }

cudaError_t cudaRuntimeGetVersion(int* version) { return Remember(Store(version, CUDART_VERSION)); }

cudaError_t cudaGetLastError() { return LastError(true); }
cudaError_t cudaPeekAtLastError() { return LastError(false); }
const char* cudaGetErrorName(cudaError_t error) { return RuntimeErrorName(error); }
const char* cudaGetErrorString(cudaError_t error) { return RuntimeErrorText(error); }

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return Runtime([&] { return ExchangeThreadMode(reinterpret_cast<CUstreamCaptureMode*>(mode)); });
}

cudaError_t cudaProfilerStart() {
  return Runtime([] { return kOk; });
}

cudaError_t cudaProfilerStop() {
  return Runtime([] { return kOk; });
}

}  // extern "C"
