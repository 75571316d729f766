// Elements of fp16, bf16 and fp32, and the pieces of a row that one thread holds.
//
// Host and device; no state.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>

#include "kernels/collective_call.h"
#include "kernels/machine.cuh"

namespace lamplight::kernels {

// `kOf<DataType>`: bits to float and back, rounding to nearest even.
template <DataType kType>
struct Element;

template <>
struct Element<DataType::kBf16> {
  using Bits = uint16_t;
  static LAMPLIGHT_DEVICE float ToFloat(Bits bits) {
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
  }
  static LAMPLIGHT_DEVICE Bits FromFloat(float value) {
    const __nv_bfloat16 rounded = __float2bfloat16(value);
    Bits bits;
    memcpy(&bits, &rounded, sizeof bits);
    return bits;
  }
  static constexpr Bits kNan = 0x7fff;
};

template <>
struct Element<DataType::kFp16> {
  using Bits = uint16_t;
  static LAMPLIGHT_DEVICE float ToFloat(Bits bits) {
    __half_raw half;
    half.x = bits;
    return __half2float(half);
  }
  static LAMPLIGHT_DEVICE Bits FromFloat(float value) {
    const __half rounded = __float2half(value);
    Bits bits;
    memcpy(&bits, &rounded, sizeof bits);
    return bits;
  }
  static constexpr Bits kNan = 0x7fff;
};

template <>
struct Element<DataType::kFp32> {
  using Bits = uint32_t;
  static LAMPLIGHT_DEVICE float ToFloat(Bits bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
  }
  static LAMPLIGHT_DEVICE Bits FromFloat(float value) {
    Bits bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
  }
  static constexpr Bits kNan = 0x7fffffff;
};

// One unit of a row: what one thread loads, sends and reduces. Packed as in memory.
template <DataType kType, class Words>
union Unit {
  using Bits = typename Element<kType>::Bits;
  static constexpr uint32_t kElements = sizeof(Words) / sizeof(Bits);
  static constexpr uint32_t kWords = sizeof(Words) / 4;

  Words words;
  Bits element[kElements];

  LAMPLIGHT_DEVICE float At(uint32_t i) const { return Element<kType>::ToFloat(element[i]); }
  LAMPLIGHT_DEVICE void Set(uint32_t i, float value) {
    element[i] = Element<kType>::FromFloat(value);
  }
  // Every −0 becomes +0, so that no word equals a sentinel of fp32 or of 16-bit elements.
  LAMPLIGHT_DEVICE void DropNegativeZeros() {
    constexpr Bits kNegativeZero = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
    LAMPLIGHT_UNROLL
    for (Bits& bits : element) bits = bits == kNegativeZero ? Bits{0} : bits;
  }
  LAMPLIGHT_DEVICE void Poison() {
    LAMPLIGHT_UNROLL
    for (Bits& bits : element) bits = Element<kType>::kNan;
  }
};

// A unit of floats: sums over ranks.
template <uint32_t kElements>
struct Floats {
  float at[kElements];

  template <class U>
  LAMPLIGHT_DEVICE void Add(const U& unit) {
    LAMPLIGHT_UNROLL
    for (uint32_t i = 0; i < kElements; ++i) at[i] += unit.At(i);
  }
};

}  // namespace lamplight::kernels
