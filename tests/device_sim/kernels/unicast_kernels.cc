// FlashInfer's non-MNNVL kernels, 0.2.9 to 0.6.10: what has not come is an element of −0, and the
// flag words hold the sizes.
#include <cstddef>
#include <string>

#include "unicast.h"

namespace device_sim {
namespace {

using unicast::Tokens;

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

template <class T>
unicast::Call<T> CallOf(KernelContext& context, const Parameters& p) {
  const unicast::Launch launch = {p.rank,     p.elements, p.hidden,      p.workspace,
                                  p.input,    p.sums,     p.residual_in, p.residual_out,
                                  p.norm_out, p.gamma,    p.epsilon,     p.pattern};
  auto* words = static_cast<int32_t*>(p.workspace[3 * unicast::kWorld]);
  return {context, launch, {words, nullptr}};
}

template <class T>
void OneShot(KernelContext& context, Parameters parameters) {
  CallOf<T>(context, parameters).OneShot();
}

template <class T>
void TwoShot(KernelContext& context, Parameters parameters, Tokens, Tokens) {
  CallOf<T>(context, parameters).TwoShot();
}

std::string Symbol(const char* kernel, int pattern, const char* type) {
  return "_ZN10flashinfer23trtllm_allreduce_fusion" + std::string(kernel) +
         "ILNS0_22AllReduceFusionPatternE" + std::to_string(pattern) + "E" + type + "Li2E";
}

constexpr char kOneShot[] = "39allreduce_fusion_kernel_oneshot_lamport";
constexpr char kTwoShot[] = "36allreduce_fusion_kernel_twoshot_sync";
constexpr char kBf16[] = "13__nv_bfloat16";

// The kernels of one fusion pattern.
struct Family {
  explicit Family(int pattern)
      : narrow(Symbol(kOneShot, pattern, kBf16), OneShot<unicast::Bf16>),
        wide(Symbol(kOneShot, pattern, "f"), OneShot<unicast::Fp32>),
        two_shot(Symbol(kTwoShot, pattern, kBf16), TwoShot<unicast::Bf16>) {}

  KernelRegistration<Parameters> narrow;
  KernelRegistration<Parameters> wide;
  KernelRegistration<Parameters, Tokens, Tokens> two_shot;
};

const Family plain(0);
const Family normed(1);

void Touch(KernelContext&, const uint16_t* from, uint16_t* to) { *to = *from; }
const KernelRegistration touch("_ZN12unicast_host11touchKernelE", Touch);

}  // namespace
}  // namespace device_sim
