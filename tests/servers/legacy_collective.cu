// Our own writing of the all-reduce kernels of FlashInfer 0.6.0 – 0.6.11 under their names and
// parameters: polled words are compared as floats. Compiled with -ftz=true, so that negative
// subnormals compare equal to the sentinel, which is the fault that these kernels are here for.
//
// Launch functions may be called from any thread.
#include "all_reduce.cuh"
#include "launch_shape.h"

namespace {

struct FloatCompare {
  static __device__ bool Absent(uint32_t word) {
    const float value = __uint_as_float(word);
    return value == 0.0f && signbit(value);
  }
};

struct LegacyPolicy {
  using Compare = FloatCompare;
  static constexpr bool kSanitiseSums = false;
  static constexpr bool kCheckAllWords = false;
  static constexpr bool kBlockArrivals = false;
};

}  // namespace

namespace flashinfer::trtllm_mnnvl_allreduce {

template <uint8_t WorldSize, typename T, bool RMSNormFusion = false, typename PackedType = float4>
__global__ void __launch_bounds__(1024)
    oneshotAllreduceFusionKernel(T* out, T* prenorm, T const* shard, T const* residual,
                                 T const* gamma, T** peers, T* multicast, int tokens, int dim,
                                 float epsilon, int rank, uint32_t* flags) {
  static_assert(RMSNormFusion && sizeof(PackedType) == sizeof(piecewise::Packet));
  piecewise::OneShot<LegacyPolicy, WorldSize>(
      {out, prenorm, shard, residual, gamma, peers, multicast, peers[rank],
       static_cast<uint32_t>(tokens), static_cast<uint32_t>(dim), epsilon, 0.0f,
       static_cast<uint32_t>(rank), flags});
}

template <uint8_t WorldSize, typename T, typename PackedType = float4>
__global__ void __launch_bounds__(128)
    twoshotAllreduceKernel(T* out, T const* shard, T** peers, T* multicast, uint32_t tokens,
                           uint32_t dim, uint32_t rank, uint32_t* flags, bool wait) {
  static_assert(sizeof(PackedType) == sizeof(piecewise::Packet));
  piecewise::TwoShot<LegacyPolicy, WorldSize>(
      {out, nullptr, shard, nullptr, nullptr, peers, multicast, peers[rank], tokens, dim, 0.0f,
       0.0f, rank, flags},
      wait);
}

template <typename TIn, typename TOut, int LoadsPerThread = 1>
__global__ void __launch_bounds__(1024)
    rmsNormLamport(TIn* prenorm, TOut* out, TIn* buffer, TIn const* gamma, float epsilon,
                   TIn const* residual, uint32_t tokens, uint32_t dim, uint32_t world,
                   uint32_t* flags) {
  static_assert(LoadsPerThread == 1);
  piecewise::NormAfterTwoShot<LegacyPolicy>({out, prenorm, nullptr, residual, gamma, nullptr,
                                             nullptr, buffer, tokens, dim, epsilon, 0.0f, 0, flags},
                                            world);
}

}  // namespace flashinfer::trtllm_mnnvl_allreduce

namespace piecewise {
namespace {

namespace field = flashinfer::trtllm_mnnvl_allreduce;
using Bf16 = __nv_bfloat16;

template <int World>
void LaunchOneShot(const Endpoint& end, const CollectiveCall& call, cudaStream_t stream) {
  LaunchCollective(
      FusedShape(call.tokens, end.dim, end.device_major), end, stream,
      "launch of oneshotAllreduceFusionKernel",
      &field::oneshotAllreduceFusionKernel<World, Bf16, true>, static_cast<Bf16*>(call.out),
      static_cast<Bf16*>(call.prenorm), static_cast<const Bf16*>(call.shard),
      static_cast<const Bf16*>(call.residual_in), static_cast<const Bf16*>(end.gamma),
      reinterpret_cast<Bf16**>(const_cast<void**>(end.peers)), static_cast<Bf16*>(nullptr),
      call.tokens, end.dim, end.epsilon, end.rank, end.flags);
}

template <int World>
void LaunchTwoShot(const Endpoint& end, const CollectiveCall& call, cudaStream_t stream) {
  LaunchCollective(TwoShotShape(call.tokens, end.dim), end, stream,
                   "launch of twoshotAllreduceKernel", &field::twoshotAllreduceKernel<World, Bf16>,
                   static_cast<Bf16*>(nullptr), static_cast<const Bf16*>(call.shard),
                   reinterpret_cast<Bf16**>(const_cast<void**>(end.peers)),
                   static_cast<Bf16*>(nullptr), call.tokens, end.dim, end.rank, end.flags, false);
  LaunchCollective(FusedShape(call.tokens, end.dim, end.device_major), end, stream,
                   "launch of rmsNormLamport", &field::rmsNormLamport<Bf16, Bf16>,
                   static_cast<Bf16*>(call.prenorm), static_cast<Bf16*>(call.out),
                   static_cast<Bf16*>(end.local), static_cast<const Bf16*>(end.gamma), end.epsilon,
                   static_cast<const Bf16*>(call.residual_in), call.tokens, end.dim, end.world,
                   end.flags);
}

template <int World>
void LaunchFor(const Endpoint& end, const CollectiveCall& call, cudaStream_t stream) {
  (call.two_shot ? LaunchTwoShot<World> : LaunchOneShot<World>)(end, call, stream);
}

void Launch(const Endpoint& end, const CollectiveCall& call, cudaStream_t stream) {
  if (end.world == 2) return LaunchFor<2>(end, call, stream);
  if (end.world == 4) return LaunchFor<4>(end, call, stream);
  LaunchFor<8>(end, call, stream);
}

template <int World>
void PreloadFor() {
  PreloadKernel(&field::oneshotAllreduceFusionKernel<World, Bf16, true>,
                "loading oneshotAllreduceFusionKernel");
  PreloadKernel(&field::twoshotAllreduceKernel<World, Bf16>, "loading twoshotAllreduceKernel");
  PreloadKernel(&field::rmsNormLamport<Bf16, Bf16>, "loading rmsNormLamport");
}

void Preload(int world) {
  (world == 2 ? PreloadFor<2> : world == 4 ? PreloadFor<4> : PreloadFor<8>)();
}

}  // namespace

const Collective kLegacyCollective = {Preload, Launch};

}  // namespace piecewise
