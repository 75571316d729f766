// CRC-32C (Castagnoli), as every record of a trace carries it. Thread-safe: no state.
// The shim has one of its own: writer and reader check each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lamplight {

// Continues from `crc`, the value of the bytes before; 0 starts.
uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t crc = 0);

// For processors without the instruction, and for the test that compares both.
uint32_t Crc32cByTable(std::span<const std::byte> bytes, uint32_t crc = 0);

}  // namespace lamplight
