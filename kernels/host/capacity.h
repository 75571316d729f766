// What fits a workspace, and the choice of an algorithm that follows from it. Pure; thread-safe.
#pragma once

#include <cstdint>

#include "kernels/collective_call.h"
#include "kernels/include/lamplight/collective.h"

namespace lamplight::kernels {

// Longer rows than any model has: sizes of rows and launches then fit 32 bits.
inline constexpr uint32_t kMaxHidden = 1u << 20;
// A grid may have a cluster for each token, and a call has so many shares.
inline constexpr auto kMaxTokens = static_cast<uint32_t>(kWholeCall);

struct Shape {
  uint32_t tokens;
  uint32_t hidden;
  DataType data_type;

  uint64_t payload_bytes() const { return uint64_t{tokens} * hidden * BytesOf(data_type); }
};

struct Capacity {
  Protocol protocol;
  uint32_t world;
  uint64_t generation_bytes;

  // kernel: kOneShot or kTwoShot. 0 where not one token fits.
  uint32_t MaxTokens(Kernel kernel, uint32_t hidden, DataType data_type) const;
  bool Holds(Kernel kernel, const Shape& shape) const;
  // The preferred algorithm, or the other one where only that fits. The same on all ranks.
  Kernel Choose(const Shape& shape) const;
};

// Bytes of a generation that holds every call up to `largest` by the algorithms that are allowed
// (AUTO: by the one that Choose takes). A multiple of kGenerationStep.
uint64_t GenerationFor(Protocol protocol, uint32_t world, const Shape& largest,
                       lamplight_algorithm algorithm);
// Stages are halves of a generation and begin at a line; 0 where it would not fit 64 bits.
inline constexpr uint64_t kGenerationStep = 256;
uint64_t RoundUpGeneration(uint64_t bytes);

}  // namespace lamplight::kernels
