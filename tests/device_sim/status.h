// Status codes: the driver's. The runtime's codes have the same numbers (since CUDA 10.1).
#pragma once

#include <cuda.h>

namespace device_sim {

using Status = CUresult;

inline constexpr Status kOk = CUDA_SUCCESS;
// The runtime knows one code that the driver's enumeration lacks.
inline constexpr Status kInvalidDeviceFunction = static_cast<Status>(98);

const char* DriverErrorName(Status status);  // null where unknown
const char* DriverErrorText(Status status);  // null where unknown
const char* RuntimeErrorName(int status);    // never null
const char* RuntimeErrorText(int status);    // never null

}  // namespace device_sim

// Leaves the function with the status unless it is CUDA_SUCCESS.
#define SIM_TRY(expression)                                                                      \
  do {                                                                                           \
    if (const ::device_sim::Status sim_status = (expression); sim_status != ::device_sim::kOk) { \
      return sim_status;                                                                         \
    }                                                                                            \
  } while (false)
