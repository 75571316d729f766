// One all-reduce + residual + RMSNorm call of one rank, and the kernel variants that can carry it
// out.
//
// Plain structs and free functions; a rank calls them from its own thread. Pointers are device
// pointers to bf16 unless said otherwise.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace piecewise {

// The flag words of one workspace, as every kernel here reads and writes them.
enum FlagWord : uint32_t {
  kCurrent = 0,
  kDirty = 1,
  kBytesPerBuffer = 2,
  kDirtyStages = 3,
  kClearBytes = 4,  // one word per stage, four stages
  kArrivals = 8,
  // Not part of the protocol: behind the nine words that the field knows.
  kLosePeriod = 12,  // the legacy kernels lose every n-th index update; 0: none
  kCalls = 13,       // updates so far, counted only while kLosePeriod is set
  kFlagWords = 16,
};

inline constexpr uint32_t kGenerations = 3;
inline constexpr uint32_t kSentinel = 0x80000000u;

// What stays the same over all calls of a rank.
struct Endpoint {
  void* const* peers;  // device array: every rank's buffer
  void* local;
  uint32_t* flags;
  const void* gamma;
  int world;
  int rank;
  int dim;
  float epsilon;
  bool pdl;
  int device_major;
};

struct CollectiveCall {
  const void* shard;
  const void* residual_in;
  void* prenorm;
  void* out;
  int tokens;
  bool two_shot;
  uint32_t index;  // call number, counted by the host; only baked-index uses it
};

// Both throw CudaError. Preload makes sure that no kernel is loaded behind a spinning one later.
struct Collective {
  void (*preload)(int world);
  void (*launch)(const Endpoint&, const CollectiveCall&, cudaStream_t);
};

extern const Collective kLegacyCollective;
extern const Collective kGoodCollective;
extern const Collective kBakedIndexCollective;

}  // namespace piecewise
