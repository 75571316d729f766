// CRC-32C (Castagnoli), the checksum of trace records. Pure functions, safe from any thread.
// The analyzer has one of its own: writer and reader check each other.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lamplight::shim {

// With the processor's instruction where it has one. `crc` continues an earlier call.
uint32_t Crc32c(const void* bytes, size_t size, uint32_t crc = 0) noexcept;

// The same value from a table, on any processor.
uint32_t Crc32cSoftware(const void* bytes, size_t size, uint32_t crc = 0) noexcept;

}  // namespace lamplight::shim
