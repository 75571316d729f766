// FlashInfer 0.6.15 and later: one 128-byte struct by value; bitwise compare, both stages
// sanitised.
#include <cstddef>
#include <string>

#include "all_reduce.h"

namespace device_sim {
namespace {

constexpr Policy kGood = {lamplight::protocol::Compare::kBitwise, true, true, true};
constexpr char kFamily[] = "_ZN10flashinfer22trtllm_mnnvl_allreduce";

struct Parameters {
  uint16_t* out;
  uint16_t* prenorm;
  const uint16_t* shard;
  const uint16_t* residual;
  const uint16_t* gamma;
  uint32_t* const* peers;
  uint32_t* multicast;
  uint32_t* local;
  int32_t ranks;
  int32_t rank;
  int32_t tokens;
  int32_t dim;
  float epsilon;
  float weight_bias;
  const float* out_scale;
  void* quant_out;
  void* scales_out;
  int32_t scales_layout;
  uint32_t* flags;
};
static_assert(sizeof(Parameters) == 128 && offsetof(Parameters, flags) == 120);
static_assert(offsetof(Parameters, ranks) == 64 && offsetof(Parameters, out_scale) == 88);

Job JobOf(const Parameters& p) {
  return {p.out,
          p.prenorm,
          p.shard,
          p.residual,
          p.gamma,
          p.peers,
          p.multicast,
          p.local,
          static_cast<uint32_t>(p.ranks),
          static_cast<uint32_t>(p.rank),
          static_cast<uint32_t>(p.tokens),
          static_cast<uint32_t>(p.dim),
          p.epsilon,
          p.weight_bias,
          p.flags};
}

void GoodOneShot(KernelContext& context, Parameters parameters) {
  OneShot(context, kGood, JobOf(parameters));
}

template <bool Wait>
void GoodTwoShot(KernelContext& context, Parameters parameters) {
  TwoShot(context, kGood, JobOf(parameters), Wait);
}

void GoodNorm(KernelContext& context, Parameters parameters) {
  NormAfterTwoShot(context, kGood, JobOf(parameters));
}

std::string Symbol(const char* kernel, int world, const char* rest) {
  return std::string(kFamily) + kernel + std::to_string(world) + rest;
}

// The kernels of one world size.
struct Family {
  explicit Family(int world)
      : one_shot(Symbol("28oneshotAllreduceFusionKernelILh", world,
                        "E13__nv_bfloat16Lb1ELNS0_9QuantTypeE0E6float4E"),
                 GoodOneShot),
        two_shot(Symbol("22twoshotAllreduceKernelILh", world, "E13__nv_bfloat16Lb0E6float4E"),
                 GoodTwoShot<false>),
        two_shot_waiting(
            Symbol("22twoshotAllreduceKernelILh", world, "E13__nv_bfloat16Lb1E6float4E"),
            GoodTwoShot<true>) {}

  KernelRegistration<Parameters> one_shot;
  KernelRegistration<Parameters> two_shot;
  KernelRegistration<Parameters> two_shot_waiting;
};

const Family two(2);
const Family four(4);
const Family eight(8);
const KernelRegistration norm(
    "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportI13__nv_bfloat16LNS0_9QuantTypeE0E",
    GoodNorm);

}  // namespace
}  // namespace device_sim
