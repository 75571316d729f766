// Picks SSE4.2 or a table at the first call.
#include "shim/recorder/crc32c.h"

#include <nmmintrin.h>

#include <array>
#include <cstring>

namespace lamplight::shim {
namespace {

constexpr uint32_t kReversedPolynomial = 0x82f63b78u;

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kReversedPolynomial : 0);
    table[byte] = crc;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kTable = MakeTable();

__attribute__((target("sse4.2"))) uint32_t Crc32cHardware(const void* bytes, size_t size,
                                                          uint32_t crc) noexcept {
  const auto* next = static_cast<const unsigned char*>(bytes);
  uint64_t state = ~crc;
  for (; size >= 8; size -= 8, next += 8) {
    uint64_t word;
    std::memcpy(&word, next, sizeof(word));
    state = _mm_crc32_u64(state, word);
  }
  for (; size > 0; --size) state = _mm_crc32_u8(static_cast<uint32_t>(state), *next++);
  return ~static_cast<uint32_t>(state);
}

bool HasHardware() {
  __builtin_cpu_init();  // may run before this library's constructors
  return __builtin_cpu_supports("sse4.2");
}

}  // namespace

uint32_t Crc32cSoftware(const void* bytes, size_t size, uint32_t crc) noexcept {
  const auto* next = static_cast<const unsigned char*>(bytes);
  uint32_t state = ~crc;
  for (; size > 0; --size) state = (state >> 8) ^ kTable[(state ^ *next++) & 0xff];
  return ~state;
}

uint32_t Crc32c(const void* bytes, size_t size, uint32_t crc) noexcept {
  static const bool hardware = HasHardware();
  return hardware ? Crc32cHardware(bytes, size, crc) : Crc32cSoftware(bytes, size, crc);
}

}  // namespace lamplight::shim
