// FlashInfer's non-MNNVL kernels, 0.2.9 to 0.6.10: what has not come is an element of −0, and the
// flag words hold the sizes.
#include <cstddef>

#include "unicast.h"

namespace device_sim {
namespace {

struct Parameters {
  int32_t ranks;
  int32_t rank;
  int32_t elements;
  int32_t hidden;
  void** workspace;
  const void* input;
  void* sums;
  const void* residual_in;
  void* residual_out;
  void* norm_out;
  void* quant_output;
  void* scale_output;
  const void* gamma;
  float epsilon;
  const float* scale;
  bool oneshot;
  int32_t layout;
  void* stream;
  int32_t pattern;
  bool trigger_at_end;
};
static_assert(sizeof(Parameters) == 128 && offsetof(Parameters, workspace) == 16);
static_assert(offsetof(Parameters, gamma) == 80 && offsetof(Parameters, pattern) == 120);

unicast::State StateOf(const Parameters& p) {
  return {static_cast<int32_t*>(p.workspace[3 * unicast::kWorld]), nullptr};
}

using Family = unicast::Family<Parameters, StateOf, unicast::Bf16>;
constexpr char kFamily[] = "_ZN10flashinfer23trtllm_allreduce_fusion";
const Family plain(kFamily, "S0_", 0);
const Family normed(kFamily, "S0_", 1);

void Touch(KernelContext&, const uint16_t* from, uint16_t* to) { *to = *from; }
const KernelRegistration touch("_ZN12unicast_host11touchKernelE", Touch);

}  // namespace
}  // namespace device_sim
