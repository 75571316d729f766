// Builds models for tests call by call, with operation numbers counted as the shim counts them.
//
// A World has one communicator; every rank is a process of its own with one device, one workspace,
// one non-blocking stream and one one-shot kernel. Tests change what they are about in `model`
// directly.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyzer/detectors/detection.h"
#include "analyzer/trace_model.h"

namespace lamplight {

constexpr uint64_t kMs = 1'000'000;

// The hazard ids of the findings, in order: {"C1", "H0"}.
std::vector<std::string> Hazards(const Detection& detection);
// True when a line holds the text.
bool Mentions(const std::vector<std::string>& lines, const std::string& text);

class World {
 public:
  explicit World(uint32_t ranks = 2);

  // Defaults of new calls.
  uint32_t dim = 64;
  uint32_t tokens = 8;

  Index stream(uint32_t rank) const { return rank; }
  Index workspace(uint32_t rank) const { return rank; }
  Index kernel(uint32_t rank) const { return rank; }
  Index communicator() const { return 0; }
  uint64_t now() const { return now_; }
  void Pass(uint64_t ns) { now_ += ns; }

  Index AddStream(uint32_t rank, uint32_t flags = trace::kStreamNonBlocking);
  Index AddWorkspace(uint32_t rank);
  Index AddKernel(uint32_t rank, trace::Algorithm algorithm);
  Call MakeCall(uint32_t rank) const;

  // A chain of the calls on one stream, instantiated once.
  Index AddExec(uint32_t rank, std::vector<Call> calls);
  Index AddExec(uint32_t rank, size_t calls) {
    return AddExec(rank, std::vector<Call>(calls, MakeCall(rank)));
  }
  // The exec's later replays run these calls.
  void Update(Index exec, std::vector<Call> calls);

  Index Replay(Index exec, Index stream = kNone);
  Index Eager(uint32_t rank, Call call, Index stream = kNone);
  Index Eager(uint32_t rank) { return Eager(rank, MakeCall(rank)); }
  // The tail snapshot of a replay that has completed.
  Index Tail(Index replay, uint32_t index, uint32_t arrivals = 0);
  Index Snap(Index replay, trace::SnapshotPlace place, uint32_t index, uint32_t node = 0);
  // What an eager call leaves itself.
  Index SnapEager(Index eager, uint32_t index);
  void OrderBy(trace::OrderKind kind, uint32_t rank, Index stream, uint32_t event = 0,
               uint64_t serial = 0);

  // The replay does not complete; both reads of the flags agree.
  Index Hang(Index replay, uint32_t index, uint32_t arrivals);
  Index EagerHang(Index eager, uint32_t index, uint32_t arrivals);
  // Words that `peer` has stored for one token of the current generation.
  SlotState& Slot(Index hang, uint32_t peer, uint32_t token, uint32_t sentinel, uint32_t alias,
                  uint32_t stage = 0);
  // Slots of every peer and token, as a rank sees them that has sent its own: all arrived, but
  // those of `absent` (kNone: nobody).
  void Slots(Index hang, uint32_t absent = kNone);

  Model model;

 private:
  Index AddHang(Index process, Index workspace, Index stream, uint64_t launched_ns, uint32_t index,
                uint32_t arrivals);
  OpRange CountIn(Index workspace, uint32_t ops);

  uint64_t now_ = 1'000 * kMs;
  std::vector<uint64_t> ops_;  // by workspace
};

}  // namespace lamplight
