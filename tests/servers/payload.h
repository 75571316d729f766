// Requests and payloads, reproducible from the seed: every rank can make every rank's. Thread-safe.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "options.h"

namespace piecewise {

inline float FromBf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// Round to nearest, ties to even. No NaN comes in here.
inline uint16_t ToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

struct Request {
  int number;
  int tokens;
  bool eager;
};

// The request as all ranks see it, faults and payload included.
Request MakeRequest(const Options& options, int number);

// Smallest bucket that holds the tokens: index into options.buckets.
size_t BucketFor(const Options& options, int tokens);

// A rank's input, bf16 values in about ±2, `tokens` rows.
void FillInput(const Options& options, const Request& request, int rank, std::span<uint16_t> input);

// Scale of the layer's shard, different per rank.
float LayerScale(int rank, int layer);
// The norm's weights, the same on all ranks.
std::vector<uint16_t> MakeGamma(int dim);

bool SendsPoison(const Options& options, int rank);

struct Poison {
  std::vector<uint16_t> patch;  // [tokens][dim], 0: unpatched
  int elements = 0;             // subnormals, or sums that may become −0
  int first_token = -1;
  int first_element = -1;
};
// Negative bf16 subnormals in some odd elements of every token; or, of every rank, what adds up to
// one in every token.
Poison MakePoison(const Options& options, int rank, int tokens);

// FNV-1a over bytes, 64 bit.
class Fnv64 {
 public:
  void Add(std::span<const uint8_t> bytes) {
    for (const uint8_t byte : bytes) value_ = (value_ ^ byte) * 0x100000001b3u;
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325u;
};

}  // namespace piecewise
