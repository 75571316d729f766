// The machine under the kernels: threads, barriers, clusters, memory operations, clocks. All inline
// PTX of the kernels is here.
//
// For nvcc these are the instructions themselves. For a host compiler they are declarations: the
// simulated device defines them and runs the same kernels on threads of its own
// (tests/device_sim/fibers). A grid is (n, c): n clusters of
// (1, c) blocks.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define LAMPLIGHT_DEVICE __device__ __forceinline__
#define LAMPLIGHT_MACHINE __device__ __forceinline__
#define LAMPLIGHT_UNROLL _Pragma("unroll")
// Off the way of most calls: apart from their code.
#define LAMPLIGHT_COLD inline __device__ __noinline__
#else
#define LAMPLIGHT_DEVICE inline
#define LAMPLIGHT_MACHINE
#define LAMPLIGHT_UNROLL
#define LAMPLIGHT_COLD inline
#endif

namespace lamplight::kernels::machine {

struct alignas(16) Words4 {
  uint32_t word[4];
};

inline constexpr uint32_t kWarp = 32;

#ifdef __CUDACC__

LAMPLIGHT_MACHINE uint32_t Thread() { return threadIdx.x; }
LAMPLIGHT_MACHINE uint32_t BlockThreads() { return blockDim.x; }
LAMPLIGHT_MACHINE uint32_t Cluster() { return blockIdx.x; }
LAMPLIGHT_MACHINE uint32_t Clusters() { return gridDim.x; }
LAMPLIGHT_MACHINE uint32_t BlockOfCluster() { return blockIdx.y; }
LAMPLIGHT_MACHINE uint32_t BlocksOfCluster() { return gridDim.y; }

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

LAMPLIGHT_MACHINE unsigned char* DynamicShared() {
  extern __shared__ __align__(16) unsigned char lamplight_dynamic_shared[];
  return lamplight_dynamic_shared;
}

// Data that nobody writes during the call.
LAMPLIGHT_MACHINE Words4 Load(const Words4* address) {
  const uint4 v = *reinterpret_cast<const uint4*>(address);
  return {{v.x, v.y, v.z, v.w}};
}
LAMPLIGHT_MACHINE void Store(Words4* address, const Words4& value) {
  *reinterpret_cast<uint4*>(address) =
      make_uint4(value.word[0], value.word[1], value.word[2], value.word[3]);
}

// The same, of addresses of which the compiler has lost sight that they are global.
LAMPLIGHT_MACHINE Words4 LoadGlobal(const Words4* address) {
  Words4 v;
  asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
               : "l"(address)
               : "memory");
  return v;
}

LAMPLIGHT_MACHINE void StoreGlobal(Words4* address, const Words4& v) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(address), "r"(v.word[0]),
               "r"(v.word[1]), "r"(v.word[2]), "r"(v.word[3])
               : "memory");
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

// `count` words that the block's first threads poll for all of it, `own` being each thread's. If
// every warp polled them by itself, a large grid's requests would queue for one sector of the L2
// cache, longer than the call takes. All threads of the block call it, once in a kernel.
template <uint32_t kMost>
LAMPLIGHT_MACHINE void PollForBlock(const uint32_t* own, uint32_t count, uint32_t (&words)[kMost]) {
  static_assert(kMost <= kWarp);
  __shared__ uint32_t seen[kMost];
  if (threadIdx.x < count) seen[threadIdx.x] = Poll(own);
  __syncthreads();
#pragma unroll
  for (uint32_t i = 0; i < kMost; ++i) words[i] = seen[i];
}
// The same for words that lie apart: `at(i)` is where the i-th is, and `own` that of this thread.
template <uint32_t kMost, class At>
LAMPLIGHT_MACHINE void PollForBlock(const uint32_t* own, uint32_t count, uint32_t (&words)[kMost],
                                    const At&) {
  PollForBlock(own, count, words);
}

// Does not let the thread go on before `value` has come. A load of one's own store comes back when
// the store is where every thread of the GPU sees it: that orders the few stores that need it, and
// waits for no others, as a fence would.
LAMPLIGHT_MACHINE void Await(uint32_t value) {
  asm volatile("{.reg .pred p;\nsetp.eq.u32 p, %0, 0xffffffff;\n@p nanosleep.u32 0;}" ::"r"(value)
               : "memory");
}

// A pair of lines of 128 bytes: 16 threads, one half of a warp, store 16 bytes each by one
// instruction. Each line ends with the tag, in place of eight bytes of its last thread; those of
// thread 7 go with thread 15, which has no unit. NVLink and the L2 cache keep the 128 bytes of such
// a store together, which NCCL's LL128 protocol rests on as well (NCCL 2.28,
// src/device/prims_ll128.h; enabled for NVLink in src/graph/tuning.cc).
//
// All lanes of a warp call these; `active` is the same for the 16 of a pair. `packet` is the lane's
// own 16 bytes.
LAMPLIGHT_MACHINE void SendPair(Words4* packet, Words4 value, uint64_t tag, bool active) {
  const uint32_t low = __shfl_sync(0xffffffffu, value.word[2], 7, 16);
  const uint32_t high = __shfl_sync(0xffffffffu, value.word[3], 7, 16);
  if (threadIdx.x % 16 == 15) {
    value.word[0] = low;
    value.word[1] = high;
  }
  if (threadIdx.x % 8 == 7) {
    value.word[2] = static_cast<uint32_t>(tag);
    value.word[3] = static_cast<uint32_t>(tag >> 32);
  }
  if (!active) return;
  asm volatile("st.volatile.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(packet),
               "r"(value.word[0]), "r"(value.word[1]), "r"(value.word[2]), "r"(value.word[3])
               : "memory");
}
LAMPLIGHT_MACHINE void PollPair(const Words4* packet, bool active, Words4* value) {
  if (!active) return;
  asm volatile("ld.volatile.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value->word[0]), "=r"(value->word[1]), "=r"(value->word[2]),
                 "=r"(value->word[3])
               : "l"(packet)
               : "memory");
}
// True in all lanes when every active line of the warp carries `tag`; `value` is then what
// CompletePair makes a unit of.
LAMPLIGHT_MACHINE bool PairIsHere(uint64_t tag, bool active, const Words4& value) {
  const bool here = !active || threadIdx.x % 8 != 7 ||
                    (value.word[2] == static_cast<uint32_t>(tag) &&
                     value.word[3] == static_cast<uint32_t>(tag >> 32));
  return __all_sync(0xffffffffu, here);
}
// Gives thread 7 of each pair what thread 15 carried for it.
LAMPLIGHT_MACHINE void CompletePair(Words4* value) {
  const uint32_t low = __shfl_sync(0xffffffffu, value->word[0], 15, 16);
  const uint32_t high = __shfl_sync(0xffffffffu, value->word[1], 15, 16);
  if (threadIdx.x % 16 != 7) return;
  value->word[2] = low;
  value->word[3] = high;
}

// True in all lanes of a warp when it is in one of them. All of them call it.
LAMPLIGHT_MACHINE bool AnyOfWarp(bool here) { return __any_sync(0xffffffffu, here) != 0; }

// Adds to a count; returns the count before. It orders no memory: a fence here would wait for every
// store of the multiprocessor that is still on its way, over the bus and the link too.
LAMPLIGHT_MACHINE uint32_t CountIn(uint32_t* counter, uint32_t step) {
  uint32_t before;
  asm volatile("atom.relaxed.gpu.global.add.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(counter), "r"(step)
               : "memory");
  return before;
}
LAMPLIGHT_MACHINE uint64_t CountIn(uint64_t* counter, uint64_t step) {
  uint64_t before;
  asm volatile("atom.relaxed.gpu.global.add.u64 %0, [%1], %2;"
               : "=l"(before)
               : "l"(counter), "l"(step)
               : "memory");
  return before;
}
// The same, and nobody waits for it. By the first thread of a block: the address is made from the
// thread's number, which is 0, for the assembler would else count by how many threads it is called.
LAMPLIGHT_MACHINE void AddByFirst(uint64_t* counter, uint64_t step) {
  asm volatile(
      "{.reg .u32 thread;\n.reg .u64 place;\n"
      "mov.u32 thread, %%tid.x;\n"
      "mad.wide.u32 place, thread, 8, %0;\n"
      "red.relaxed.gpu.global.add.u64 [place], %1;}" ::"l"(counter),
      "l"(step)
      : "memory");
}
LAMPLIGHT_MACHINE uint64_t TakeTicket(uint64_t* counter) {
  return atomicAdd(reinterpret_cast<unsigned long long*>(counter), 1ull);
}
// Host-mapped memory. True for the first caller.
LAMPLIGHT_MACHINE bool Claim(uint32_t* flag) { return atomicCAS_system(flag, 0u, 1u) == 0; }
LAMPLIGHT_MACHINE void FenceSystem() { __threadfence_system(); }

LAMPLIGHT_MACHINE uint64_t TimeNs() {
  uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

LAMPLIGHT_MACHINE float InverseRoot(float value) { return rsqrtf(value); }

// The same words. The compiler makes nothing of them any earlier, which would take registers.
LAMPLIGHT_MACHINE Words4 NotEarlier(Words4 words) {
  asm volatile(""
               : "+r"(words.word[0]), "+r"(words.word[1]), "+r"(words.word[2]),
                 "+r"(words.word[3]));
  return words;
}

// The same address, ready when this is called: a shuffle, which the assembler neither moves behind
// a wait, as it does with what the address is made of, nor sees through. All lanes of the warp call
// it, each with an address of its own.
template <class T>
LAMPLIGHT_MACHINE T* Settled(T* address) {
  uint64_t settled;
  asm volatile(
      "{.reg .u32 lane, low, high;\n"
      "mov.u32 lane, %%laneid;\n"
      "mov.b64 {low, high}, %1;\n"
      "shfl.sync.idx.b32 low, low, lane, 31, 0xffffffff;\n"
      "shfl.sync.idx.b32 high, high, lane, 31, 0xffffffff;\n"
      "mov.b64 %0, {low, high};}"
      : "=l"(settled)
      : "l"(address));
  return reinterpret_cast<T*>(settled);
}

// The same address. The compiler makes it by itself, and not together with what is added to it:
// ready before that is known.
LAMPLIGHT_MACHINE char* Apart(char* address) {
  asm("" : "+l"(address));
  return address;
}

// Every polling loop calls it.
LAMPLIGHT_MACHINE void Relax() {}

LAMPLIGHT_MACHINE void Trap() { __trap(); }

#else

uint32_t Thread();
uint32_t BlockThreads();
uint32_t Cluster();
uint32_t Clusters();
uint32_t BlockOfCluster();
uint32_t BlocksOfCluster();
void AwaitEarlierGrids();
void LetLaterGridsStart();
void SyncBlock();
void AnnounceToCluster();
void AwaitClusterBegun();
void AnnounceProgress();
void AwaitProgress();
float ClusterSum(float value, uint32_t round);
float ClusterMax(float value, uint32_t round);
unsigned char* DynamicShared();
Words4 Load(const Words4* address);
void Store(Words4* address, const Words4& value);
inline Words4 LoadGlobal(const Words4* address) { return Load(address); }
inline void StoreGlobal(Words4* address, const Words4& value) { Store(address, value); }
Words4 Poll(const Words4* address);
void Send(Words4* address, const Words4& value);
uint32_t Poll(const uint32_t* address);
uint64_t Poll(const uint64_t* address);
template <uint32_t kMost>
void PollForBlock(const uint32_t* own, uint32_t count, uint32_t (&words)[kMost]) {
  for (uint32_t i = 0; i < count; ++i) words[i] = Poll(own - Thread() + i);
}
template <uint32_t kMost, class At>
void PollForBlock(const uint32_t*, uint32_t count, uint32_t (&words)[kMost], const At& at) {
  for (uint32_t i = 0; i < count; ++i) words[i] = Poll(at(i));
}
void Await(uint32_t value);
void SendPair(Words4* packet, Words4 value, uint64_t tag, bool active);
void PollPair(const Words4* packet, bool active, Words4* value);
bool PairIsHere(uint64_t tag, bool active, const Words4& value);
void CompletePair(Words4* value);
bool AnyOfWarp(bool here);
uint32_t CountIn(uint32_t* counter, uint32_t step);
uint64_t CountIn(uint64_t* counter, uint64_t step);
void AddByFirst(uint64_t* counter, uint64_t step);
uint64_t TakeTicket(uint64_t* counter);
bool Claim(uint32_t* flag);
void FenceSystem();
uint64_t TimeNs();
float InverseRoot(float value);
inline Words4 NotEarlier(Words4 words) { return words; }
template <class T>
T* Settled(T* address) {
  return address;
}
inline char* Apart(char* address) { return address; }
void Relax();
void Trap();

#endif

}  // namespace lamplight::kernels::machine

#ifdef __CUDACC__
#include "kernels/machine_cluster.cuh"
#endif
