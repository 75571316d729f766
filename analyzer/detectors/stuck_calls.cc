// Which call of a hung replay is stuck: arithmetic modulo the generations, then sizes, then inputs.
#include <algorithm>
#include <set>

#include "analyzer/detectors/hang_state.h"
#include "analyzer/detectors/memo.h"

namespace lamplight {
namespace {

struct OpWindow {
  uint64_t begin = 0;
  uint64_t end = 0;  // one past the last operation
  Index turn = kNone;
};

// The watchdog names the newest eager call. Where calls journal, the oldest that has not ended is
// known.
OpWindow OldestEager(const Model& model, Index workspace, const OpWindow& newest) {
  const std::optional<LastFinished> last = LastToFinish(model, workspace);
  if (!last || last->operation.op + 1 >= newest.begin) return newest;
  const auto next = FindOperation(model, workspace, last->operation.op + 1);
  if (!next || next->eager == kNone || !WouldTell(model, workspace, *next)) return newest;
  return {next->op, next->op + 1, next->turn};
}

std::optional<OpWindow> WindowOf(const Model& model, const Hang& hang, Index workspace) {
  const std::vector<Turn>& timeline = model.workspaces[workspace].timeline;
  for (Index i = static_cast<Index>(timeline.size()); i-- > 0;) {
    const Turn& turn = timeline[i];
    if (hang.exec != kNone) {
      if (hang.replay_index == kNone || turn.replay != hang.replay_index) continue;
      return OpWindow{turn.before, turn.before + turn.ops, i};
    }
    if (turn.eager == kNone || turn.before != hang.op_before) continue;
    return OldestEager(model, workspace, {turn.before, turn.before + 1, i});
  }
  return std::nullopt;
}

// The newest flags of known place before the window's end. A workspace that was seen from its first
// call on starts at generation 0.
std::optional<Observation> Anchor(const Model& model, Index workspace, const OpWindow& window) {
  std::optional<Observation> anchor;
  std::vector<Observation> own;
  const std::vector<Observation>& all = Observed(model, workspace, &own);
  const auto behind = std::ranges::lower_bound(all, window.end, {}, &Observation::position);
  if (behind != all.begin()) anchor = *(behind - 1);
  const std::vector<Turn>& timeline = model.workspaces[workspace].timeline;
  if (!anchor && !timeline.empty() && timeline.front().before == 0) {
    anchor = Observation{};
    anchor->flags.index = 0;
    if (model.workspaces[workspace].flag_layout == trace::FlagLayout::kEpoch) {
      anchor->flags.epoch = 0;
    }
  }
  return anchor;
}

// The shim put a node behind every node of this replay.
bool SnapshotsFollowEveryNode(const Model& model, const Hang& hang, const Observation& anchor) {
  return model.processes[hang.process].mode == "journal" && anchor.replay != kNone &&
         anchor.replay == hang.replay_index && NothingLostSince(model, anchor.snapshot);
}

// The call behind the anchor leaves a snapshot itself when it ends, and has left none.
bool NextCallWouldTell(const Model& model, const RankState& state, const OpWindow& window,
                       const Observation& anchor) {
  const Process& process = model.processes[model.hangs[state.hang].process];
  const bool lost =
      anchor.snapshot == kNone ? process.snapshots_lost : !NothingLostSince(model, anchor.snapshot);
  if (lost) return false;
  const std::vector<Operation> operations = OperationsOf(model, state.workspace, window.turn);
  return std::ranges::any_of(operations, [&](const Operation& operation) {
    return operation.op == anchor.position && WouldTell(model, state.workspace, operation);
  });
}

// Which operation numbers may be due while the flags name `index`: `first`, and those after it that
// have the same generation unless snapshots would have shown that. Where the calls journal, their
// snapshots tell even where the flags could not be read.
class DueOperations {
 public:
  DueOperations(const Model& model, const RankState& state, const OpWindow& window) {
    const auto anchor = Anchor(model, state.workspace, window);
    if (!anchor) return;
    first_ = anchor->position;
    const bool would_tell = NextCallWouldTell(model, state, window, *anchor);
    if (!state.flags.index) {
      known_ = only_first_ = would_tell;
      return;
    }
    const Steps steps = StepsBetween(anchor->flags, state.flags);
    known_ = true;
    period_ = state.flags.generations;
    first_ += steps.calls;
    // With steps, more calls have ended than have told so.
    only_first_ = steps.exact ||
                  SnapshotsFollowEveryNode(model, model.hangs[state.hang], *anchor) ||
                  (would_tell && steps.calls == 0);
  }

  bool Contains(uint64_t op) const {
    if (!known_ || op < first_) return false;
    return only_first_ ? op == first_ : (op - first_) % period_ == 0;
  }

 private:
  bool known_ = false;
  bool only_first_ = false;
  uint64_t first_ = 0;
  uint64_t period_ = protocol::kGenerations;
};

uint64_t BytesPerPeer(const Model& model, const Call& call) {
  if (call.kernel == kNone || call.tokens == kUnknown || call.dim == kUnknown) return 0;
  const uint64_t element = trace::BytesOf(model.kernels[call.kernel].data_type);
  return uint64_t{call.tokens} * call.dim * element;
}

// Whether `call` left these sizes in the flags (FlagWords::written); nothing: unknown.
std::optional<bool> Left(const Model& model, const Call& call, uint32_t world,
                         const std::array<uint32_t, protocol::kMaxStages>& written) {
  const uint64_t bytes = BytesPerPeer(model, call);
  if (bytes == 0) return std::nullopt;
  switch (model.kernels[call.kernel].algorithm) {
    case trace::Algorithm::kOneShot:
      return written[0] == bytes * world;
    case trace::Algorithm::kTwoShot:
    case trace::Algorithm::kRmsNorm:
      return written[1] == bytes;
    case trace::Algorithm::kUnicastOneShot:
      return written[0] == uint64_t{call.tokens} * call.dim * world;
    default:
      return std::nullopt;
  }
}

// The candidates, and the steps that leave some of them out.
class Narrowing {
 public:
  Narrowing(const Model& model, const RankState& state, StuckCalls* stuck)
      : model_(model), state_(state), stuck_(*stuck) {}

  void Run() {
    if (state_.slot_role == trace::kSlotDirty) {
      KeepThoseThatMovedTheFlags();
    } else {
      KeepMatchingExtents();
      KeepFollowersOfTheLastCall();
    }
    if (state_.own_written || state_.slot_role == trace::kSlotDirty) KeepMatchingInputs();
  }

 private:
  // Leaves the others out, and says so, unless none would remain.
  template <class Keep>
  void KeepIf(Keep keep, const std::string& reason) {
    std::vector<Operation> kept;
    std::ranges::copy_if(stuck_.operations, std::back_inserter(kept), keep);
    if (kept.empty() || kept.size() == stuck_.operations.size()) return;
    stuck_.reasons.push_back(std::to_string(stuck_.operations.size() - kept.size()) + " of " +
                             std::to_string(stuck_.operations.size()) +
                             " candidates left out: " + reason);
    stuck_.operations = std::move(kept);
  }

  // One-stage kernels: every peer's slots hold all tokens. What was read has the extent of the call
  // that fits what the rank has sent.
  void KeepMatchingExtents() {
    const bool one_stage = std::ranges::none_of(
        state_.awaited, [](const PeerWords& words) { return words.stage != 0; });
    if (!one_stage || state_.awaited.empty() || !state_.own_written) return;
    const uint64_t words = state_.awaited.front().words;
    KeepIf(
        [&](const Operation& operation) {
          return BytesPerPeer(model_, *operation.call) / 4 == words;
        },
        "their size is not that of what the rank has sent");
  }

  // The flags keep the sizes of the call before the stuck one.
  void KeepFollowersOfTheLastCall() {
    if (!state_.flags.written) return;
    const auto may_follow = [&](const Operation& operation) {
      if (operation.op == 0) return true;
      const auto last = FindOperation(model_, state_.workspace, operation.op - 1);
      return !last || Left(model_, *last->call, World(), *state_.flags.written).value_or(true);
    };
    KeepIf(may_follow, "the flags keep the size of the call before, and theirs had another");
  }

  // Behind the flags, that call is the stuck one itself.
  void KeepThoseThatMovedTheFlags() {
    std::erase_if(stuck_.operations, [&](const Operation& operation) {
      return !state_.flags.written ||
             !Left(model_, *operation.call, World(), *state_.flags.written).value_or(false);
    });
  }

  // An equal row is hardly chance; rows that differ only mean that others work in that memory. So
  // this counts only where some candidate matches.
  void KeepMatchingInputs() {
    if (model_.hangs[state_.hang].exec == kNone || !state_.flags.index) return;
    std::set<uint64_t> matching;
    uint64_t rows = 0;
    for (const InputMatch& input : model_.hangs[state_.hang].inputs) {
      if (input.workspace != state_.workspace || input.equal == 0) continue;
      if (input.generation != *state_.flags.index) continue;
      for (const Operation& operation : stuck_.operations) {
        if (operation.node != input.node) continue;
        matching.insert(operation.op);
        rows = std::max<uint64_t>(rows, input.equal);
      }
    }
    KeepIf([&](const Operation& operation) { return matching.contains(operation.op); },
           "their inputs do not hold what the rank has sent, and the input of the " +
               std::string(matching.size() == 1 ? "one left does (" : "others does (") +
               std::to_string(rows) + (rows == 1 ? " row" : " rows") + " compared, all equal)");
  }

  uint32_t World() const { return model_.workspaces[state_.workspace].world; }

  const Model& model_;
  const RankState& state_;
  StuckCalls& stuck_;
};

// The calls of the window that are due; all of them where none is.
StuckCalls DueIn(const Model& model, const RankState& state, const OpWindow& window) {
  StuckCalls stuck;
  const DueOperations due(model, state, window);
  const std::vector<Operation> all = OperationsOf(model, state.workspace, window.turn);
  std::ranges::copy_if(all, std::back_inserter(stuck.operations),
                       [&](const Operation& operation) { return due.Contains(operation.op); });
  // What an exec ran may not be known.
  stuck.guessed = all.empty() && window.end > window.begin;
  stuck.past_all = !stuck.guessed && due.Contains(window.end);
  const bool not_begun = state.progress == Progress::kNotBegun;
  if (stuck.operations.empty() && !(stuck.past_all && not_begun)) {
    stuck.operations = all;
    stuck.guessed = true;
  }
  return stuck;
}

std::optional<OpWindow> EagerBefore(const Model& model, Index workspace, const OpWindow& window) {
  if (window.turn == 0) return std::nullopt;
  const Turn& turn = model.workspaces[workspace].timeline[window.turn - 1];
  if (turn.eager == kNone) return std::nullopt;
  return OpWindow{turn.before, turn.before + 1, window.turn - 1};
}

// More eager calls may have been launched behind the one that is stuck: the newest one that is due.
StuckCalls DueEager(const Model& model, const RankState& state, const OpWindow& newest) {
  StuckCalls stuck = DueIn(model, state, newest);
  std::optional<OpWindow> window = newest;
  for (uint64_t back = 1; stuck.guessed && back < state.flags.generations; ++back) {
    window = EagerBefore(model, state.workspace, *window);
    if (!window) break;
    StuckCalls earlier = DueIn(model, state, *window);
    if (!earlier.guessed) return earlier;
  }
  return stuck;
}

}  // namespace

bool TestFirstWordsOnly(const Model& model, const StuckCalls& stuck) {
  return OfAllKernels(model, stuck, [](const Kernel& kernel) {
    const std::string& descriptor = kernel.descriptor;
    const bool mnnvl = descriptor.starts_with("flashinfer-mnnvl-") ||
                       descriptor.starts_with("tensorrt-llm-mnnvl-");
    return mnnvl && (descriptor.ends_with("-C") || descriptor.ends_with("-D") ||
                     descriptor.ends_with("-CD"));
  });
}

void KeepKernelsThatPoll(const Model& model, uint32_t stage, StuckCalls* stuck) {
  const auto polls = [&](const Operation& operation) {
    if (operation.call->kernel == kNone) return true;
    const trace::Algorithm algorithm = model.kernels[operation.call->kernel].algorithm;
    if (stage == kScatter) return algorithm != trace::Algorithm::kRmsNorm;
    return algorithm != trace::Algorithm::kTwoShot || operation.call->advances();
  };
  std::vector<Operation> kept;
  std::ranges::copy_if(stuck->operations, std::back_inserter(kept), polls);
  if (!kept.empty()) stuck->operations = std::move(kept);
}

StuckCalls FindStuckCalls(const Model& model, const RankState& state) {
  const Hang& hang = model.hangs[state.hang];
  const auto window = WindowOf(model, hang, state.workspace);
  if (!window) return {};
  StuckCalls stuck =
      hang.exec == kNone ? DueEager(model, state, *window) : DueIn(model, state, *window);
  Narrowing(model, state, &stuck).Run();
  std::set<uint64_t> distinct;
  for (const Operation& operation : stuck.operations) distinct.insert(operation.op);
  stuck.exact = distinct.size() == 1;
  return stuck;
}

}  // namespace lamplight
