// Which call of a hung replay is stuck: arithmetic modulo three generations, then slot extents.
#include <algorithm>
#include <set>

#include "analyzer/detectors/hang_state.h"

namespace lamplight {
namespace {

constexpr uint64_t kPeriod = protocol::kGenerations;

struct OpWindow {
  uint64_t begin = 0;
  uint64_t end = 0;  // one past the last operation
  Index turn = kNone;
};

std::optional<OpWindow> WindowOf(const Model& model, const Hang& hang, Index workspace) {
  const std::vector<Turn>& timeline = model.workspaces[workspace].timeline;
  for (Index i = static_cast<Index>(timeline.size()); i-- > 0;) {
    const Turn& turn = timeline[i];
    if (hang.exec != kNone) {
      if (hang.replay_index == kNone || turn.replay != hang.replay_index) continue;
      return OpWindow{turn.before, turn.before + turn.ops, i};
    }
    if (turn.eager == kNone || turn.before != hang.op_before) continue;
    return OpWindow{turn.before, turn.before + 1, i};
  }
  return std::nullopt;
}

// The newest flags of known place before the window's end. A workspace that was seen from its first
// call on starts at generation 0.
std::optional<Observation> Anchor(const Model& model, Index workspace, const OpWindow& window) {
  std::optional<Observation> anchor;
  for (const Observation& observation : Observe(model, workspace)) {
    if (observation.position < window.end) anchor = observation;
  }
  const std::vector<Turn>& timeline = model.workspaces[workspace].timeline;
  if (!anchor && !timeline.empty() && timeline.front().before == 0) {
    anchor = Observation{};
    anchor->flags.index = 0;
  }
  return anchor;
}

bool SnapshotsFollowEveryNode(const Model& model, const Hang& hang, const Observation& anchor) {
  return model.processes[hang.process].mode == "journal" && anchor.replay != kNone &&
         anchor.replay == hang.replay_index;
}

// Which operation numbers may be due while the flags name `index`: `first`, and every third after
// it unless snapshots would have shown that.
class DueOperations {
 public:
  DueOperations(const Model& model, const RankState& state, const OpWindow& window) {
    const auto anchor = Anchor(model, state.workspace, window);
    if (!anchor || !state.flags.index) return;
    const uint64_t steps = (*state.flags.index + kPeriod - *anchor->flags.index) % kPeriod;
    known_ = true;
    first_ = anchor->position + steps;
    only_first_ = SnapshotsFollowEveryNode(model, model.hangs[state.hang], *anchor);
  }

  bool Contains(uint64_t op) const {
    if (!known_ || op < first_) return false;
    return only_first_ ? op == first_ : (op - first_) % kPeriod == 0;
  }

 private:
  bool known_ = false;
  bool only_first_ = false;
  uint64_t first_ = 0;
};

uint64_t WordsPerPeer(const Model& model, const Call& call) {
  if (call.kernel == kNone || call.tokens == kUnknown || call.dim == kUnknown) return 0;
  const uint64_t element = model.kernels[call.kernel].data_type == trace::DataType::kF32 ? 4 : 2;
  return uint64_t{call.tokens} * call.dim * element / 4;
}

// One-stage kernels: every peer's slots hold all tokens. Calls of another extent are left out,
// unless none would remain.
void KeepMatchingExtents(const Model& model, const RankState& state,
                         std::vector<Operation>* operations) {
  const bool one_stage =
      std::ranges::none_of(state.awaited, [](const PeerWords& words) { return words.stage != 0; });
  if (!one_stage || state.awaited.empty()) return;
  const uint64_t words = state.awaited.front().words;
  std::vector<Operation> matching;
  for (const Operation& operation : *operations) {
    if (WordsPerPeer(model, *operation.call) == words) matching.push_back(operation);
  }
  if (!matching.empty()) *operations = std::move(matching);
}

}  // namespace

StuckCalls FindStuckCalls(const Model& model, const RankState& state) {
  StuckCalls stuck;
  const auto window = WindowOf(model, model.hangs[state.hang], state.workspace);
  if (!window) return stuck;
  const DueOperations due(model, state, *window);
  const std::vector<Operation> all = OperationsOf(model, state.workspace, window->turn);
  std::ranges::copy_if(all, std::back_inserter(stuck.operations),
                       [&](const Operation& operation) { return due.Contains(operation.op); });
  stuck.past_all = due.Contains(window->end);
  const bool not_begun = state.progress == Progress::kNotBegun;
  if (stuck.operations.empty() && !(stuck.past_all && not_begun)) {
    stuck.operations = all;
    stuck.guessed = true;
  }
  KeepMatchingExtents(model, state, &stuck.operations);
  std::set<uint64_t> distinct;
  for (const Operation& operation : stuck.operations) distinct.insert(operation.op);
  stuck.exact = distinct.size() == 1;
  return stuck;
}

}  // namespace lamplight
