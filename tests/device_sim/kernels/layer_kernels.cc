// The small kernels of tests/servers between the collectives.
#include <algorithm>

#include "bf16.h"
#include "tests/device_sim/sim_kernel.h"

namespace device_sim {
namespace {

void Embed(KernelContext&, const uint16_t* input, const uint32_t* request_tokens, uint16_t* hidden,
           uint16_t* residual, int elements, int dim) {
  const int64_t filled = std::min<int64_t>(elements, int64_t{*request_tokens} * dim);
  std::copy_n(input, filled, hidden);
  std::fill(hidden + filled, hidden + elements, uint16_t{0});
  std::fill_n(residual, elements, uint16_t{0});
}

void Scale(KernelContext&, const uint16_t* hidden, const uint16_t* patch, uint16_t* shard,
           float scale, int elements) {
  for (int i = 0; i < elements; ++i) {
    const uint16_t bits = patch == nullptr ? uint16_t{0} : patch[i];
    shard[i] = bits != 0 ? bits : ToBf16(FromBf16(hidden[i]) * scale);
  }
}

const KernelRegistration embed("_ZN9piecewise11embedKernelE", Embed);
const KernelRegistration scale("_ZN9piecewise11scaleKernelE", Scale);

}  // namespace
}  // namespace device_sim
