// Pure; thread-safe.
#include "kernels/host/capacity.h"

#include <algorithm>

#include "kernels/launch_plan.h"
#include "kernels/tuning.h"

namespace lamplight::kernels {

uint32_t Capacity::MaxTokens(Kernel kernel, uint32_t hidden, DataType data_type) const {
  // Two-shot takes tokens by the round: one for each owner.
  const uint32_t step = kernel == Kernel::kTwoShot ? world : 1;
  const uint64_t step_bytes = GenerationBytes(protocol, kernel, data_type, world, step, hidden);
  return static_cast<uint32_t>(
      std::min<uint64_t>(generation_bytes / step_bytes * step, kMaxTokens));
}

bool Capacity::Holds(Kernel kernel, const Shape& shape) const {
  return shape.tokens <= MaxTokens(kernel, shape.hidden, shape.data_type);
}

Kernel Capacity::Choose(const Shape& shape) const {
  const bool two_shot = PrefersTwoShot(world, shape.payload_bytes());
  const Kernel preferred = two_shot ? Kernel::kTwoShot : Kernel::kOneShot;
  const Kernel other = two_shot ? Kernel::kOneShot : Kernel::kTwoShot;
  return Holds(preferred, shape) || !Holds(other, shape) ? preferred : other;
}

uint64_t RoundUpGeneration(uint64_t bytes) {
  return (bytes + kGenerationStep - 1) / kGenerationStep * kGenerationStep;
}

uint64_t GenerationFor(Protocol protocol, uint32_t world, const Shape& largest,
                       lamplight_algorithm algorithm) {
  const auto need = [&](Kernel kernel, uint64_t tokens) {
    return GenerationBytes(protocol, kernel, largest.data_type, world, tokens, largest.hidden);
  };
  const uint64_t row = uint64_t{largest.hidden} * BytesOf(largest.data_type);
  const uint64_t preferred_tokens =
      std::min<uint64_t>(largest.tokens, LargestOneShotPayload(world) / row);
  uint64_t bytes = 0;
  switch (algorithm) {
    case LAMPLIGHT_ALGORITHM_ONE_SHOT:
      bytes = need(Kernel::kOneShot, largest.tokens);
      break;
    case LAMPLIGHT_ALGORITHM_TWO_SHOT:
      bytes = need(Kernel::kTwoShot, largest.tokens);
      break;
    case LAMPLIGHT_ALGORITHM_AUTO:
      bytes = std::max(need(Kernel::kOneShot, preferred_tokens),
                       need(Kernel::kTwoShot, largest.tokens));
      break;
  }
  return RoundUpGeneration(bytes);
}

}  // namespace lamplight::kernels
