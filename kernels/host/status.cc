// Thread-safe.
#include "kernels/host/status.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace lamplight::kernels {
namespace {

constexpr size_t kLongestText = 1024;
thread_local constinit char last_error[kLongestText] = {};

lamplight_status CodeOf(cudaError_t code) {
  switch (code) {
    case cudaErrorMemoryAllocation:
      return LAMPLIGHT_ERROR_OUT_OF_MEMORY;
    case cudaErrorInvalidDevice:
    case cudaErrorNoDevice:
      return LAMPLIGHT_ERROR_DEVICE;
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorNotSupported:
    case cudaErrorPeerAccessUnsupported:
    case cudaErrorCallRequiresNewerDriver:
      return LAMPLIGHT_ERROR_UNSUPPORTED;
    default:
      break;
  }
  const bool capture =
      code >= cudaErrorStreamCaptureUnsupported && code <= cudaErrorStreamCaptureWrongThread;
  return capture ? LAMPLIGHT_ERROR_CAPTURE : LAMPLIGHT_ERROR_CUDA;
}

const char* AdviceFor(lamplight_status code) {
  switch (code) {
    case LAMPLIGHT_ERROR_CAPTURE:
      return ": the stream's capture forbids it or was invalidated by an earlier call; launch on "
             "the "
             "capturing stream itself, or on one that has joined its capture";
    case LAMPLIGHT_ERROR_UNSUPPORTED:
      return ": this device or driver cannot do what was asked for";
    default:
      return "";
  }
}

}  // namespace

Status Error(lamplight_status code, const char* format, ...) {
  char text[kLongestText];
  va_list arguments;
  va_start(arguments, format);
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is initialised by the line above
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return {code, text};
}

Status FromCuda(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return {};
  static_cast<void>(cudaGetLastError());
  const lamplight_status status = CodeOf(code);
  return Error(status, "%s failed: %s (%d), %s%s", call, cudaGetErrorName(code),
               static_cast<int>(code), cudaGetErrorString(code), AdviceFor(status));
}

lamplight_status Keep(const Status& status) noexcept {
  if (!status.ok()) CopyText(status.text().c_str(), last_error, sizeof last_error);
  return status.code();
}

size_t CopyLastError(char* buffer, size_t bytes) noexcept {
  return CopyText(last_error, buffer, bytes);
}

size_t CopyText(const char* text, char* buffer, size_t bytes) noexcept {
  const size_t length = std::strlen(text);
  if (buffer == nullptr || bytes == 0) return length;
  const size_t copied = length < bytes ? length : bytes - 1;
  std::memcpy(buffer, text, copied);
  buffer[copied] = '\0';
  return length;
}

}  // namespace lamplight::kernels
