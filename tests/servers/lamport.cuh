// Device side of the Lamport protocol, shared by the kernel variants: flag words, stages, packets,
// sums over a token.
//
// A translation unit chooses the compare by its policy and its compiler flags. Every thread of a
// block calls the members that say so.
#pragma once

#include <cooperative_groups.h>
#include <cuda_bf16.h>

#include <cstdint>

#include "collective.h"

namespace piecewise {

// 16 bytes: what one thread sends, polls and reduces.
union Packet {
  float4 packed;
  uint32_t word[4];
  __nv_bfloat16 element[8];
};

// Bits decide: only the sentinel itself is absent.
struct BitCompare {
  static __device__ bool Absent(uint32_t word) { return word == kSentinel; }
};

__device__ inline Packet PollPacket(const void* address) {
  Packet packet;
  asm volatile("ld.volatile.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(packet.word[0]), "=r"(packet.word[1]), "=r"(packet.word[2]),
                 "=r"(packet.word[3])
               : "l"(address)
               : "memory");
  return packet;
}

__device__ inline void SendPacket(void* address, const Packet& packet) {
  asm volatile("st.volatile.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(address),
               "r"(packet.word[0]), "r"(packet.word[1]), "r"(packet.word[2]), "r"(packet.word[3])
               : "memory");
}

__device__ inline Packet LoadPacket(const void* address) {
  Packet packet;
  packet.packed = *static_cast<const float4*>(address);
  return packet;
}

// bf16 −0 becomes +0, so that no word that is sent equals the sentinel.
__device__ inline void Sanitise(Packet& packet) {
#pragma unroll
  for (uint32_t& word : packet.word) {
    if ((word & 0xffff0000u) == 0x80000000u) word &= 0x0000ffffu;
    if ((word & 0x0000ffffu) == 0x00008000u) word &= 0xffff0000u;
  }
}

// Where this thread stands. `thread` counts over the cluster of one token, or over the blocks of
// one token where there are no clusters.
struct Place {
  uint32_t token;
  uint32_t thread;
  bool first_of_grid;
  uint32_t clusters;
  uint32_t blocks;

  __device__ Place()
      : token(blockIdx.x),
        thread(blockIdx.y * blockDim.x + threadIdx.x),
        first_of_grid(blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x == 0),
        clusters(gridDim.x * gridDim.y),
        blocks(gridDim.x * gridDim.y) {
#if __CUDA_ARCH__ >= 900
    clusters /= cooperative_groups::this_cluster().num_blocks();
#endif
  }
};

__device__ inline void WaitForEarlierGrids() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

__device__ inline void LetLaterGridsStart() {
#if __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

// The flag words as they were when the kernel began.
class Lamport {
 public:
  __device__ Lamport(uint32_t* flags, uint32_t stages) : flags_(flags), stages_(stages) {
    const uint4 head = reinterpret_cast<const uint4*>(flags)[0];
    const uint4 clear = reinterpret_cast<const uint4*>(flags)[1];
    entry_ = head.x;
    current_ = head.x;
    dirty_ = head.y;
    bytes_ = head.z;
    dirty_stages_ = head.w;
    clear_bytes_[0] = clear.x;
    clear_bytes_[1] = clear.y;
    clear_bytes_[2] = clear.z;
    clear_bytes_[3] = clear.w;
  }

  __device__ void UseGeneration(uint32_t generation) { current_ = generation; }

  __device__ char* Stage(void* base, uint32_t stage) const {
    return StageOf(base, current_, stage, stages_);
  }

  __device__ char* StageOf(void* base, uint32_t generation, uint32_t stage, uint32_t stages) const {
    return static_cast<char*>(base) +
           static_cast<size_t>(generation * stages + stage) * (bytes_ / stages);
  }

  // All threads of the grid share the work.
  __device__ void Clear(void* local, uint32_t stage) const {
    if (stage >= dirty_stages_) return;
    const uint32_t block = blockIdx.x * gridDim.y + blockIdx.y;
    const uint32_t first = block * blockDim.x + threadIdx.x;
    const uint32_t stride = gridDim.x * gridDim.y * blockDim.x;
    Packet empty;
    for (uint32_t& word : empty.word) word = kSentinel;
    char* target = StageOf(local, dirty_, stage, dirty_stages_);
    const uint32_t packets = (clear_bytes_[stage] + sizeof(Packet) - 1) / sizeof(Packet);
    for (uint32_t i = first; i < packets; i += stride) {
      SendPacket(target + i * sizeof(Packet), empty);
    }
  }

  __device__ void ClearAll(void* local) const {
    for (uint32_t stage = 0; stage < dirty_stages_; ++stage) Clear(local, stage);
  }

  // Once per cluster, when all of its threads have read the flags.
  __device__ void ArriveCluster() const {
#if __CUDA_ARCH__ >= 900
    const auto cluster = cooperative_groups::this_cluster();
    cluster.sync();
    if (cluster.thread_rank() == 0) Arrive();
#else
    ArriveBlock();
#endif
  }

  __device__ void ArriveBlock() const {
    __syncthreads();
    if (threadIdx.x == 0) Arrive();
  }

  // First thread of the grid only: waits for everyone, then moves the index on.
  __device__ void Update(uint32_t target, uint32_t clear0, uint32_t clear1) const {
    volatile uint32_t* arrivals = flags_ + kArrivals;
    while (*arrivals < target) {
    }
    if (!LosesUpdate()) {
      reinterpret_cast<uint4*>(flags_)[0] =
          make_uint4((entry_ + 1) % kGenerations, entry_, bytes_, stages_);
      reinterpret_cast<uint4*>(flags_)[1] = make_uint4(clear0, clear1, 0, 0);
    }
    *arrivals = 0;
  }

 private:
  __device__ bool LosesUpdate() const {
    const uint32_t period = flags_[kLosePeriod];
    if (period == 0) return false;
    const uint32_t calls = ++flags_[kCalls];
    return calls % period == 0;
  }

  __device__ void Arrive() const {
    asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(flags_ + kArrivals) : "memory");
  }

  uint32_t* flags_;
  uint32_t stages_;
  uint32_t entry_;    // the words move on from here
  uint32_t current_;  // the generation that this call uses
  uint32_t dirty_;
  uint32_t bytes_;
  uint32_t dirty_stages_;
  uint32_t clear_bytes_[4];
};

// Sum over all threads of a token (the blocks of its cluster). All threads call it.
__device__ inline float TokenSum(float value) {
  __shared__ float warp_sums[32];
  __shared__ float block_sum;
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, lanes);
  }
  if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x == 0) {
    float sum = 0;
    for (uint32_t warp = 0; warp < blockDim.x / 32; ++warp) sum += warp_sums[warp];
    block_sum = sum;
  }
  __syncthreads();
#if __CUDA_ARCH__ >= 900
  const auto cluster = cooperative_groups::this_cluster();
  if (cluster.num_blocks() > 1) {
    cluster.sync();
    float sum = 0;
    for (uint32_t block = 0; block < cluster.num_blocks(); ++block) {
      sum += *cluster.map_shared_rank(&block_sum, block);
    }
    cluster.sync();  // a block must not leave while its sum is read
    return sum;
  }
#endif
  return block_sum;
}

// Residual, RMSNorm and the outputs of one packet. All threads of the token call it; `active` ones
// own a packet.
struct NormTail {
  __nv_bfloat16* out;
  __nv_bfloat16* prenorm;
  const __nv_bfloat16* residual;
  const __nv_bfloat16* gamma;
  float weight_bias;
  float epsilon;
  uint32_t dim;

  __device__ void Finish(Packet sum, uint32_t token, uint32_t element, bool active) const {
    const size_t offset = static_cast<size_t>(token) * dim + element;
    float squares = 0;
    if (active) {
      const Packet residual_in = LoadPacket(residual + offset);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const float value =
            __bfloat162float(sum.element[i]) + __bfloat162float(residual_in.element[i]);
        sum.element[i] = __float2bfloat16(value);
        const float rounded = __bfloat162float(sum.element[i]);
        squares += rounded * rounded;
      }
      *reinterpret_cast<float4*>(prenorm + offset) = sum.packed;
    }
    const float scale = rsqrtf(TokenSum(squares) / static_cast<float>(dim) + epsilon);
    if (!active) return;
    const Packet weight = LoadPacket(gamma + element);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      sum.element[i] = __float2bfloat16(__bfloat162float(sum.element[i]) * scale *
                                        (__bfloat162float(weight.element[i]) + weight_bias));
    }
    *reinterpret_cast<float4*>(out + offset) = sum.packed;
  }
};

// Polls one packet of every rank until the policy calls all their words arrived, then adds them up
// in rank order.
template <class Compare, int World>
__device__ Packet ReduceArrived(const char* first, size_t rank_stride) {
  Packet packets[World];
  bool complete;
  do {
    complete = true;
#pragma unroll
    for (int rank = 0; rank < World; ++rank) {
      packets[rank] = PollPacket(first + rank * rank_stride);
#pragma unroll
      for (const uint32_t word : packets[rank].word) complete &= !Compare::Absent(word);
    }
  } while (!complete);
  Packet sum;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    float total = 0;
#pragma unroll
    for (int rank = 0; rank < World; ++rank) total += __bfloat162float(packets[rank].element[i]);
    sum.element[i] = __float2bfloat16(total);
  }
  return sum;
}

}  // namespace piecewise
