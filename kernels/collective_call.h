// What one launch of a collective kernel is told: plain data, passed by value, for host C++, device
// code and the simulated device. No state; thread-safe.
//
// All addresses are device addresses. `hidden` counts elements, `tokens` rows of `hidden` elements;
// every tensor is dense and row-major, every row a multiple of 16 bytes and 16-byte aligned.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/host_device.h"

namespace lamplight::kernels {

enum class DataType : uint8_t { kFp16 = 0, kBf16 = 1, kFp32 = 2 };

// How the ranks exchange data through a workspace.
enum class Protocol : uint8_t {
  kMnnvl = 0,    // FlashInfer's MNNVL workspaces, eras C–G: 32-bit sentinels, nine flag words
  kUnicast = 1,  // FlashInfer's non-MNNVL ("trtllm") Lamport workspaces: sentinel elements
  kEpoch = 2,    // our own: packets carry the number of the call, nothing is ever cleared
  kUnicastInWords = 3  // TensorRT-LLM's Lamport workspaces, of the same build: sentinel words
};

LAMPLIGHT_HD constexpr bool IsUnicast(Protocol protocol) {
  return protocol == Protocol::kUnicast || protocol == Protocol::kUnicastInWords;
}

enum class Kernel : uint8_t {
  kOneShot = 0,       // all-reduce and, if asked, residual + RMSNorm
  kTwoShot = 1,       // the same by scatter and broadcast, in one kernel
  kTwoShotSends = 2,  // MNNVL only: all-reduce alone; the norm, or this kernel, awaits the sums
  kTwoShotNorm = 3    // MNNVL only: awaits the sums of the kernel before it; residual + RMSNorm
};

enum class Quantisation : uint8_t {
  kNone = 0,
  kFp8 = 1,          // e4m3 by one scale in device memory
  kFp8PerToken = 2,  // e4m3, the scale of each token is an output
  kNvfp4 = 3         // e2m1, an e4m3 scale for every 16 elements, and one global scale
};

// Where NVFP4 scales go. Values of FlashInfer's QuantizationSFLayout
// (0.7.2, include/flashinfer/fp4_layout.cuh).
enum class ScaleLayout : uint8_t { kSwizzled128x4 = 0, kLinear = 2 };

enum CallOption : uint8_t {
  kNorm = 1,              // residual + RMSNorm; otherwise the sums are the output
  kAwaitSums = 2,         // kTwoShotSends: awaits the sums itself and moves the flags on
  kTrapOnTimeout = 4,     // otherwise a late peer is reported and waited for
  kTrapOnDivergence = 8,  // otherwise what a diverging peer will not send becomes NaN
  // What starts behind this call waits until all of it has ended, its stores too: it need not see
  // them through itself. Promised by the caller, or set by the shim where a graph's edges say so.
  kFollowersWait = 16,
  // kUnicastInWords: `peer_table`[world + 1] leads to the workspace's sizes (protocol.cuh).
  // Otherwise the state words hold them, and there is no such pointer.
  kSizesApart = 32
};

inline constexpr uint32_t kInlinePeers = 8;
inline constexpr uint32_t kMaxWorld = 64;
// Of general kernels. More would leave a thread too few registers for eight ranks' packets.
inline constexpr uint32_t kMaxBlockThreads = 512;
// Of plain kernels (plain.cuh): a row of 4096 16-bit elements, with tags.
inline constexpr uint32_t kMaxPlainThreads = 640;
inline constexpr uint32_t kPlainRegisters = 80;  // of kernels for two and four ranks
// Threads that a multiprocessor has room for: each of its four parts has 16384 registers, taken by
// whole warps.
LAMPLIGHT_HD constexpr uint32_t ThreadsWith(uint32_t registers) {
  return 16384 / (32 * registers) * 4 * 32;
}

// Why a kernel wrote a diagnostic.
enum class Trouble : uint32_t {
  kNothing = 0,
  kTimeout = 1,         // a packet is awaited for longer than the limit; the kernel waits on
  kDivergence = 2,      // a peer's header for this call names another shape
  kCapacity = 3,        // the call does not fit the workspace as its state describes it
  kCorruptState = 4,    // the workspace's state words are impossible
  kArrivalResidue = 5,  // the arrivals word held more than this grid counted; `word` says how much
  kMisaligned = 6       // a tensor or the workspace is not 16-byte aligned
};

// The first trouble of a workspace's owner, in host-mapped memory. `claim` is taken by one thread
// of the device; `trouble` is written last, after a fence over the bus, so that a host that sees it
// sees the rest. 128 bytes.
struct Diagnostic {
  uint32_t claim;
  uint32_t trouble;    // Trouble
  uint64_t workspace;  // address of the local buffer
  uint64_t epoch;      // calls before this one, where the workspace counts them
  uint64_t waited_ns;
  uint32_t index;  // generation in use
  uint32_t rank;
  uint32_t peer;  // whose packet is missing, or who diverges
  uint32_t token;
  uint32_t word;  // of the token's row, in 32-bit words
  uint32_t stage;
  uint32_t bits[4];   // what the packet held
  uint32_t arrivals;  // the word as it was: protocol::ArrivalsIn
  uint32_t tokens;    // of this call
  uint32_t hidden;
  uint32_t kind;         // of this call, as in a header
  uint32_t peer_tokens;  // divergence: what the peer's header says
  uint32_t peer_hidden;
  uint32_t peer_kind;
  uint32_t unused[7];
};
static_assert(sizeof(Diagnostic) == 128);

// Where a call leaves a snapshot of the flag words when it has moved them on (snapshot_slot.h): in
// the shim's ring, or, without a ring, in a mark of its own. Neither: no journal. Filled by the
// shim alone, in a copy of the host's launch.
struct Journal {
  uint64_t ring;
  // With a ring: the count of slots taken; counters of runs follow it, 16 bytes apart. Otherwise a
  // NodeMark, and nothing else of this is used.
  uint64_t tickets_or_mark;
  uint32_t counter_and_bits;  // run counter of this graph node << 8 | log2 of the ring's slots
  uint32_t exec_id;           // 0: an eager launch
  uint32_t workspace_id;
  uint32_t node;  // of the exec's graph; eager: low bits of the operation's number

  // `counter` 0: the launch is not part of a graph, nothing is counted.
  static constexpr uint32_t Pack(uint32_t counter, uint32_t slot_bits) {
    return counter << 8 | slot_bits;
  }
  static constexpr uint32_t kMaxCounter = (1u << 24) - 1;
};
static_assert(sizeof(Journal) == 32);

struct CollectiveCall {
  const void* input;
  const void* residual_in;
  const void* gamma;
  void* output;        // sums, or the normed row; may be null with a quantised output
  void* residual_out;  // sum + residual ("prenorm"); may be null
  void* quant_output;
  void* scale_output;
  const float* output_scale;

  void* state;              // the flag words, or EpochState
  void* local;              // this rank's buffer; null: `peer_table` has it
  void* const* peer_table;  // device array of every rank's buffer; null: `peer` holds them
  void* peer[kInlinePeers];
  void* multicast;            // null: every peer is written by itself
  uint64_t generation_bytes;  // 0: the state words say it
  uint64_t header_offset;     // of the headers in every buffer; 0: there are none

  uint64_t timeout_ns;  // 0: no bound
  Diagnostic* diagnostic;
  Journal journal;

  uint32_t tokens;
  uint32_t hidden;
  uint32_t world;
  uint32_t rank;
  float epsilon;
  float weight_bias;
  DataType data_type;
  Quantisation quantisation;
  ScaleLayout scale_layout;
  uint8_t options;       // CallOption
  uint16_t fragments;    // iterations of the row loop: see launch_plan.h
  uint16_t senders;      // of streamed kernels: clusters that only send; otherwise 0
  float inverse_hidden;  // 1 / hidden: a division would come at the end of every row
  uint32_t pace_ns;  // of streamed kernels: a sending cluster begins a row this long after the last
};
static_assert(sizeof(CollectiveCall) == 264);

// The state of an MNNVL workspace that the library created: the nine flag words of the field
// (protocol.cuh) and a count of its own. `calls` is used only where there are headers.
struct MnnvlState {
  uint32_t flags[9];
  uint32_t gone;  // see watch.cuh
  uint64_t calls;
};
static_assert(sizeof(MnnvlState) == 48 && offsetof(MnnvlState, calls) == 40);

// The state of an epoch workspace, in its owner's device memory: calls completed, and how much of
// the one under way, in one word that every cluster adds its share to.
struct EpochState {
  uint64_t progress;  // calls completed × kWholeCall + shares of the call under way
  uint32_t gone;      // see watch.cuh
  uint32_t unused;
};
static_assert(sizeof(EpochState) == 16);

// The shares of a call's clusters are kWholeCall together, whatever their number, up to kWholeCall.
// One of them has what the others leave: equal shares would take a division, at the end of every
// call.
inline constexpr uint64_t kWholeCall = 1u << 16;
inline constexpr uint64_t kShare = 1;
LAMPLIGHT_HD constexpr uint64_t LargeShare(uint32_t clusters) {
  return kWholeCall + kShare - clusters;
}
// How many of a call's clusters the sum of their shares stands for.
LAMPLIGHT_HD constexpr uint32_t ClustersIn(uint64_t shares, uint32_t clusters) {
  const uint64_t large = LargeShare(clusters);
  return static_cast<uint32_t>(shares < large ? shares : shares - large + 1);
}
static_assert(LargeShare(1) == kWholeCall && LargeShare(kWholeCall) == kShare);
static_assert(ClustersIn(2, 3) == 2 && ClustersIn(kWholeCall - 2, 3) == 1);
static_assert(ClustersIn(kWholeCall - 1, 3) == 2 && ClustersIn(kWholeCall, 3) == 3);

// What a rank says of its call to every peer, behind the generations of the peer's buffer: 16 bytes
// for each rank. Read only by a rank that has waited long.
struct Header {
  uint32_t sequence;  // number of the call, low bits
  uint32_t tokens;
  uint32_t hidden;
  uint32_t kind_and_check;  // KindOf(call) << 16 | a check of the other words
};
static_assert(sizeof(Header) == 16);

LAMPLIGHT_HD constexpr uint32_t BytesOf(DataType type) { return type == DataType::kFp32 ? 4 : 2; }

}  // namespace lamplight::kernels
