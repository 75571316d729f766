// A home-grown one-shot all-reduce that takes the generation from the host. A captured graph
// freezes that number, so that replays read what an earlier replay left behind: the fault it is
// here for.
//
// It empties a generation before it sends, packet by packet, and the server keeps the ranks in
// step: with up to two calls per request a stale index gives wrong sums, never a hang (README.md).
// Launch functions may be called from any thread.
#include "all_reduce.cuh"
#include "launch_shape.h"

namespace piecewise {
namespace {

// This thread's packet in every rank's slot of the generation before `generation`.
template <int World>
__device__ void EmptyPrevious(Lamport lamport, const Job& job, uint32_t generation, size_t slot,
                              size_t rank_bytes) {
  lamport.UseGeneration((generation + kGenerations - 1) % kGenerations);
  char* previous = lamport.Stage(job.local, 0) + slot;
  Packet empty;
  for (uint32_t& word : empty.word) word = kSentinel;
  for (int rank = 0; rank < World; ++rank) SendPacket(previous + rank * rank_bytes, empty);
  __threadfence_system();
}

}  // namespace

template <int World>
__global__ void __launch_bounds__(1024)
    bakedIndexAllreduceKernel(__nv_bfloat16* out, __nv_bfloat16* prenorm,
                              const __nv_bfloat16* shard, const __nv_bfloat16* residual,
                              const __nv_bfloat16* gamma, __nv_bfloat16** peers, int tokens,
                              int dim, float epsilon, int rank, uint32_t* flags, uint32_t index) {
  const Job job = {out,
                   prenorm,
                   shard,
                   residual,
                   gamma,
                   peers,
                   nullptr,
                   peers[rank],
                   static_cast<uint32_t>(tokens),
                   static_cast<uint32_t>(dim),
                   epsilon,
                   0.0f,
                   static_cast<uint32_t>(rank),
                   flags};
  const Place place;
  const uint32_t element = place.thread * 8;
  const bool active = element < job.dim;
  WaitForEarlierGrids();
  Lamport lamport(flags, 1);
  lamport.UseGeneration(index % kGenerations);
  const size_t rank_bytes = static_cast<size_t>(dim) * sizeof(__nv_bfloat16);
  const size_t slot = place.token * World * rank_bytes + element * sizeof(__nv_bfloat16);
  if (active) {
    EmptyPrevious<World>(lamport, job, index % kGenerations, slot, rank_bytes);
    Packet mine = LoadPacket(shard + static_cast<size_t>(place.token) * dim + element);
    Sanitise(mine);
    SendToAll<World>(job, lamport, 0, slot + rank * rank_bytes, mine);
  }
  lamport.ArriveCluster();
  Packet sum = {};
  if (active) {
    sum = ReduceArrived<BitCompare, World>(lamport.Stage(job.local, 0) + slot, rank_bytes);
  }
  job.tail().Finish(sum, place.token, element, active);
  if (place.first_of_grid) {
    lamport.Update(place.clusters, job.tokens * World * static_cast<uint32_t>(rank_bytes), 0);
  }
}

namespace {

using Bf16 = __nv_bfloat16;

template <int World>
void LaunchFor(const Endpoint& end, const CollectiveCall& call, cudaStream_t stream) {
  LaunchCollective(FusedShape(call.tokens, end.dim, end.device_major), end, stream,
                   "launch of bakedIndexAllreduceKernel", &bakedIndexAllreduceKernel<World>,
                   static_cast<Bf16*>(call.out), static_cast<Bf16*>(call.prenorm),
                   static_cast<const Bf16*>(call.shard), static_cast<const Bf16*>(call.residual_in),
                   static_cast<const Bf16*>(end.gamma),
                   reinterpret_cast<Bf16**>(const_cast<void**>(end.peers)), call.tokens, end.dim,
                   end.epsilon, end.rank, end.flags, call.index);
}

void Launch(const Endpoint& end, const CollectiveCall& call, cudaStream_t stream) {
  if (end.world == 2) return LaunchFor<2>(end, call, stream);
  if (end.world == 4) return LaunchFor<4>(end, call, stream);
  LaunchFor<8>(end, call, stream);
}

void Preload(int world) {
  const char* name = "loading bakedIndexAllreduceKernel";
  if (world == 2) return PreloadKernel(&bakedIndexAllreduceKernel<2>, name);
  if (world == 4) return PreloadKernel(&bakedIndexAllreduceKernel<4>, name);
  PreloadKernel(&bakedIndexAllreduceKernel<8>, name);
}

}  // namespace

const Collective kBakedIndexCollective = {Preload, Launch};

}  // namespace piecewise
