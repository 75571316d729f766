// All ranks' shards are made and added here as the device does it, rounding to bf16 where it does.
// The order of the sums inside a norm is free, hence a tolerance.
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
  const float scale =
      1.0f / std::sqrt(squares / static_cast<float>(token.residual.size()) + kEpsilon);
  for (size_t i = 0; i < gamma.size(); ++i) {
    token.hidden[0][i] = ToBf16(token.residual[i] * scale * FromBf16(gamma[i]));
  }
  for (int rank = 1; rank < o.world; ++rank) token.hidden[rank] = token.hidden[0];
}

// Poison stays in place from its first request on, on the rows of that request.
std::vector<Poison> PoisonFor(const Options& o, const Request& request) {
  std::vector<Poison> poison(static_cast<size_t>(o.world));
  if (!o.poison() || request.number < o.poison_request) return poison;
  const int tokens = MakeRequest(o, o.poison_request).tokens;
  for (int rank = 0; rank < o.world; ++rank) {
    if (SendsPoison(o, rank)) poison[static_cast<size_t>(rank)] = MakePoison(o, rank, tokens);
  }
  return poison;
}

std::vector<const uint16_t*> PatchesFor(const Options& o, const std::vector<Poison>& poison,
                                        int layer, size_t row) {
  std::vector<const uint16_t*> patches(poison.size(), nullptr);
  for (size_t r = 0; r < poison.size(); ++r) {
    if (layer != o.poison_layer || row >= poison[r].patch.size()) continue;
    patches[r] = poison[r].patch.data() + row;
  }
  return patches;
}

using Inputs = std::vector<std::vector<uint16_t>>;

Inputs InputsFor(const Options& o, const Request& request, size_t elements) {
  Inputs inputs(static_cast<size_t>(o.world), std::vector<uint16_t>(elements));
  for (int rank = 0; rank < o.world; ++rank) {
    FillInput(o, request, rank, inputs[static_cast<size_t>(rank)]);
  }
  return inputs;
}

Token TokenAt(const Inputs& inputs, size_t row, size_t dim) {
  Token token;
  token.residual.assign(dim, 0.0f);
  for (size_t r = 0; r < inputs.size(); ++r) {
    const auto first = inputs[r].begin() + static_cast<std::ptrdiff_t>(row);
    token.hidden[r].assign(first, first + static_cast<std::ptrdiff_t>(dim));
  }
  return token;
}

}  // namespace

std::vector<uint16_t> ReferenceOutput(const Options& o, const Request& request) {
  const auto dim = static_cast<size_t>(o.dim);
  const size_t elements = static_cast<size_t>(request.tokens) * dim;
  const Inputs inputs = InputsFor(o, request, elements);
  const std::vector<Poison> poison = PoisonFor(o, request);
  const std::vector<uint16_t> gamma = MakeGamma(o.dim);
  std::vector<uint16_t> output;
  for (size_t row = 0; row < elements; row += dim) {
    Token token = TokenAt(inputs, row, dim);
    for (int layer = 0; layer < o.layers; ++layer) {
      AddLayer(o, layer, dim, token, PatchesFor(o, poison, layer, row));
      Norm(o, gamma, token);
    }
    output.insert(output.end(), token.hidden[0].begin(), token.hidden[0].end());
  }
  return output;
}

uint64_t CountWrong(const Options& o, const Request& request, std::span<const uint16_t> output) {
  const std::vector<uint16_t> expected = ReferenceOutput(o, request);
  uint64_t wrong = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const float want = FromBf16(expected[i]);
    const float difference = std::fabs(FromBf16(output[i]) - want);
    if (!(difference <= kAbsolute + kRelative * std::fabs(want))) ++wrong;
  }
  return wrong;
}

}  // namespace piecewise
