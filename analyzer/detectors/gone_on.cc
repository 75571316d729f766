// An eager call says nothing of the calls before it: the host may have launched it behind one that
// hangs. A replay's hang does, as the watchdog names the oldest that is not complete.
#include "analyzer/detectors/gone_on.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "analyzer/detectors/history.h"
#include "analyzer/detectors/memo.h"

namespace lamplight {
namespace {

constexpr uint64_t kAhead = 2;  // how many calls a rank may be past one that others are stuck in
constexpr uint64_t kMostMissed = 8;
constexpr size_t kLeastAlike = 16;
constexpr size_t kLeastChanges = 4;
constexpr size_t kMostCompared = 4096;

bool ASnapshotSaysSo(const Model& model, Index workspace, uint64_t op) {
  std::vector<Observation> own;
  const std::vector<Observation>& observations = Observed(model, workspace, &own);
  return !observations.empty() && observations.back().position > op + kAhead;
}

// What stands ahead of the oldest replay that is not complete is complete.
bool HangsInALaterReplay(const Model& model, Index workspace, uint64_t op) {
  return std::ranges::any_of(model.hangs, [&](const Hang& hang) {
    if (hang.ended || hang.replay_index == kNone) return false;
    const OpRange* range = RangeOf(model.replays[hang.replay_index], workspace);
    return range != nullptr && range->before > op + kAhead;
  });
}

bool EndedInAnOrderlyWay(const Model& model, Index workspace, uint64_t op) {
  const Index process = model.workspaces[workspace].process;
  if (!model.processes[process].closed) return false;
  if (EndOfOperations(model.workspaces[workspace]) <= op + kAhead + 1) return false;
  return std::ranges::none_of(
      model.hangs, [&](const Hang& hang) { return hang.process == process && !hang.ended; });
}

// When the launch was over and by which thread: another's may be a wait that began ahead of it.
struct Launched {
  uint32_t tid = 0;
  uint64_t time_ns = 0;
};
Launched LaunchOf(const Model& model, const Turn& turn) {
  if (turn.replay == kNone) return {model.eager[turn.eager].tid, turn.time_ns};
  const Replay& replay = model.replays[turn.replay];
  return {replay.tid, std::max(turn.time_ns, replay.returned_ns)};
}

// The host has waited for the stream, or for the device, behind a later call.
bool TheHostWaited(const Model& model, Index workspace, uint64_t op) {
  const Workspace& own = model.workspaces[workspace];
  const auto later = FindOperation(model, workspace, op + kAhead + 1);
  if (!later) return false;
  const Turn& turn = own.timeline[later->turn];
  const Launched launch = LaunchOf(model, turn);
  return std::ranges::any_of(model.orders, [&](const Order& order) {
    if (order.process != own.process || order.tid != launch.tid) return false;
    if (order.time_ns <= launch.time_ns) return false;
    if (order.kind == trace::OrderKind::kStreamSync) {
      return order.stream != kNone && order.stream == turn.stream;
    }
    return order.kind == trace::OrderKind::kDeviceSync && order.device == own.device;
  });
}

// ---------------------------------------------------------------- the same calls, other numbers

struct Calls {
  uint64_t first = 0;  // operation number
  std::vector<const Call*> calls;
};

Calls CallsOf(const Model& model, Index workspace) {
  Calls all;
  const size_t turns = model.workspaces[workspace].timeline.size();
  for (Index turn = 0; turn < turns && all.calls.size() < kMostCompared; ++turn) {
    for (const Operation& operation : OperationsOf(model, workspace, turn)) {
      if (!operation.call->advances()) continue;
      if (all.calls.empty()) all.first = operation.op;
      if (operation.op != all.first + all.calls.size()) return {};  // a gap
      all.calls.push_back(operation.call);
    }
  }
  return all;
}

bool Alike(const Model& model, const Call& a, const Call& b) {
  if (a.tokens != b.tokens || a.dim != b.dim) return false;
  if (a.kernel == kNone || b.kernel == kNone) return a.kernel == b.kernel;
  return model.kernels[a.kernel].algorithm == model.kernels[b.kernel].algorithm &&
         model.kernels[a.kernel].data_type == model.kernels[b.kernel].data_type;
}

// Whether a's calls are b's, with numbers that are `ahead` lower. The one of number `op`, at which
// they differ, must be among those that are compared: periodic calls look shifted up to there.
bool AlikeWith(const Model& model, const Calls& a, const Calls& b, uint64_t ahead, uint64_t op) {
  if (b.calls.size() < ahead + kLeastAlike) return false;
  const size_t count = std::min(a.calls.size(), b.calls.size() - ahead);
  if (count < kLeastAlike || op >= count) return false;
  size_t changes = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!Alike(model, *a.calls[i], *b.calls[i + ahead])) return false;
    changes += i > 0 && !Alike(model, *a.calls[i], *a.calls[i - 1]);
  }
  return changes >= kLeastChanges;
}

// By how many numbers one is ahead of the other.
std::optional<uint64_t> ShiftBetween(const Model& model, const Calls& a, const Calls& b,
                                     uint64_t op) {
  if (a.first != 0 || b.first != 0) return std::nullopt;
  for (uint64_t ahead = 0; ahead <= kMostMissed; ++ahead) {
    if (AlikeWith(model, a, b, ahead, op) || AlikeWith(model, b, a, ahead, op)) return ahead;
  }
  return std::nullopt;
}

}  // namespace

bool HasGoneOn(const Model& model, Index workspace, uint64_t op) {
  return ASnapshotSaysSo(model, workspace, op) || HangsInALaterReplay(model, workspace, op) ||
         EndedInAnOrderlyWay(model, workspace, op) || TheHostWaited(model, workspace, op);
}

bool AreShifted(const Model& model, const Communicator& communicator, uint64_t op) {
  std::vector<Calls> all;
  for (const Index member : communicator.members) {
    if (member != kNone) all.push_back(CallsOf(model, member));
  }
  bool shifted = false;
  for (size_t i = 1; i < all.size(); ++i) {
    const std::optional<uint64_t> shift = ShiftBetween(model, all.front(), all[i], op);
    if (!shift) return false;
    shifted |= *shift != 0;
  }
  return shifted;
}

}  // namespace lamplight
