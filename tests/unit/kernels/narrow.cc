#include "tests/unit/kernels/narrow.h"

#include <array>
#include <cmath>

namespace lamplight::kernels {
namespace {

// The values of the non-negative codes [0, n), which grow with the codes.
template <size_t n, class Value>
std::array<double, n> Values(Value value_of) {
  std::array<double, n> values;
  for (size_t code = 0; code < n; ++code) values[code] = value_of(static_cast<uint8_t>(code));
  return values;
}

template <size_t n>
uint8_t Nearest(double magnitude, const std::array<double, n>& values) {
  uint8_t best = 0;
  for (uint32_t code = 1; code < n; ++code) {
    const double now = std::fabs(values[code] - magnitude);
    const double before = std::fabs(values[best] - magnitude);
    if (now < before || (now == before && code % 2 == 0)) best = static_cast<uint8_t>(code);
  }
  return best;
}

}  // namespace

double FromE4m3Code(uint8_t code) {
  const int exponent = code >> 3 & 15;
  const int mantissa = code & 7;
  if (exponent == 15 && mantissa == 7) return NAN;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return (code & 0x80) != 0 ? -magnitude : magnitude;
}

double FromE2m1Code(uint8_t code) {
  constexpr double kMagnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return (code & 8) != 0 ? -kMagnitudes[code & 7] : kMagnitudes[code & 7];
}

uint8_t NearestE4m3(double value) {
  if (std::isnan(value)) return 0x7f;
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  static const auto values = Values<0x7f>(FromE4m3Code);
  return sign | Nearest(std::fmin(std::fabs(value), 448), values);
}

uint8_t NearestE2m1(double value) {
  if (std::isnan(value)) return 7;
  const uint8_t sign = std::signbit(value) ? 8 : 0;
  static const auto values = Values<8>(FromE2m1Code);
  return sign | Nearest(std::fmin(std::fabs(value), 6), values);
}

uint64_t SwizzledPlace(uint32_t row, uint32_t group, uint32_t groups) {
  const uint32_t tiles_in_row = (groups + 3) / 4;
  const uint64_t tile = uint64_t{row / 128} * tiles_in_row + group / 4;
  const uint32_t in_tile = row % 128;
  return tile * 128 * 4 + (in_tile % 32) * 16 + (in_tile / 32) * 4 + group % 4;
}

}  // namespace lamplight::kernels
