// Driver entries by name and version, as cuGetProcAddress and its runtime forms find them.
//
// Thread-safe.
#pragma once

#include <cstdint>

namespace device_sim {

// Null where libcuda.so.1 has no such entry. `version` as CUDA_VERSION (12040 is 12.4).
void* FindDriverEntry(const char* name, int version, bool per_thread_default_stream);

}  // namespace device_sim
