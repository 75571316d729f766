// The machine under the kernels: threads, barriers, clusters, memory operations, clocks. All inline
// PTX of the kernels is here.
//
// For nvcc these are the instructions themselves. For a host compiler they are declarations: the
// simulated device defines them and runs the same kernels on threads of its own
// (tests/device_sim/fibers). A grid is (tokens, c) with clusters of (1, c).
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#include <cooperative_groups.h>
#define LAMPLIGHT_DEVICE __device__ __forceinline__
#define LAMPLIGHT_MACHINE __device__ __forceinline__
#define LAMPLIGHT_UNROLL _Pragma("unroll")
#else
#define LAMPLIGHT_DEVICE inline
#define LAMPLIGHT_MACHINE
#define LAMPLIGHT_UNROLL
#endif

namespace lamplight::kernels::machine {

struct alignas(16) Words4 {
  uint32_t word[4];
};
struct alignas(8) Words2 {
  uint32_t word[2];
};

// Memory that the threads of a block share.
struct BlockScratch {
  float warp_sum[32];
  float warp_max[32];
  float sum_of[8];  // of each block of the cluster
  float max_of[8];
};

inline constexpr uint32_t kWarp = 32;

#ifdef __CUDACC__

LAMPLIGHT_MACHINE uint32_t Thread() { return threadIdx.x; }
LAMPLIGHT_MACHINE uint32_t BlockThreads() { return blockDim.x; }
LAMPLIGHT_MACHINE uint32_t Token() { return blockIdx.x; }
LAMPLIGHT_MACHINE uint32_t Tokens() { return gridDim.x; }
LAMPLIGHT_MACHINE uint32_t BlockOfToken() { return blockIdx.y; }
LAMPLIGHT_MACHINE uint32_t BlocksOfToken() { return gridDim.y; }

// Returns when the grids before this one have ended and their stores are visible.
LAMPLIGHT_MACHINE void AwaitEarlierGrids() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The grids behind this one may start when every block has called it or ended. It orders no memory.
LAMPLIGHT_MACHINE void LetLaterGridsStart() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

LAMPLIGHT_MACHINE void SyncBlock() { __syncthreads(); }

LAMPLIGHT_MACHINE void SyncCluster() {
#if __CUDA_ARCH__ >= 900
  if (gridDim.y > 1) {
    asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
    return;
  }
#endif
  __syncthreads();
}

// In two halves, around work that needs no order: all blocks of the cluster have begun.
LAMPLIGHT_MACHINE void AnnounceToCluster() {
#if __CUDA_ARCH__ >= 900
  if (gridDim.y > 1) asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
#endif
}
LAMPLIGHT_MACHINE void AwaitClusterBegun() {
#if __CUDA_ARCH__ >= 900
  if (gridDim.y > 1) asm volatile("barrier.cluster.wait;" ::: "memory");
#endif
}

LAMPLIGHT_MACHINE BlockScratch& Scratch() {
  __shared__ BlockScratch scratch;
  return scratch;
}

// The scratch of another block of the cluster.
LAMPLIGHT_MACHINE BlockScratch& ScratchOf(uint32_t block) {
#if __CUDA_ARCH__ >= 900
  if (gridDim.y > 1) {
    return *cooperative_groups::this_cluster().map_shared_rank(&Scratch(), block);
  }
#endif
  (void)block;
  return Scratch();
}

LAMPLIGHT_MACHINE unsigned char* DynamicShared() {
  extern __shared__ __align__(16) unsigned char lamplight_dynamic_shared[];
  return lamplight_dynamic_shared;
}

template <class Combine>
__device__ __forceinline__ float WarpCombine(float value, Combine combine) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, lanes));
  }
  return value;
}
// All threads of a warp call these.
LAMPLIGHT_MACHINE float WarpSum(float value) {
  return WarpCombine(value, [](float a, float b) { return a + b; });
}
LAMPLIGHT_MACHINE float WarpMax(float value) {
  return WarpCombine(value, [](float a, float b) { return fmaxf(a, b); });
}

// Data that nobody writes during the call.
LAMPLIGHT_MACHINE Words4 Load(const Words4* address) {
  const uint4 v = *reinterpret_cast<const uint4*>(address);
  return {{v.x, v.y, v.z, v.w}};
}
LAMPLIGHT_MACHINE Words2 Load(const Words2* address) {
  const uint2 v = *reinterpret_cast<const uint2*>(address);
  return {{v.x, v.y}};
}
LAMPLIGHT_MACHINE void Store(Words4* address, const Words4& value) {
  *reinterpret_cast<uint4*>(address) =
      make_uint4(value.word[0], value.word[1], value.word[2], value.word[3]);
}
LAMPLIGHT_MACHINE void Store(Words2* address, const Words2& value) {
  *reinterpret_cast<uint2*>(address) = make_uint2(value.word[0], value.word[1]);
}

// Words that another GPU writes, or polls. Each 32-bit word is read or written whole; the words of
// one access may be seen in any order. (Volatile and relaxed at system scope are the same
// accesses.)
LAMPLIGHT_MACHINE Words4 Poll(const Words4* address) {
  Words4 v;
  asm volatile("ld.relaxed.sys.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
               : "l"(address)
               : "memory");
  return v;
}
LAMPLIGHT_MACHINE void Send(Words4* address, const Words4& v) {
  asm volatile("st.relaxed.sys.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(address),
               "r"(v.word[0]), "r"(v.word[1]), "r"(v.word[2]), "r"(v.word[3])
               : "memory");
}
LAMPLIGHT_MACHINE uint32_t Poll(const uint32_t* address) {
  uint32_t value;
  asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
  return value;
}
LAMPLIGHT_MACHINE uint64_t Poll(const uint64_t* address) {
  uint64_t value;
  asm volatile("ld.relaxed.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(address) : "memory");
  return value;
}
LAMPLIGHT_MACHINE void Send(uint64_t* address, uint64_t value) {
  asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(address), "l"(value) : "memory");
}

// A line of 128 bytes: 16 threads, one half of a warp, store 8 bytes each by one instruction, and
// the last of them holds the tag. NVLink and the L2 cache keep such a store together, which NCCL's
// LL128 protocol rests on as well (NCCL 2.28, src/device/prims_ll128.h; enabled for NVLink in
// src/graph/tuning.cc). All 16 threads call both.
LAMPLIGHT_MACHINE void SendLine(uint64_t* line, uint32_t slot, uint64_t value) {
  asm volatile("st.volatile.global.u64 [%0], %1;" ::"l"(line + slot), "l"(value) : "memory");
}
// True in all 16 threads when the line carries `tag`; `value` is then the thread's own 8 bytes.
LAMPLIGHT_MACHINE bool PollLine(const uint64_t* line, uint32_t slot, uint64_t tag,
                                uint64_t* value) {
  asm volatile("ld.volatile.global.u64 %0, [%1];" : "=l"(*value) : "l"(line + slot) : "memory");
  const uint32_t half = threadIdx.x & 16;
  const uint64_t seen = __shfl_sync(0xffffu << half, *value, 15, 16);
  return seen == tag;
}

// True in all 16 threads of a line when it is in one of them. All of them call it.
LAMPLIGHT_MACHINE bool AnyOfLine(bool here) {
  return __any_sync(0xffffu << (threadIdx.x & 16), here) != 0;
}

// Counts one in; returns the count before. Everything that the caller's cluster did before its
// barrier is visible to whoever counts in later.
LAMPLIGHT_MACHINE uint32_t CountIn(uint32_t* counter) {
  uint32_t before;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;"
               : "=r"(before)
               : "l"(counter)
               : "memory");
  return before;
}
LAMPLIGHT_MACHINE uint64_t TakeTicket(uint64_t* counter) {
  return atomicAdd(reinterpret_cast<unsigned long long*>(counter), 1ull);
}
// Host-mapped memory. True for the first caller.
LAMPLIGHT_MACHINE bool Claim(uint32_t* flag) { return atomicCAS_system(flag, 0u, 1u) == 0; }
LAMPLIGHT_MACHINE void FenceDevice() { __threadfence(); }
LAMPLIGHT_MACHINE void FenceSystem() { __threadfence_system(); }

LAMPLIGHT_MACHINE uint64_t TimeNs() {
  uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

LAMPLIGHT_MACHINE float InverseRoot(float value) { return rsqrtf(value); }

// Every polling loop calls it.
LAMPLIGHT_MACHINE void Relax() {}

LAMPLIGHT_MACHINE void Trap() { __trap(); }

#else

uint32_t Thread();
uint32_t BlockThreads();
uint32_t Token();
uint32_t Tokens();
uint32_t BlockOfToken();
uint32_t BlocksOfToken();
void AwaitEarlierGrids();
void LetLaterGridsStart();
void SyncBlock();
void SyncCluster();
void AnnounceToCluster();
void AwaitClusterBegun();
BlockScratch& Scratch();
BlockScratch& ScratchOf(uint32_t block);
unsigned char* DynamicShared();
float WarpSum(float value);
float WarpMax(float value);
Words4 Load(const Words4* address);
Words2 Load(const Words2* address);
void Store(Words4* address, const Words4& value);
void Store(Words2* address, const Words2& value);
Words4 Poll(const Words4* address);
void Send(Words4* address, const Words4& value);
uint32_t Poll(const uint32_t* address);
uint64_t Poll(const uint64_t* address);
void Send(uint64_t* address, uint64_t value);
void SendLine(uint64_t* line, uint32_t slot, uint64_t value);
bool PollLine(const uint64_t* line, uint32_t slot, uint64_t tag, uint64_t* value);
bool AnyOfLine(bool here);
uint32_t CountIn(uint32_t* counter);
uint64_t TakeTicket(uint64_t* counter);
bool Claim(uint32_t* flag);
void FenceDevice();
void FenceSystem();
uint64_t TimeNs();
float InverseRoot(float value);
void Relax();
void Trap();

#endif

}  // namespace lamplight::kernels::machine
