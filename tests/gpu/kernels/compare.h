// Compares on the device what calls have left with what they must leave, and wipes it. The kernel
// is compare.cu's; on the simulated device its body is simulated.cc's. Thread-safe.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace lamplight::kernels::gpu {

// Blocks of the kernel, which compete for room with collectives of ranks on the same device.
inline constexpr uint32_t kCompareBlocks = 16;
inline constexpr uint32_t kWiped = 0xa5a5a5a5;

// Adds the number of words that differ to *wrong; fills `found` with kWiped. Addresses and sizes
// are multiples of 16 bytes.
void CompareAndWipe(uint32_t* found, const uint32_t* expected, uint64_t words,
                    unsigned long long* wrong, cudaStream_t stream);

// Whether this program was built for the simulated device.
bool IsSimulated();

}  // namespace lamplight::kernels::gpu
