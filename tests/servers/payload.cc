// All randomness is a hash of (seed, purpose, position): no generator state to keep in step.
#include "payload.h"

#include <algorithm>

namespace piecewise {
namespace {

enum Purpose : uint64_t { kTokens = 1, kEager = 2, kInput = 3, kPoison = 4 };

constexpr int kPoisonOneIn = 48;

// splitmix64, public domain, by Sebastiano Vigna.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t Hash(const Options& options, Purpose purpose, uint64_t a, uint64_t b) {
  return Mix(Mix(Mix(options.seed + (static_cast<uint64_t>(purpose) << 56)) + a) + b);
}

// Requests on which something is staged need a form of their own.
void ApplyStage(const Options& options, Request& request) {
  if (options.poison() && request.number == options.poison_request) request.eager = false;
  if (options.fault == Fault::kNone || request.number != options.fault_request) return;
  request.eager = options.fault == Fault::kSkip;
}

// Bits 15..0 as a value in about ±2 with 8 significant bits: exponent 0x3d..0x3f.
uint16_t SmallBf16(uint64_t bits) {
  const uint64_t sign = bits & 0x8000u;
  const uint64_t exponent = 0x7cu + (bits >> 7 & 3u);  // 2^-3 .. 2^0
  return static_cast<uint16_t>(sign | exponent << 7 | (bits & 0x7fu));
}

// A patch of 0 is none. Kernels send −0 as +0.
constexpr uint16_t kPatchOfZero = 0x8000;

// In one packet of every token, the first word: its lower elements are all 0; of the upper ones the
// first rank sends 1.5 and the last −1.75 times the smallest normal, the others 0. Both are normal,
// and what is left in the end is a negative subnormal.
void AddNegativeZeroSums(const Options& options, int rank, int only, Poison& poison) {
  const auto dim = static_cast<size_t>(options.dim);
  for (size_t token = 0; token * dim < poison.patch.size(); ++token) {
    if (only >= 0 && static_cast<int>(token) != only) continue;
    const size_t low = token % (dim / 8) * 8;
    poison.patch[token * dim + low] = kPatchOfZero;
    poison.patch[token * dim + low + 1] = rank == 0                   ? uint16_t{0x00c0}
                                          : rank == options.world - 1 ? uint16_t{0x80e0}
                                                                      : kPatchOfZero;
    if (poison.elements++ > 0) continue;
    poison.first_token = static_cast<int>(token);
    poison.first_element = static_cast<int>(low + 1);
  }
}

}  // namespace

Request MakeRequest(const Options& options, int number) {
  const auto n = static_cast<uint64_t>(number);
  Request request;
  request.number = number;
  request.tokens = 1 + static_cast<int>(Hash(options, kTokens, n, 0) %
                                        static_cast<uint64_t>(options.max_tokens()));
  request.eager = static_cast<int>(Hash(options, kEager, n, 0) % 100) < options.eager_percent;
  ApplyStage(options, request);
  return request;
}

size_t BucketFor(const Options& options, int tokens) {
  const auto& buckets = options.buckets;
  return static_cast<size_t>(std::lower_bound(buckets.begin(), buckets.end(), tokens) -
                             buckets.begin());
}

void FillInput(const Options& options, const Request& request, int rank,
               std::span<uint16_t> input) {
  uint64_t state =
      Hash(options, kInput, static_cast<uint64_t>(request.number), static_cast<uint64_t>(rank));
  for (size_t i = 0; i < input.size(); i += 4) {
    state = Mix(state);
    const size_t count = std::min<size_t>(4, input.size() - i);
    for (size_t j = 0; j < count; ++j) input[i + j] = SmallBf16(state >> (16 * j));
  }
}

float LayerScale(int rank, int layer) { return 0.25f * static_cast<float>(1 + (rank + layer) % 4); }

std::vector<uint16_t> MakeGamma(int dim) {
  std::vector<uint16_t> gamma(static_cast<size_t>(dim));
  for (size_t i = 0; i < gamma.size(); ++i) {
    gamma[i] = ToBf16(0.75f + 0.125f * static_cast<float>(i % 5));
  }
  return gamma;
}

bool SendsPoison(const Options& options, int rank) {
  if (options.payload == Payload::kNegativeZeroSum) return true;
  return options.poison() && (options.poison_rank < 0 || options.poison_rank == rank);
}

Poison MakePoison(const Options& options, int rank, int tokens) {
  const auto dim = static_cast<size_t>(options.dim);
  Poison poison;
  poison.patch.assign(static_cast<size_t>(tokens) * dim, 0);
  const int only = options.poison_token < 0 ? -1 : options.poison_token % tokens;
  if (options.payload == Payload::kNegativeZeroSum) {
    AddNegativeZeroSums(options, rank, only, poison);
    return poison;
  }
  for (size_t i = 1; i < poison.patch.size(); i += 2) {
    if (only >= 0 && static_cast<int>(i / dim) != only) continue;
    const uint64_t hash = Hash(options, kPoison, static_cast<uint64_t>(rank), i);
    const bool always = i % dim == 2 * (i / dim % (dim / 2)) + 1;  // one at least in every token
    if (!always && hash % kPoisonOneIn != 0) continue;
    poison.patch[i] = static_cast<uint16_t>(0x8001u + (hash >> 32) % 0x7fu);
    if (poison.elements++ > 0) continue;
    poison.first_token = static_cast<int>(i / dim);
    poison.first_element = static_cast<int>(i % dim);
  }
  return poison;
}

}  // namespace piecewise
