// All ranks' shards are made and added here as the device does it, rounding to bf16 where it does. The
// order of the sums inside a norm is free, hence a tolerance.
#include "reference.h"

#include <cmath>
#include <vector>

namespace piecewise {
namespace {

constexpr float kEpsilon = 1e-5f;
constexpr float kRelative = 0.03f;
constexpr float kAbsolute = 0.03f;

struct Token {
  std::vector<uint16_t> hidden[kMaxWorld];  // per rank only in front of layer 0
  std::vector<float> residual;
};

// The sum of all ranks' shards plus the residual, which it replaces.
void AddLayer(const Options& o, int layer, size_t dim, Token& token,
              const std::vector<const uint16_t*>& patches) {
  for (size_t i = 0; i < dim; ++i) {
    float sum = 0;
    for (int rank = 0; rank < o.world; ++rank) {
      const auto r = static_cast<size_t>(rank);
      const uint16_t bits = patches[r] == nullptr ? uint16_t{0} : patches[r][i];
      const float scaled = FromBf16(token.hidden[rank][i]) * LayerScale(rank, layer);
      sum += FromBf16(bits != 0 ? bits : ToBf16(scaled));
    }
    token.residual[i] = FromBf16(ToBf16(FromBf16(ToBf16(sum)) + token.residual[i]));
  }
}

void Norm(const Options& o, const std::vector<uint16_t>& gamma, Token& token) {
  float squares = 0;
  for (const float value : token.residual) squares += value * value;
  const float scale = 1.0f / std::sqrt(squares / static_cast<float>(token.residual.size()) + kEpsilon);
  for (size_t i = 0; i < gamma.size(); ++i) {
    token.hidden[0][i] = ToBf16(token.residual[i] * scale * FromBf16(gamma[i]));
  }
  for (int rank = 1; rank < o.world; ++rank) token.hidden[rank] = token.hidden[0];
}

uint64_t Compare(const std::vector<uint16_t>& expected, const uint16_t* output) {
  uint64_t wrong = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const float want = FromBf16(expected[i]);
    const float difference = std::fabs(FromBf16(output[i]) - want);
    if (!(difference <= kAbsolute + kRelative * std::fabs(want))) ++wrong;
  }
  return wrong;
}

// Poison stays in place from its first request on, on the rows of that request.
std::vector<Poison> PoisonFor(const Options& o, const Request& request) {
  std::vector<Poison> poison(static_cast<size_t>(o.world));
  if (!o.poison || request.number < o.poison_request) return poison;
  const int tokens = MakeRequest(o, o.poison_request).tokens;
  for (int rank = 0; rank < o.world; ++rank) {
    if (SendsPoison(o, rank)) poison[static_cast<size_t>(rank)] = MakePoison(o, rank, tokens);
  }
  return poison;
}

}  // namespace

uint64_t CountWrong(const Options& o, const Request& request, std::span<const uint16_t> output) {
  const auto dim = static_cast<size_t>(o.dim);
  const auto world = static_cast<size_t>(o.world);
  std::vector<std::vector<uint16_t>> inputs(world);
  for (int rank = 0; rank < o.world; ++rank) {
    auto& input = inputs[static_cast<size_t>(rank)];
    input.resize(static_cast<size_t>(request.tokens) * dim);
    FillInput(o, request, rank, input);
  }
  const std::vector<uint16_t> gamma = MakeGamma(o.dim);
  const std::vector<Poison> poison = PoisonFor(o, request);
  uint64_t wrong = 0;
  for (size_t row = 0; row < static_cast<size_t>(request.tokens) * dim; row += dim) {
    Token token;
    token.residual.assign(dim, 0.0f);
    for (size_t r = 0; r < world; ++r) {
      token.hidden[r].assign(inputs[r].begin() + static_cast<ptrdiff_t>(row),
                             inputs[r].begin() + static_cast<ptrdiff_t>(row + dim));
    }
    for (int layer = 0; layer < o.layers; ++layer) {
      std::vector<const uint16_t*> patches(world, nullptr);
      for (size_t r = 0; r < world; ++r) {
        if (layer == o.poison_layer && row < poison[r].patch.size()) {
          patches[r] = poison[r].patch.data() + row;
        }
      }
      AddLayer(o, layer, dim, token, patches);
      Norm(o, gamma, token);
    }
    wrong += Compare(token.hidden[0], output.data() + row);
  }
  return wrong;
}

}  // namespace piecewise
