// The one-shot and two-shot all-reduce and the norm behind the latter, as functions of a policy:
//   Compare          how a polled word is judged
//   kSanitiseSums    the owner's sums lose their −0 before they are broadcast
//   kCheckAllWords   the broadcast stage is judged by every word of a packet, not by its first
//   kBlockArrivals   the norm counts arrivals by block, not by cluster
//
// Device code, called by all threads of the grid.
#pragma once

#include "lamport.cuh"

namespace piecewise {

enum Stage : uint32_t { kScatter = 0, kBroadcast = 1, kTwoShotStages = 2 };

// Parameters of all three kernels, whichever way they came in.
struct Job {
  __nv_bfloat16* out;
  __nv_bfloat16* prenorm;
  const __nv_bfloat16* shard;
  const __nv_bfloat16* residual;
  const __nv_bfloat16* gamma;
  __nv_bfloat16** peers;
  __nv_bfloat16* multicast;  // null: every peer is written by itself
  __nv_bfloat16* local;
  uint32_t tokens;
  uint32_t dim;
  float epsilon;
  float weight_bias;
  uint32_t rank;
  uint32_t* flags;

  __device__ NormTail tail() const {
    return {out, prenorm, residual, gamma, weight_bias, epsilon, dim};
  }
};

// To everyone's buffer at `byte` of a stage.
template <int World>
__device__ void SendToAll(const Job& job, const Lamport& lamport, uint32_t stage, size_t byte,
                          const Packet& packet) {
  if (job.multicast != nullptr) {
    SendPacket(lamport.Stage(job.multicast, stage) + byte, packet);
    return;
  }
#pragma unroll
  for (int peer = 0; peer < World; ++peer) {
    SendPacket(lamport.Stage(job.peers[peer], stage) + byte, packet);
  }
}

template <class Policy, int World>
__device__ void OneShot(const Job& job) {
  const Place place;
  const uint32_t element = place.thread * 8;
  const bool active = element < job.dim;
  WaitForEarlierGrids();
  const Lamport lamport(job.flags, 1);
  const size_t rank_bytes = static_cast<size_t>(job.dim) * sizeof(__nv_bfloat16);
  const size_t slot = place.token * World * rank_bytes + element * sizeof(__nv_bfloat16);
  if (active) {
    Packet mine = LoadPacket(job.shard + static_cast<size_t>(place.token) * job.dim + element);
    Sanitise(mine);
    SendToAll<World>(job, lamport, 0, slot + job.rank * rank_bytes, mine);
  }
  lamport.ArriveCluster();
  lamport.ClearAll(job.local);
  Packet sum = {};
  if (active) {
    sum = ReduceArrived<typename Policy::Compare, World>(lamport.Stage(job.local, 0) + slot,
                                                         rank_bytes);
  }
  LetLaterGridsStart();
  job.tail().Finish(sum, place.token, element, active);
  if (place.first_of_grid) {
    lamport.Update(place.clusters, job.tokens * World * static_cast<uint32_t>(rank_bytes), 0);
  }
}

template <class Policy>
__device__ Packet AwaitBroadcast(const char* address) {
  for (;;) {
    const Packet packet = PollPacket(address);
    bool complete = !Policy::Compare::Absent(packet.word[0]);
    if constexpr (Policy::kCheckAllWords) {
      for (int i = 1; i < 4; ++i) complete &= !Policy::Compare::Absent(packet.word[i]);
    }
    if (complete) return packet;
  }
}

template <int World>
__device__ void UpdateTwoShot(const Lamport& lamport, const Job& job, uint32_t target) {
  const uint32_t row = job.dim * sizeof(__nv_bfloat16);
  const uint32_t rounded = (job.tokens + World - 1) / World * World;
  lamport.Update(target, rounded * row, job.tokens * row);
}

// `wait`: also awaits the sums and writes them to `out`; otherwise the norm kernel does.
template <class Policy, int World>
__device__ void TwoShot(const Job& job, bool wait) {
  const Place place;
  const uint32_t element = place.thread * 8;
  const bool active = element < job.dim;
  const uint32_t owner = place.token % World;
  const size_t row = static_cast<size_t>(job.dim) * sizeof(__nv_bfloat16);
  const size_t column = element * sizeof(__nv_bfloat16);
  const size_t scatter = place.token / World * World * row + column;
  const size_t broadcast = place.token * row + column;
  WaitForEarlierGrids();
  const Lamport lamport(job.flags, kTwoShotStages);
  if (active) {
    Packet mine = LoadPacket(job.shard + static_cast<size_t>(place.token) * job.dim + element);
    Sanitise(mine);
    SendPacket(lamport.Stage(job.peers[owner], kScatter) + scatter + job.rank * row, mine);
  }
  LetLaterGridsStart();
  lamport.Clear(job.local, kScatter);
  if (active && owner == job.rank) {
    Packet sum = ReduceArrived<typename Policy::Compare, World>(
        lamport.Stage(job.local, kScatter) + scatter, row);
    if constexpr (Policy::kSanitiseSums) Sanitise(sum);
    SendToAll<World>(job, lamport, kBroadcast, broadcast, sum);
  }
  lamport.Clear(job.local, kBroadcast);
  if (!wait) return;
  lamport.ArriveBlock();
  if (active) {
    const Packet sum = AwaitBroadcast<Policy>(lamport.Stage(job.local, kBroadcast) + broadcast);
    if (job.out != nullptr) *reinterpret_cast<float4*>(job.out + broadcast / 2) = sum.packed;
  }
  if (place.first_of_grid) UpdateTwoShot<World>(lamport, job, place.blocks);
}

// The world size is a run-time value here, as in the field.
template <class Policy>
__device__ void NormAfterTwoShot(const Job& job, uint32_t world) {
  const Place place;
  const uint32_t element = place.thread * 8;
  const bool active = element < job.dim;
  LetLaterGridsStart();
  // Before the grid dependency on purpose: the two-shot kernel in front never writes the flags.
  const Lamport lamport(job.flags, kTwoShotStages);
  if constexpr (Policy::kBlockArrivals) {
    lamport.ArriveBlock();
  } else {
    lamport.ArriveCluster();
  }
  Packet sum = {};
  const size_t offset = (static_cast<size_t>(place.token) * job.dim + element) * 2;
  if (active) sum = AwaitBroadcast<Policy>(lamport.Stage(job.local, kBroadcast) + offset);
  job.tail().Finish(sum, place.token, element, active);
  WaitForEarlierGrids();
  if (place.first_of_grid) {
    const uint32_t row = job.dim * sizeof(__nv_bfloat16);
    const uint32_t rounded = (job.tokens + world - 1) / world * world;
    lamport.Update(Policy::kBlockArrivals ? place.blocks : place.clusters, rounded * row,
                   job.tokens * row);
  }
}

}  // namespace piecewise
