// The narrow formats of quantised outputs, defined by their code points: e4m3, e2m1, and where
// NVFP4 scales lie. Pure; thread-safe.
#pragma once

#include <cstdint>

namespace lamplight::kernels {

// NaN for the two codes that are none.
double FromE4m3Code(uint8_t code);
double FromE2m1Code(uint8_t code);
// The code whose value lies nearest, the even one of two; the largest beyond the range; 0x7f for
// NaN in e4m3, and the largest in e2m1, which has none.
uint8_t NearestE4m3(double value);
uint8_t NearestE2m1(double value);

// The place of a row's scale in tiles of 128 rows by 4 groups: 32 × 16 bytes, each 16 the scales of
// rows r, r + 32, r + 64 and r + 96.
uint64_t SwizzledPlace(uint32_t row, uint32_t group, uint32_t groups);

}  // namespace lamplight::kernels
