// How far a hung rank has come on one workspace, as the evidence of its hang tells.
//
// Pure functions over a finished model; safe from any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "analyzer/detectors/history.h"
#include "analyzer/trace_model.h"

namespace lamplight {

inline constexpr uint32_t kWordsPerPacket = 4;  // 16-byte loads

// Stages of the two-shot; the one-shot has the first alone.
inline constexpr uint32_t kScatter = 0;
inline constexpr uint32_t kBroadcast = 1;

enum class Progress : uint8_t {
  kUnreadable,  // the side channel gave nothing; `why` tells what happened
  kMoving,      // words changed between the two reads: not stuck there
  kNotBegun,    // the call that is due has stored nothing and no block has arrived
  kWaiting,     // it has begun, and words from other ranks are absent
  kAllArrived,  // it has begun, and no word that it awaits is bitwise the sentinel
  kBehind,   // the flags have moved on, and blocks of the call before may still poll aliased words
  kUnclear,  // it was read, and none of the above can be told
};

// What one peer has delivered, in one stage of the current generation.
struct PeerWords {
  uint32_t peer = 0;
  uint32_t stage = 0;
  uint64_t words = 0;
  uint64_t sentinel = 0;
  uint64_t alias = 0;
  uint64_t stored = 0;   // sentinel words that are known to have been stored as data
  uint64_t leading = 0;  // of those, the first of their packet

  void Add(const SlotState& slot);
  void Add(const PeerWords& other);
  uint64_t Absent() const { return sentinel - stored; }  // on their way
};

struct RankState {
  Index hang = kNone;
  Index workspace = kNone;
  Progress progress = Progress::kUnreadable;
  std::string why;
  FlagWords flags;                     // `index`: of the generation that `awaited` speaks of
  std::optional<uint32_t> read_index;  // as the flags had it
  bool slots_read = false;
  bool own_slots_read = false;  // slots that this rank itself writes are among them
  bool own_written = false;     // and hold words
  bool own_whole = false;       // no empty ones
  std::vector<PeerWords> awaited;
  uint32_t slot_role = trace::kSlotCurrent;  // the generation that `awaited` speaks of

  // All peers' words of one stage together.
  PeerWords Stage(uint32_t stage) const;
  uint64_t Sentinel() const;
  uint64_t Alias() const;
  // Ranks whose words are absent, this one excluded.
  std::vector<uint32_t> AbsentPeers(uint32_t own_rank) const;
};

// Workspaces that the hang's replay uses, or that its evidence speaks of.
std::set<Index> WorkspacesOf(const Model& model, Index hang);
// One state for each of them.
std::vector<RankState> StatesOf(const Model& model, Index hang);

// What is known of the first words of packets among the aliased ones of the broadcast.
enum class FirstWords : uint8_t { kAliased, kClean, kNotKnown };
FirstWords AliasedFirstWords(const Model& model, const RankState& state);

// The calls that may be the one that is stuck: entry index, advances since and slot extents narrow
// them down. `exact`: a journal snapshot or the arithmetic leaves one operation.
struct StuckCalls {
  std::vector<Operation> operations;
  bool exact = false;
  bool guessed = false;   // the flags fit none of the replay's calls: all of them are listed
  bool past_all = false;  // the flags may also mean that all calls of the replay are complete
  std::vector<std::string> reasons;  // by what candidates were left out, one line each
};
StuckCalls FindStuckCalls(const Model& model, const RankState& state);
// Whether there are stuck calls, and `holds` is true of the kernel of each.
template <class Holds>
bool OfAllKernels(const Model& model, const StuckCalls& stuck, Holds holds) {
  return !stuck.operations.empty() &&
         std::ranges::all_of(stuck.operations, [&](const Operation& operation) {
           return operation.call->kernel != kNone && holds(model.kernels[operation.call->kernel]);
         });
}
// Whether the stuck calls test the first word of each packet of a broadcast and no other:
// FlashInfer's eras C and D (0.6.12, include/flashinfer/comm/trtllm_mnnvl_allreduce.cuh) and
// TensorRT-LLM's C.
bool TestFirstWordsOnly(const Model& model, const StuckCalls& stuck);
// In a two-shot pair the stage tells which of the two kernels polls: the others go.
void KeepKernelsThatPoll(const Model& model, uint32_t stage, StuckCalls* stuck);

}  // namespace lamplight
