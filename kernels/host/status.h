// What a function of the library found: a code for the caller's program and a text for its author.
//
// Status is a value; the last error belongs to the thread. Thread-safe.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>

#include "kernels/include/lamplight/collective.h"

namespace lamplight::kernels {

// Invariant: the text is empty exactly where the code is LAMPLIGHT_OK.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(lamplight_status code, std::string text) : code_(code), text_(std::move(text)) {}

  bool ok() const { return code_ == LAMPLIGHT_OK; }
  lamplight_status code() const { return code_; }
  const std::string& text() const { return text_; }

 private:
  lamplight_status code_ = LAMPLIGHT_OK;
  std::string text_;
};

[[gnu::format(printf, 2, 3)]] Status Error(lamplight_status code, const char* format, ...);

// `call` names what was called. The thread's last CUDA error is cleared: the caller gets it here,
// and must not find it again at its own next check.
Status FromCuda(cudaError_t code, const char* call);

// Keeps the text for lamplight_last_error and returns the code.
lamplight_status Keep(const Status& status) noexcept;
size_t CopyLastError(char* buffer, size_t bytes) noexcept;
// As snprintf: cuts, terminates, returns the whole length.
size_t CopyText(const char* text, char* buffer, size_t bytes) noexcept;

}  // namespace lamplight::kernels

#define LAMPLIGHT_TRY(expression)                                                           \
  do {                                                                                      \
    if (::lamplight::kernels::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)
#define LAMPLIGHT_TRY_CUDA(call) LAMPLIGHT_TRY(::lamplight::kernels::FromCuda((call), #call))
