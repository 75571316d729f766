// Names and texts of the status codes, in the order of their numbers. Thread-safe: constant.
#include <algorithm>
#include <iterator>

#include "tests/device_sim/status.h"

namespace device_sim {
namespace {

struct Entry {
  int status;
  const char* driver;   // null where only the runtime has the code
  const char* runtime;  // null where only the driver has it
  const char* text;     // null: the name says it
};

// clang-format off
constexpr Entry kEntries[] = {
    {0, "CUDA_SUCCESS", "cudaSuccess", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "cudaErrorInvalidValue", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "cudaErrorMemoryAllocation", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "cudaErrorInitializationError", "initialization error"},
    {4, "CUDA_ERROR_DEINITIALIZED", "cudaErrorCudartUnloading", "driver shutting down"},
    {5, "CUDA_ERROR_PROFILER_DISABLED", "cudaErrorProfilerDisabled", nullptr},
    {6, "CUDA_ERROR_PROFILER_NOT_INITIALIZED", "cudaErrorProfilerNotInitialized", nullptr},
    {7, "CUDA_ERROR_PROFILER_ALREADY_STARTED", "cudaErrorProfilerAlreadyStarted", nullptr},
    {8, "CUDA_ERROR_PROFILER_ALREADY_STOPPED", "cudaErrorProfilerAlreadyStopped", nullptr},
    {9, nullptr, "cudaErrorInvalidConfiguration", nullptr},
    {12, nullptr, "cudaErrorInvalidPitchValue", nullptr},
    {13, nullptr, "cudaErrorInvalidSymbol", nullptr},
    {16, nullptr, "cudaErrorInvalidHostPointer", nullptr},
    {17, nullptr, "cudaErrorInvalidDevicePointer", nullptr},
    {18, nullptr, "cudaErrorInvalidTexture", nullptr},
    {19, nullptr, "cudaErrorInvalidTextureBinding", nullptr},
    {20, nullptr, "cudaErrorInvalidChannelDescriptor", nullptr},
    {21, nullptr, "cudaErrorInvalidMemcpyDirection", nullptr},
    {22, nullptr, "cudaErrorAddressOfConstant", nullptr},
    {23, nullptr, "cudaErrorTextureFetchFailed", nullptr},
    {24, nullptr, "cudaErrorTextureNotBound", nullptr},
    {25, nullptr, "cudaErrorSynchronizationError", nullptr},
    {26, nullptr, "cudaErrorInvalidFilterSetting", nullptr},
    {27, nullptr, "cudaErrorInvalidNormSetting", nullptr},
    {28, nullptr, "cudaErrorMixedDeviceExecution", nullptr},
    {31, nullptr, "cudaErrorNotYetImplemented", nullptr},
    {32, nullptr, "cudaErrorMemoryValueTooLarge", nullptr},
    {34, "CUDA_ERROR_STUB_LIBRARY", "cudaErrorStubLibrary", nullptr},
    {35, nullptr, "cudaErrorInsufficientDriver", nullptr},
    {36, "CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER", "cudaErrorCallRequiresNewerDriver", nullptr},
    {37, nullptr, "cudaErrorInvalidSurface", nullptr},
    {43, nullptr, "cudaErrorDuplicateVariableName", nullptr},
    {44, nullptr, "cudaErrorDuplicateTextureName", nullptr},
    {45, nullptr, "cudaErrorDuplicateSurfaceName", nullptr},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "cudaErrorDevicesUnavailable", nullptr},
    {49, nullptr, "cudaErrorIncompatibleDriverContext", nullptr},
    {52, nullptr, "cudaErrorMissingConfiguration", nullptr},
    {53, nullptr, "cudaErrorPriorLaunchFailure", nullptr},
    {65, nullptr, "cudaErrorLaunchMaxDepthExceeded", nullptr},
    {66, nullptr, "cudaErrorLaunchFileScopedTex", nullptr},
    {67, nullptr, "cudaErrorLaunchFileScopedSurf", nullptr},
    {68, nullptr, "cudaErrorSyncDepthExceeded", nullptr},
    {69, nullptr, "cudaErrorLaunchPendingCountExceeded", nullptr},
    {98, nullptr, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {100, "CUDA_ERROR_NO_DEVICE", "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "cudaErrorInvalidDevice", "invalid device ordinal"},
    {102, "CUDA_ERROR_DEVICE_NOT_LICENSED", "cudaErrorDeviceNotLicensed", nullptr},
    {103, nullptr, "cudaErrorSoftwareValidityNotEstablished", nullptr},
    {127, nullptr, "cudaErrorStartupFailure", nullptr},
    {200, "CUDA_ERROR_INVALID_IMAGE", "cudaErrorInvalidKernelImage", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "cudaErrorDeviceUninitialized", "invalid device context"},
    {202, "CUDA_ERROR_CONTEXT_ALREADY_CURRENT", nullptr, nullptr},
    {205, "CUDA_ERROR_MAP_FAILED", "cudaErrorMapBufferObjectFailed", nullptr},
    {206, "CUDA_ERROR_UNMAP_FAILED", "cudaErrorUnmapBufferObjectFailed", nullptr},
    {207, "CUDA_ERROR_ARRAY_IS_MAPPED", "cudaErrorArrayIsMapped", nullptr},
    {208, "CUDA_ERROR_ALREADY_MAPPED", "cudaErrorAlreadyMapped", nullptr},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "cudaErrorNoKernelImageForDevice", "no kernel image is available for execution on the device"},
    {210, "CUDA_ERROR_ALREADY_ACQUIRED", "cudaErrorAlreadyAcquired", nullptr},
    {211, "CUDA_ERROR_NOT_MAPPED", "cudaErrorNotMapped", nullptr},
    {212, "CUDA_ERROR_NOT_MAPPED_AS_ARRAY", "cudaErrorNotMappedAsArray", nullptr},
    {213, "CUDA_ERROR_NOT_MAPPED_AS_POINTER", "cudaErrorNotMappedAsPointer", nullptr},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "cudaErrorECCUncorrectable", nullptr},
    {215, "CUDA_ERROR_UNSUPPORTED_LIMIT", "cudaErrorUnsupportedLimit", nullptr},
    {216, "CUDA_ERROR_CONTEXT_ALREADY_IN_USE", "cudaErrorDeviceAlreadyInUse", nullptr},
    {217, "CUDA_ERROR_PEER_ACCESS_UNSUPPORTED", "cudaErrorPeerAccessUnsupported", "peer access is not supported between these two devices"},
    {218, "CUDA_ERROR_INVALID_PTX", "cudaErrorInvalidPtx", nullptr},
    {219, "CUDA_ERROR_INVALID_GRAPHICS_CONTEXT", "cudaErrorInvalidGraphicsContext", nullptr},
    {220, "CUDA_ERROR_NVLINK_UNCORRECTABLE", "cudaErrorNvlinkUncorrectable", nullptr},
    {221, "CUDA_ERROR_JIT_COMPILER_NOT_FOUND", "cudaErrorJitCompilerNotFound", nullptr},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "cudaErrorUnsupportedPtxVersion", nullptr},
    {223, "CUDA_ERROR_JIT_COMPILATION_DISABLED", "cudaErrorJitCompilationDisabled", nullptr},
    {224, "CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY", "cudaErrorUnsupportedExecAffinity", nullptr},
    {225, "CUDA_ERROR_UNSUPPORTED_DEVSIDE_SYNC", "cudaErrorUnsupportedDevSideSync", nullptr},
    {226, "CUDA_ERROR_CONTAINED", "cudaErrorContained", nullptr},
    {300, "CUDA_ERROR_INVALID_SOURCE", "cudaErrorInvalidSource", nullptr},
    {301, "CUDA_ERROR_FILE_NOT_FOUND", "cudaErrorFileNotFound", nullptr},
    {302, "CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND", "cudaErrorSharedObjectSymbolNotFound", nullptr},
    {303, "CUDA_ERROR_SHARED_OBJECT_INIT_FAILED", "cudaErrorSharedObjectInitFailed", nullptr},
    {304, "CUDA_ERROR_OPERATING_SYSTEM", "cudaErrorOperatingSystem", nullptr},
    {400, "CUDA_ERROR_INVALID_HANDLE", "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {401, "CUDA_ERROR_ILLEGAL_STATE", "cudaErrorIllegalState", "the operation cannot be performed in the present state"},
    {402, "CUDA_ERROR_LOSSY_QUERY", "cudaErrorLossyQuery", "the query would lose edge annotations"},
    {500, "CUDA_ERROR_NOT_FOUND", "cudaErrorSymbolNotFound", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "cudaErrorNotReady", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "cudaErrorLaunchOutOfResources", "too many resources requested for launch"},
    {702, "CUDA_ERROR_LAUNCH_TIMEOUT", "cudaErrorLaunchTimeout", "the launch timed out and was terminated"},
    {703, "CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING", "cudaErrorLaunchIncompatibleTexturing", nullptr},
    {704, "CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED", "cudaErrorPeerAccessAlreadyEnabled", "peer access is already enabled"},
    {705, "CUDA_ERROR_PEER_ACCESS_NOT_ENABLED", "cudaErrorPeerAccessNotEnabled", "peer access has not been enabled"},
    {708, "CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE", "cudaErrorSetOnActiveProcess", nullptr},
    {709, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "cudaErrorContextIsDestroyed", nullptr},
    {710, "CUDA_ERROR_ASSERT", "cudaErrorAssert", nullptr},
    {711, "CUDA_ERROR_TOO_MANY_PEERS", "cudaErrorTooManyPeers", nullptr},
    {712, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", "cudaErrorHostMemoryAlreadyRegistered", "host memory is already registered"},
    {713, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "cudaErrorHostMemoryNotRegistered", "host memory is not registered"},
    {714, "CUDA_ERROR_HARDWARE_STACK_ERROR", "cudaErrorHardwareStackError", nullptr},
    {715, "CUDA_ERROR_ILLEGAL_INSTRUCTION", "cudaErrorIllegalInstruction", nullptr},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "cudaErrorMisalignedAddress", nullptr},
    {717, "CUDA_ERROR_INVALID_ADDRESS_SPACE", "cudaErrorInvalidAddressSpace", nullptr},
    {718, "CUDA_ERROR_INVALID_PC", "cudaErrorInvalidPc", nullptr},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "cudaErrorLaunchFailure", "unspecified launch failure"},
    {720, "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE", "cudaErrorCooperativeLaunchTooLarge", nullptr},
    {721, "CUDA_ERROR_TENSOR_MEMORY_LEAK", "cudaErrorTensorMemoryLeak", nullptr},
    {800, "CUDA_ERROR_NOT_PERMITTED", "cudaErrorNotPermitted", nullptr},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "cudaErrorNotSupported", "operation not supported"},
    {802, "CUDA_ERROR_SYSTEM_NOT_READY", "cudaErrorSystemNotReady", nullptr},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "cudaErrorSystemDriverMismatch", nullptr},
    {804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "cudaErrorCompatNotSupportedOnDevice", nullptr},
    {805, "CUDA_ERROR_MPS_CONNECTION_FAILED", "cudaErrorMpsConnectionFailed", nullptr},
    {806, "CUDA_ERROR_MPS_RPC_FAILURE", "cudaErrorMpsRpcFailure", nullptr},
    {807, "CUDA_ERROR_MPS_SERVER_NOT_READY", "cudaErrorMpsServerNotReady", nullptr},
    {808, "CUDA_ERROR_MPS_MAX_CLIENTS_REACHED", "cudaErrorMpsMaxClientsReached", nullptr},
    {809, "CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED", "cudaErrorMpsMaxConnectionsReached", nullptr},
    {810, "CUDA_ERROR_MPS_CLIENT_TERMINATED", "cudaErrorMpsClientTerminated", nullptr},
    {811, "CUDA_ERROR_CDP_NOT_SUPPORTED", "cudaErrorCdpNotSupported", nullptr},
    {812, "CUDA_ERROR_CDP_VERSION_MISMATCH", "cudaErrorCdpVersionMismatch", nullptr},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "cudaErrorStreamCaptureUnsupported", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "cudaErrorStreamCaptureInvalidated", "operation failed due to a previous error during capture"},
    {902, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "cudaErrorStreamCaptureMerge", "operation would merge two independent captures"},
    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "cudaErrorStreamCaptureUnmatched", "the capture was not initiated in this stream"},
    {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"},
    {905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "cudaErrorStreamCaptureIsolation", "dependency created on uncaptured work in another stream"},
    {906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "cudaErrorStreamCaptureImplicit", "operation would make the legacy stream depend on a capturing blocking stream"},
    {907, "CUDA_ERROR_CAPTURED_EVENT", "cudaErrorCapturedEvent", "operation not permitted on an event last recorded in a capturing stream"},
    {908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "cudaErrorStreamCaptureWrongThread", "attempt to terminate a capture from another thread"},
    {909, "CUDA_ERROR_TIMEOUT", "cudaErrorTimeout", nullptr},
    {910, "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE", "cudaErrorGraphExecUpdateFailure", "the graph exec update was not performed"},
    {911, "CUDA_ERROR_EXTERNAL_DEVICE", "cudaErrorExternalDevice", nullptr},
    {912, "CUDA_ERROR_INVALID_CLUSTER_SIZE", "cudaErrorInvalidClusterSize", "invalid cluster size"},
    {913, "CUDA_ERROR_FUNCTION_NOT_LOADED", "cudaErrorFunctionNotLoaded", nullptr},
    {914, "CUDA_ERROR_INVALID_RESOURCE_TYPE", "cudaErrorInvalidResourceType", nullptr},
    {915, "CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION", "cudaErrorInvalidResourceConfiguration", nullptr},
    {916, "CUDA_ERROR_KEY_ROTATION", nullptr, nullptr},
    {999, "CUDA_ERROR_UNKNOWN", "cudaErrorUnknown", "unknown error"},
};
// clang-format on
static_assert(std::ranges::is_sorted(kEntries, {}, &Entry::status));

const Entry* Find(int status) {
  const auto* found = std::ranges::lower_bound(kEntries, status, {}, &Entry::status);
  return found != std::end(kEntries) && found->status == status ? found : nullptr;
}

}  // namespace

const char* DriverErrorName(Status status) {
  const Entry* entry = Find(status);
  return entry == nullptr ? nullptr : entry->driver;
}

const char* DriverErrorText(Status status) {
  const Entry* entry = Find(status);
  if (entry == nullptr) return nullptr;
  return entry->text != nullptr ? entry->text : entry->driver;
}

const char* RuntimeErrorName(int status) {
  const Entry* entry = Find(status);
  if (entry == nullptr || entry->runtime == nullptr) return "unrecognized error code";
  return entry->runtime;
}

const char* RuntimeErrorText(int status) {
  const Entry* entry = Find(status);
  if (entry == nullptr || entry->runtime == nullptr) return "unrecognized error code";
  return entry->text != nullptr ? entry->text : entry->runtime;
}

}  // namespace device_sim
