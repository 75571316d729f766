// CUDA errors as exceptions that name the call. Thread-safe: no state.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

namespace piecewise {

class CudaError : public std::runtime_error {
 public:
  CudaError(cudaError_t code, const char* call)
      : std::runtime_error(std::string(call) + " failed: " + cudaGetErrorName(code) + " (" +
                           std::to_string(static_cast<int>(code)) +
                           "): " + cudaGetErrorString(code)) {}
};

inline void Check(cudaError_t code, const char* call) {
  if (code != cudaSuccess) throw CudaError(code, call);
}

}  // namespace piecewise

#define PIECEWISE_CHECK(call) ::piecewise::Check((call), #call)
