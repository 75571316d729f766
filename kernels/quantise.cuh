// Quantised outputs: e4m3 by a scale of the tensor or of the token, and NVFP4 (e2m1 with an e4m3
// scale for every 16 elements). Device code; no state.
//
// The recipes are those of FlashInfer 0.7.2 (include/flashinfer/comm/trtllm_mnnvl_allreduce.cuh,
// trtllm_allreduce_fusion.cuh), so that a swapped kernel feeds the same matrix multiplications.
#pragma once

#include <cuda_fp4.h>
#include <cuda_fp8.h>
#include <math.h>

#include <cstdint>

#include "kernels/collective_call.h"
#include "kernels/machine.cuh"

namespace lamplight::kernels {

inline constexpr float kLargestE4m3 = 448.0f;
inline constexpr float kLargestE2m1 = 6.0f;
inline constexpr uint8_t kE4m3Nan = 0x7f;
// The smallest positive e4m3 over the largest: rows of zeros still get a scale.
inline constexpr float kSmallestTokenScale = (1.0f / 512.0f) / kLargestE4m3;
inline constexpr uint32_t kNvfp4Group = 16;

LAMPLIGHT_DEVICE uint8_t ToE4m3(float value) {
  return __nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E4M3);
}

LAMPLIGHT_DEVICE float FromE4m3(uint8_t bits) {
  const __half_raw half = __nv_cvt_fp8_to_halfraw(bits, __NV_E4M3);
  return __half2float(__half(half));
}

LAMPLIGHT_DEVICE float TokenScale(float largest) {
  return fmaxf(largest / kLargestE4m3, kSmallestTokenScale);
}

// Where the scale of elements [16·group, 16·group + 16) of a row goes, in bytes.
LAMPLIGHT_DEVICE uint64_t ScaleOffset(ScaleLayout layout, uint32_t row, uint32_t group,
                                      uint32_t hidden) {
  const uint32_t groups = hidden / kNvfp4Group;
  if (layout == ScaleLayout::kLinear) return static_cast<uint64_t>(row) * groups + group;
  // Tiles of 128 rows by 4 groups: [row tile][group tile][row % 32][row / 32 % 4][group % 4].
  const uint32_t group_tiles = (groups + 3) / 4;
  return (static_cast<uint64_t>(row / 128) * group_tiles + group / 4) * 512 + row % 32 * 16 +
         row % 128 / 32 * 4 + group % 4;
}

// e2m1 has no NaN: one in a group must reach the group's scale.
LAMPLIGHT_DEVICE float LargerOrNan(float largest, float value) {
  return value > largest || value != value ? value : largest;
}

// The scale of a group whose largest magnitude is `largest`, and what its elements are multiplied
// by.
LAMPLIGHT_DEVICE uint8_t Nvfp4Scale(float largest, float global_scale, float* factor) {
  const uint8_t bits = ToE4m3(global_scale * (largest * (1.0f / kLargestE2m1)));
  const float scale = FromE4m3(bits);
  *factor = scale != 0.0f ? global_scale / scale : 0.0f;
  return bits;
}

LAMPLIGHT_DEVICE uint8_t ToE2m1Pair(float low, float high) {
  float2 pair;
  pair.x = low;
  pair.y = high;
  return __nv_cvt_float2_to_fp4x2(pair, __NV_E2M1, cudaRoundNearest);
}

}  // namespace lamplight::kernels
