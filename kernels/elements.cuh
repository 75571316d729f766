// Elements of fp16, bf16 and fp32, and the pieces of a row that one thread holds.
//
// Host and device; no state. A piece is 32-bit words throughout: as a union with narrower elements
// nvcc keeps it in memory.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>

#include "kernels/collective_call.h"
#include "kernels/machine.cuh"

namespace lamplight::kernels {

template <class To, class From>
LAMPLIGHT_DEVICE To BitsAs(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

// Elements in a 32-bit word and back, rounding to nearest even. Low half first.
template <DataType kType>
struct Element;

template <>
struct Element<DataType::kBf16> {
  using Bits = uint16_t;
  static constexpr uint32_t kPerWord = 2;
  static constexpr Bits kNan = 0x7fff;
  static LAMPLIGHT_DEVICE float ToFloat(uint32_t word, uint32_t half) {
    return BitsAs<float>(half == 0 ? word << 16 : word & 0xffff0000u);
  }
  static LAMPLIGHT_DEVICE uint32_t FromFloats(float low, float high) {
    return BitsAs<uint32_t>(__floats2bfloat162_rn(low, high));
  }
  // Device: −0 + 0 is +0, and all else stays, but that NaNs lose their payload.
  static LAMPLIGHT_DEVICE uint32_t PlusZero(uint32_t word) {
    return BitsAs<uint32_t>(
        __hadd2(BitsAs<__nv_bfloat162_raw>(word), BitsAs<__nv_bfloat162_raw>(0u)));
  }
};

template <>
struct Element<DataType::kFp16> {
  using Bits = uint16_t;
  static constexpr uint32_t kPerWord = 2;
  static constexpr Bits kNan = 0x7fff;
  static LAMPLIGHT_DEVICE float ToFloat(uint32_t word, uint32_t half) {
    __half_raw raw;
    raw.x = static_cast<uint16_t>(half == 0 ? word : word >> 16);
    return __half2float(raw);
  }
  static LAMPLIGHT_DEVICE uint32_t FromFloats(float low, float high) {
    return BitsAs<uint32_t>(__floats2half2_rn(low, high));
  }
  static LAMPLIGHT_DEVICE uint32_t PlusZero(uint32_t word) {
    return BitsAs<uint32_t>(__hadd2(BitsAs<__half2_raw>(word), BitsAs<__half2_raw>(0u)));
  }
};

template <>
struct Element<DataType::kFp32> {
  using Bits = uint32_t;
  static constexpr uint32_t kPerWord = 1;
  static constexpr Bits kNan = 0x7fffffff;
  static LAMPLIGHT_DEVICE float ToFloat(uint32_t word, uint32_t) { return BitsAs<float>(word); }
  static LAMPLIGHT_DEVICE uint32_t FromFloats(float value, float) {
#ifndef __CUDA_ARCH__
    // A GPU's arithmetic knows one NaN; a CPU's gives that of either operand.
    if (value != value) return kNan;
#endif
    return BitsAs<uint32_t>(value);
  }
};

// One unit of a row: what one thread loads, sends and reduces. Packed as in memory.
template <DataType kType>
struct Unit {
  using Bits = typename Element<kType>::Bits;
  static constexpr uint32_t kWords = sizeof(machine::Words4) / 4;
  static constexpr uint32_t kPerWord = Element<kType>::kPerWord;
  static constexpr uint32_t kElements = kWords * kPerWord;

  machine::Words4 words;

  // `i` is known to the compiler wherever loops are unrolled.
  LAMPLIGHT_DEVICE float At(uint32_t i) const {
    return Element<kType>::ToFloat(words.word[i / kPerWord], i % kPerWord);
  }
  LAMPLIGHT_DEVICE void Set(const float (&values)[kElements]) {
    LAMPLIGHT_UNROLL
    for (uint32_t i = 0; i < kWords; ++i) {
      words.word[i] =
          Element<kType>::FromFloats(values[i * kPerWord], values[(i + 1) * kPerWord - 1]);
    }
  }
  // Every −0 becomes +0, so that no word equals a sentinel of fp32 or of 16-bit elements.
  LAMPLIGHT_DEVICE void DropNegativeZeros() {
    LAMPLIGHT_UNROLL
    for (uint32_t& word : words.word) {
      if constexpr (kPerWord == 1) {
        word = word == 0x80000000u ? 0 : word;
      } else {
#ifdef __CUDA_ARCH__
        word = Element<kType>::PlusZero(word);  // one instruction
#else
        if ((word & 0xffffu) == 0x8000u) word &= 0xffff0000u;
        if (word >> 16 == 0x8000u) word &= 0xffffu;
#endif
      }
    }
  }
  LAMPLIGHT_DEVICE bool Lacks(uint32_t sought) const {
    bool lacks = true;
    LAMPLIGHT_UNROLL
    for (const uint32_t word : words.word) lacks &= word != sought;
    return lacks;
  }
  // Whether an element is −0: what FlashInfer's non-MNNVL protocol takes for "not here yet".
  LAMPLIGHT_DEVICE bool HasNegativeZero() const {
    uint32_t found = 0;
    LAMPLIGHT_UNROLL
    for (const uint32_t word : words.word) {
      if constexpr (kPerWord == 1) {
        found |= word == 0x80000000u;
      } else {
        // A half that is 0 borrows into its highest bit; a borrow into the other half only follows
        // one.
        const uint32_t zero_where = word ^ 0x80008000u;
        found |= (zero_where - 0x00010001u) & ~zero_where & 0x80008000u;
      }
    }
    return found != 0;
  }
  LAMPLIGHT_DEVICE void Fill(uint32_t pattern) {
    LAMPLIGHT_UNROLL
    for (uint32_t& word : words.word) word = pattern;
  }
  LAMPLIGHT_DEVICE void Poison() {
    constexpr uint32_t kNan = Element<kType>::kNan;
    Fill(kPerWord == 1 ? kNan : kNan | kNan << 16);
  }
};

// A unit of floats: sums over ranks.
template <uint32_t kElements>
struct Floats {
  float at[kElements];

  template <class U>
  LAMPLIGHT_DEVICE void Set(const U& unit) {
    LAMPLIGHT_UNROLL
    for (uint32_t i = 0; i < kElements; ++i) at[i] = unit.At(i);
  }
  LAMPLIGHT_DEVICE void Fill(float value) {
    LAMPLIGHT_UNROLL
    for (float& element : at) element = value;
  }
  template <class U>
  LAMPLIGHT_DEVICE void Add(const U& unit) {
    LAMPLIGHT_UNROLL
    for (uint32_t i = 0; i < kElements; ++i) at[i] += unit.At(i);
  }
};

}  // namespace lamplight::kernels
