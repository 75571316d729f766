// Questions about a workspace's past: which call is operation n, where a snapshot stands among
// them.
//
// Pure functions over a finished model; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "analyzer/detectors/flag_words.h"
#include "analyzer/trace_model.h"

namespace lamplight {

// One call on a workspace. `op` counts the advancing calls before it; a call that does not advance
// shares its number with the next one that does.
struct Operation {
  uint64_t op = 0;
  const Call* call = nullptr;
  Index replay = kNone;  // exactly one of replay and eager is set
  Index eager = kNone;
  uint32_t node = 0;  // position in the graph, for replays
  Index turn = kNone;
};

// The version of the exec's calls that the replay ran; null where it is not recorded.
const ExecVersion* VersionOf(const Model& model, const Replay& replay);

// ExecVersion::assumed of what the operation is part of.
bool IsAssumed(const Model& model, const Operation& operation);

// The calls of one turn on `workspace`, in order.
std::vector<Operation> OperationsOf(const Model& model, Index workspace, Index turn);

// The advancing call with this number; nothing where no record covers it.
std::optional<Operation> FindOperation(const Model& model, Index workspace, uint64_t op);

// One past the newest recorded operation; 0 where there is none.
uint64_t EndOfOperations(const Workspace& workspace);

// Visits every recorded operation in order: visit(const Operation&).
template <class Visit>
void ForEachOperation(const Model& model, Index workspace, Visit visit) {
  for (Index turn = 0; turn < model.workspaces[workspace].timeline.size(); ++turn) {
    for (const Operation& operation : OperationsOf(model, workspace, turn)) visit(operation);
  }
}

// Flag words at a known place among the operations.
struct Observation {
  uint64_t position = 0;  // advancing calls that should be complete
  FlagWords flags;
  Index snapshot = kNone;
  Index replay = kNone;  // kNone: an eager call left it
};

// All snapshots whose place is known, by position. Snapshots without an index are left out.
std::vector<Observation> Observe(const Model& model, Index workspace);

// The call of a rank that was the last to end.
struct LastFinished {
  Operation operation;
  uint64_t gpu_ns = 0;
};
// Nothing where a later one may have ended without a snapshot that is here.
std::optional<LastFinished> LastToFinish(const Model& model, Index workspace);

// Whether the trace would say so if the operation had ended: it journals, or the marks were read
// after its launch.
bool WouldTell(const Model& model, Index workspace, const Operation& operation);

// No snapshot of the process can have been lost behind this one.
bool NothingLostSince(const Model& model, Index snapshot);

Index FindReplay(const Model& model, Index exec, uint64_t number);
const OpRange* RangeOf(const Replay& replay, Index workspace);

}  // namespace lamplight
