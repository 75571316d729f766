// CRC-32C by the SSE4.2 instruction where the processor has it, else eight bytes a step by table.
// Thread-safe: tables are constants.
#include "analyzer/crc32c.h"

#include <nmmintrin.h>

#include <array>
#include <bit>
#include <cstring>

namespace lamplight {
namespace {

static_assert(std::endian::native == std::endian::little, "a trace is little endian");

using Table = std::array<std::array<uint32_t, 256>, 8>;

constexpr Table MakeTable() {
  constexpr uint32_t kPolynomial = 0x82f63b78u;  // Castagnoli, bits reversed
  Table table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = table[k - 1][byte];
      table[k][byte] = (before >> 8) ^ table[0][before & 0xff];
    }
  }
  return table;
}

constexpr Table kTable = MakeTable();

uint64_t Load(const std::byte* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

__attribute__((target("sse4.2"))) uint32_t Crc32cByInstruction(std::span<const std::byte> bytes,
                                                               uint32_t crc) {
  uint64_t state = ~crc;
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) state = _mm_crc32_u64(state, Load(&bytes[0]));
  auto narrow = static_cast<uint32_t>(state);
  for (const std::byte byte : bytes) narrow = _mm_crc32_u8(narrow, static_cast<uint8_t>(byte));
  return ~narrow;
}

}  // namespace

uint32_t Crc32cByTable(std::span<const std::byte> bytes, uint32_t crc) {
  uint32_t state = ~crc;
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    const uint64_t word = Load(&bytes[0]) ^ state;
    state = 0;
    for (size_t k = 0; k < 8; ++k) state ^= kTable[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (const std::byte byte : bytes) {
    state = (state >> 8) ^ kTable[0][(state ^ static_cast<uint8_t>(byte)) & 0xff];
  }
  return ~state;
}

uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t crc) {
  static const bool fast = __builtin_cpu_supports("sse4.2") != 0;
  return fast ? Crc32cByInstruction(bytes, crc) : Crc32cByTable(bytes, crc);
}

}  // namespace lamplight
