// All-reduce kernels under the names and parameters of FlashInfer 0.6.15 and later, in our own
// writing: polled words are compared by their bits and both stages are free of −0.
//
// Launch functions may be called from any thread.
#include <cstddef>

#include "all_reduce.cuh"
#include "launch_shape.h"

namespace {

struct GoodPolicy {
  using Compare = piecewise::BitCompare;
  static constexpr bool kSanitiseSums = true;
  static constexpr bool kCheckAllWords = true;
  static constexpr bool kBlockArrivals = true;
};

}  // namespace

namespace flashinfer::trtllm_mnnvl_allreduce {

enum class QuantType : int { kNone = 0 };

template <typename T>
struct AllReduceKernelParams {
  T* out;
  T* prenorm;
  const T* shard;
  const T* residual;
  const T* gamma;
  T** peers;
  T* multicast;
  T* local;
  int ranks;
  int rank;
  int tokens;
  int dim;
  float epsilon;
  float weight_bias;
  const float* out_scale;
  void* quant_out;
  void* scales_out;
  int scales_layout;
  uint32_t* flags;
};
using Bf16Params = AllReduceKernelParams<__nv_bfloat16>;
static_assert(sizeof(Bf16Params) == 128 && offsetof(Bf16Params, flags) == 120);
static_assert(offsetof(Bf16Params, ranks) == 64 && offsetof(Bf16Params, epsilon) == 80);
static_assert(offsetof(Bf16Params, out_scale) == 88 && offsetof(Bf16Params, scales_layout) == 112);

template <typename T>
__device__ piecewise::Job JobOf(const AllReduceKernelParams<T>& p) {
  return {p.out,
          p.prenorm,
          p.shard,
          p.residual,
          p.gamma,
          p.peers,
          p.multicast,
          p.local,
          static_cast<uint32_t>(p.tokens),
          static_cast<uint32_t>(p.dim),
          p.epsilon,
          p.weight_bias,
          static_cast<uint32_t>(p.rank),
          p.flags};
}

template <uint8_t WorldSize, typename T, bool RMSNormFusion, QuantType Quant,
          typename PackedType = float4>
__global__ void __launch_bounds__(1024)
    oneshotAllreduceFusionKernel(AllReduceKernelParams<T> parameters) {
  static_assert(RMSNormFusion && Quant == QuantType::kNone);
  piecewise::OneShot<GoodPolicy, WorldSize>(JobOf(parameters));
}

template <uint8_t WorldSize, typename T, bool WaitForResults, typename PackedType = float4>
__global__ void __launch_bounds__(128) twoshotAllreduceKernel(AllReduceKernelParams<T> parameters) {
  piecewise::TwoShot<GoodPolicy, WorldSize>(JobOf(parameters), WaitForResults);
}

template <typename T, QuantType Quant, bool UseCluster, int LoadsPerThread = 1,
          typename PackedType = float4>
__global__ void __launch_bounds__(1024) rmsNormLamport(AllReduceKernelParams<T> parameters) {
  static_assert(Quant == QuantType::kNone && LoadsPerThread == 1);
  piecewise::NormAfterTwoShot<GoodPolicy>(JobOf(parameters),
                                          static_cast<uint32_t>(parameters.ranks));
}

}  // namespace flashinfer::trtllm_mnnvl_allreduce

namespace piecewise {
namespace {

namespace field = flashinfer::trtllm_mnnvl_allreduce;
using Bf16 = __nv_bfloat16;

field::Bf16Params ParametersOf(const Endpoint& end, const CollectiveCall& call) {
  field::Bf16Params p = {};
  p.out = static_cast<Bf16*>(call.out);
  p.prenorm = static_cast<Bf16*>(call.prenorm);
  p.shard = static_cast<const Bf16*>(call.shard);
  p.residual = static_cast<const Bf16*>(call.residual_in);
  p.gamma = static_cast<const Bf16*>(end.gamma);
  p.peers = reinterpret_cast<Bf16**>(const_cast<void**>(end.peers));
  p.local = static_cast<Bf16*>(end.local);
  p.ranks = end.world;
  p.rank = end.rank;
  p.tokens = call.tokens;
  p.dim = end.dim;
  p.epsilon = end.epsilon;
  p.flags = end.flags;
  return p;
}

template <int World>
constexpr auto kOneShot =
    &field::oneshotAllreduceFusionKernel<World, Bf16, true, field::QuantType::kNone>;
template <int World>
constexpr auto kTwoShot = &field::twoshotAllreduceKernel<World, Bf16, false>;
constexpr auto kNorm = &field::rmsNormLamport<Bf16, field::QuantType::kNone, true>;

template <int World>
void LaunchFor(const Endpoint& end, const CollectiveCall& call, cudaStream_t stream) {
  const field::Bf16Params parameters = ParametersOf(end, call);
  const LaunchShape fused = FusedShape(call.tokens, end.dim, end.device_major);
  if (!call.two_shot) {
    LaunchCollective(fused, end, stream, "launch of oneshotAllreduceFusionKernel", kOneShot<World>,
                     parameters);
    return;
  }
  LaunchCollective(TwoShotShape(call.tokens, end.dim), end, stream,
                   "launch of twoshotAllreduceKernel", kTwoShot<World>, parameters);
  LaunchCollective(fused, end, stream, "launch of rmsNormLamport", kNorm, parameters);
}

void Launch(const Endpoint& end, const CollectiveCall& call, cudaStream_t stream) {
  if (end.world == 2) return LaunchFor<2>(end, call, stream);
  if (end.world == 4) return LaunchFor<4>(end, call, stream);
  LaunchFor<8>(end, call, stream);
}

template <int World>
void PreloadFor() {
  PreloadKernel(kOneShot<World>, "loading oneshotAllreduceFusionKernel");
  PreloadKernel(kTwoShot<World>, "loading twoshotAllreduceKernel");
  PreloadKernel(kNorm, "loading rmsNormLamport");
}

void Preload(int world) {
  (world == 2 ? PreloadFor<2> : world == 4 ? PreloadFor<4> : PreloadFor<8>)();
}

}  // namespace

const Collective kGoodCollective = {Preload, Launch};

}  // namespace piecewise
