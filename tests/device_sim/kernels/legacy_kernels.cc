// FlashInfer 0.6.0 – 0.6.11 names and parameters; flush-to-zero compare.
#include <string>

#include "all_reduce.h"

namespace device_sim {
namespace {

constexpr Policy kLegacy = {lamplight::protocol::Compare::kFlushToZero, false, false, false};
constexpr char kFamily[] = "_ZN10flashinfer22trtllm_mnnvl_allreduce";

template <uint32_t World>
void LegacyOneShot(KernelContext& context, uint16_t* out, uint16_t* prenorm, const uint16_t* shard,
                   const uint16_t* residual, const uint16_t* gamma, uint32_t* const* peers,
                   uint32_t* multicast, int tokens, int dim, float epsilon, int rank,
                   uint32_t* flags) {
  Job job = {out, prenorm, shard, residual, gamma, peers, multicast, peers[rank]};
  job.world = World;
  job.rank = static_cast<uint32_t>(rank);
  job.tokens = static_cast<uint32_t>(tokens);
  job.dim = static_cast<uint32_t>(dim);
  job.epsilon = epsilon;
  job.flags = flags;
  OneShot(context, kLegacy, job);
}

template <uint32_t World>
void LegacyTwoShot(KernelContext& context, uint16_t* out, const uint16_t* shard,
                   uint32_t* const* peers, uint32_t* multicast, uint32_t tokens, uint32_t dim,
                   uint32_t rank, uint32_t* flags, bool wait) {
  Job job = {out, nullptr, shard, nullptr, nullptr, peers, multicast, peers[rank]};
  job.world = World;
  job.rank = rank;
  job.tokens = tokens;
  job.dim = dim;
  job.flags = flags;
  TwoShot(context, kLegacy, job, wait);
}

void LegacyNorm(KernelContext& context, uint16_t* prenorm, uint16_t* out, uint32_t* buffer,
                const uint16_t* gamma, float epsilon, const uint16_t* residual, uint32_t tokens,
                uint32_t dim, uint32_t world, uint32_t* flags) {
  Job job = {out, prenorm, nullptr, residual, gamma, nullptr, nullptr, buffer};
  job.world = world;
  job.tokens = tokens;
  job.dim = dim;
  job.epsilon = epsilon;
  job.flags = flags;
  NormAfterTwoShot(context, kLegacy, job);
}

// Both kernels of one world size.
template <uint32_t World>
struct Family {
  KernelRegistration<uint16_t*, uint16_t*, const uint16_t*, const uint16_t*, const uint16_t*,
                     uint32_t* const*, uint32_t*, int, int, float, int, uint32_t*>
      one_shot{std::string(kFamily) + "28oneshotAllreduceFusionKernelILh" + std::to_string(World) +
                   "E13__nv_bfloat16Lb1E6float4E",
               LegacyOneShot<World>};
  KernelRegistration<uint16_t*, const uint16_t*, uint32_t* const*, uint32_t*, uint32_t, uint32_t,
                     uint32_t, uint32_t*, bool>
      two_shot{std::string(kFamily) + "22twoshotAllreduceKernelILh" + std::to_string(World) +
                   "E13__nv_bfloat166float4E",
               LegacyTwoShot<World>};
};

const Family<2> two;
const Family<4> four;
const Family<8> eight;
const KernelRegistration norm(
    "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportI13__nv_bfloat16S2_Li1EE", LegacyNorm);

}  // namespace
}  // namespace device_sim
