// Errors of CUDA and of the library as exceptions that name the call. Thread-safe.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

#include "tests/unit/kernels_api/ranks.h"

namespace lamplight::kernels::gpu {

inline void Check(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return;
  throw std::runtime_error(std::string(call) + ": " + cudaGetErrorName(code));
}

inline void Check(lamplight_status status, const std::string& call) {
  if (status == LAMPLIGHT_OK) return;
  throw std::runtime_error(call + ": " + test::LastError());
}

}  // namespace lamplight::kernels::gpu
