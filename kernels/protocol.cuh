// The Lamport flag protocol of FlashInfer's MNNVL all-reduce kernels: words, stages, sentinel.
//
// Plain constants and pure functions, usable from host C++ and from device code; includes neither
// the shim nor the analyzer. Thread-safe: no state.
//
// Sources: FlashInfer 0.6.4, include/flashinfer/comm/trtllm_mnnvl_allreduce.cuh (LamportFlags,
// LamportBufferLayout, isNegZero); eras are explained in docs/hazards.md.
#pragma once

#include <cstdint>

#include "kernels/host_device.h"

namespace lamplight::protocol {

// "Not here yet": fp32 −0.0. Every 32-bit word of a workspace is initialised and re-armed to it.
inline constexpr uint32_t kSentinel = 0x80000000u;
// The same for workspaces of the non-MNNVL family that are made for 16-bit types: −0 in each half.
inline constexpr uint32_t kHalfSentinels = 0x80008000u;
// Generations of buffer that rotate; call n uses generation n % 3.
inline constexpr uint32_t kGenerations = 3;
inline constexpr uint32_t kMaxStages = 4;

// Word positions in bufferFlags, eras C–G (FlashInfer 0.6.0rc1 and later).
enum FlagWord : uint32_t {
  kCurrentIndex = 0,
  kDirtyIndex = 1,
  kBytesPerBuffer = 2,
  kDirtyStages = 3,
  kClearBytes0 = 4,  // one word per stage, 4..7
  kArrivals = 8,     // see ArrivalsIn
  kFlagWords = 9,
};

// Word positions in workspace[3W] of the non-MNNVL family (FlashInfer 0.2.9 and later,
// include/flashinfer/comm/trtllm_allreduce_fusion.cuh, LamportComm).
enum UnicastWord : uint32_t {
  kUnicastArrivals = 0,  // see ArrivalsIn
  kUnicastSyncFlag = 1,  // of the two-shot kernel, which shares the arrivals
  kUnicastIndex = 2,
  kUnicastGenerationBytes = 3,
  kUnicastClearElements = 4,
  kUnicastWords = 5,
};

// What workspace[3W + 1] leads to from about TensorRT-LLM 1.3.0rc0 on, where workspace[3W] has the
// first three words only (cpp/tensorrt_llm/kernels/communicationKernels/allReduceWorkspace.cu).
struct UnicastSizes {
  uint64_t clear_elements;
  uint64_t generation_bytes;
};

// What one cluster of a kernel of ours adds to the arrivals word of a workspace of any kind: one in
// each half (kernels/arrivals.cuh). Kernels of the field add 1.
inline constexpr uint32_t kArrivalStep = 0x10001u;

// Clusters, or blocks, that have arrived by an arrivals word, whoever counted, with what was left
// there before.
LAMPLIGHT_HD constexpr uint32_t ArrivalsIn(uint32_t word) {
  const uint32_t upper = word >> 16;
  const uint32_t lower = word & 0xffffu;
  return upper != 0 && upper <= lower ? lower : word;
}

// How a kernel decides that a word has arrived.
enum class Compare : uint8_t {
  kUnknown = 0,
  kBitwise = 1,     // word != 0x80000000
  kFlushToZero = 2  // fp32 compare under -use_fast_math: negative subnormals also look absent
};

// The class of one payload word, as a flush-to-zero fp32 compare sees it.
enum class WordClass : uint8_t { kArmed = 0, kAlias = 1, kArrived = 2 };

// kAlias: a negative fp32 subnormal. It has arrived, and a flush-to-zero compare calls it absent.
LAMPLIGHT_HD constexpr WordClass Classify(uint32_t word) {
  if (word == kSentinel) return WordClass::kArmed;
  const bool negative = (word >> 31) != 0;
  const bool zero_exponent = (word & 0x7f800000u) == 0;
  return negative && zero_exponent ? WordClass::kAlias : WordClass::kArrived;
}

// True when the kernel's own compare takes `word` for data.
LAMPLIGHT_HD constexpr bool LooksArrived(uint32_t word, Compare compare) {
  const WordClass word_class = Classify(word);
  if (compare == Compare::kFlushToZero) return word_class == WordClass::kArrived;
  return word_class != WordClass::kArmed;
}

LAMPLIGHT_HD constexpr uint32_t NextIndex(uint32_t index) { return (index + 1) % kGenerations; }

// Bytes from the workspace base to (generation, stage); stages share a generation evenly.
LAMPLIGHT_HD constexpr uint64_t StageOffset(uint32_t generation, uint32_t stage, uint32_t stages,
                                            uint32_t bytes_per_buffer) {
  return static_cast<uint64_t>(generation * stages + stage) * (bytes_per_buffer / stages);
}

// One-shot (1 stage): element offset of (token, rank) inside its stage.
LAMPLIGHT_HD constexpr uint64_t OneShotSlot(uint64_t token, uint32_t rank, uint32_t world,
                                            uint64_t dim) {
  return (token * world + rank) * dim;
}

// Two-shot stage 0 (SCATTER), in the workspace of the owner `token % world`.
LAMPLIGHT_HD constexpr uint64_t ScatterSlot(uint64_t token, uint32_t rank, uint32_t world,
                                            uint64_t dim) {
  return ((token / world) * world + rank) * dim;
}

// Two-shot stage 1 (BROADCAST), in every workspace.
LAMPLIGHT_HD constexpr uint64_t BroadcastSlot(uint64_t token, uint64_t dim) { return token * dim; }

static_assert(ArrivalsIn(3 * kArrivalStep) == 3 && ArrivalsIn(3 * kArrivalStep + 2) == 5);
static_assert(ArrivalsIn(3) == 3 && ArrivalsIn(0x20000u) == 0x20000u);
static_assert(Classify(0x80000000u) == WordClass::kArmed);
static_assert(Classify(0x80010000u) == WordClass::kAlias);
static_assert(Classify(0x00000001u) == WordClass::kArrived);
static_assert(Classify(0x80800000u) == WordClass::kArrived);

}  // namespace lamplight::protocol
