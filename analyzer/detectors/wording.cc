// Wording shared by detectors and reports.
#include "analyzer/detectors/wording.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include "kernels/collective_call.h"

namespace lamplight {
namespace {

constexpr size_t kMaxSlots = 256;  // in one finding; counts cover the rest

void PlaceAtWorkspace(const Model& model, Index workspace, Place* place) {
  place->workspace = workspace;
  place->process = model.workspaces[workspace].process;
  place->communicator = model.workspaces[workspace].communicator;
}

void PlaceInExec(const Model& model, Index exec, Index replay, Place* place) {
  place->exec = exec;
  if (exec == kNone) return;
  const ExecVersion* version = nullptr;
  if (replay != kNone) version = VersionOf(model, model.replays[replay]);
  if (version == nullptr && !model.execs[exec].versions.empty()) {
    version = &model.execs[exec].versions.back();
  }
  if (version == nullptr) return;
  place->graph = version->graph;
  place->assumed = version->assumed;
}

uint32_t WordsOfKind(const SlotState& slot, WordKind kind) {
  switch (kind) {
    case WordKind::kAlias:
      return slot.alias;
    case WordKind::kStored:
      return slot.stored == kUnknown ? 0 : slot.stored;
    case WordKind::kSentinel:
      break;
  }
  return slot.sentinel;
}

const std::vector<uint32_t>& PositionsOfKind(const SlotState& slot, WordKind kind) {
  if (kind == WordKind::kAlias) return slot.first_alias;
  return kind == WordKind::kStored ? slot.first_stored : slot.first_sentinel;
}

SlotWords Describe(const Model& model, const SlotState& slot, WordKind kind) {
  return {model.workspaces[slot.workspace].rank,
          slot.peer,
          slot.generation,
          slot.stage,
          slot.token,
          slot.words,
          slot.sentinel,
          slot.alias,
          slot.stored,
          PositionsOfKind(slot, kind)};
}

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

}  // namespace

std::string ProcessName(const Model& model, Index process) {
  if (process >= model.processes.size()) return "an unknown process";
  std::set<uint32_t> ranks;
  for (const Workspace& workspace : model.workspaces) {
    if (workspace.process == process) ranks.insert(workspace.rank);
  }
  const std::string pid = "pid " + std::to_string(model.processes[process].pid);
  const int32_t env_rank = model.processes[process].env_rank;
  if (ranks.empty() && env_rank >= 0) return "rank " + std::to_string(env_rank) + " (" + pid + ")";
  if (ranks.size() != 1) return pid;
  return RankList({*ranks.begin()}) + " (" + pid + ")";
}

std::string RankName(const Model& model, Index workspace) {
  const Workspace& own = model.workspaces[workspace];
  return RankList({own.rank}) + " (pid " + std::to_string(model.processes[own.process].pid) + ")";
}

std::string RankList(const std::vector<uint32_t>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < ranks.size(); ++i) {
    if (i > 0) text += i + 1 == ranks.size() ? " and " : ", ";
    text += ranks[i] == kUnknown ? "?" : std::to_string(ranks[i]);
  }
  return text;
}

std::string AlgorithmName(trace::Algorithm algorithm) {
  switch (algorithm) {
    case trace::Algorithm::kOneShot:
      return "one-shot";
    case trace::Algorithm::kTwoShot:
      return "two-shot";
    case trace::Algorithm::kRmsNorm:
      return "two-shot's RMSNorm";
    case trace::Algorithm::kUnicastOneShot:
      return "unicast one-shot";
    case trace::Algorithm::kUnicastTwoShot:
      return "unicast two-shot";
    case trace::Algorithm::kEpochOneShot:
      return "epoch one-shot";
    case trace::Algorithm::kEpochTwoShot:
      return "epoch two-shot";
    case trace::Algorithm::kPushOneShot:
      return "push one-shot";
    case trace::Algorithm::kPushTwoShot:
      return "push two-shot";
    case trace::Algorithm::kUnknown:
      break;
  }
  return "unknown algorithm";
}

std::string DataTypeName(trace::DataType type) {
  switch (type) {
    case trace::DataType::kF32:
      return "fp32";
    case trace::DataType::kF16:
      return "fp16";
    case trace::DataType::kBf16:
      return "bf16";
    case trace::DataType::kUnknown:
      break;
  }
  return "elements of unknown type";
}

std::string CallName(const Model& model, const Call& call) {
  if (call.kernel == kNone) return "no Lamport kernel";
  const Kernel& kernel = model.kernels[call.kernel];
  const auto value = [](uint32_t v) {
    return v == kUnknown ? std::string("?") : std::to_string(v);
  };
  return AlgorithmName(kernel.algorithm) + ", " + value(call.tokens) +
         (call.tokens == 1 ? " token x " : " tokens x ") + value(call.dim) + " " +
         DataTypeName(kernel.data_type);
}

std::string Count(uint64_t count, std::string_view singular) {
  std::string text = std::to_string(count) + " " + std::string(singular);
  if (count != 1) text += 's';
  return text;
}

std::string Seconds(uint64_t ns) { return Number(static_cast<double>(ns) / 1e9) + " s"; }

std::string SecondsBetween(uint64_t from_ns, uint64_t to_ns) {
  return Seconds(to_ns > from_ns ? to_ns - from_ns : 0);
}

std::string Joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += separator;
    text += part;
  }
  return text;
}

NodeRef NodeOf(const Model& model, const Operation& operation) {
  NodeRef node;
  node.position = operation.node;
  node.eager = operation.eager != kNone;
  node.tokens = operation.call->tokens;
  node.dim = operation.call->dim;
  if (operation.call->kernel != kNone) {
    node.kernel = model.kernels[operation.call->kernel].name;
    node.descriptor = model.kernels[operation.call->kernel].descriptor;
  }
  return node;
}

void PlaceAtHang(const Model& model, const RankState& state, const StuckCalls& stuck,
                 Finding* finding) {
  const Hang& hang = model.hangs[state.hang];
  PlaceAtWorkspace(model, state.workspace, &finding->place);
  PlaceInExec(model, hang.exec, hang.replay_index, &finding->place);
  finding->place.hang = state.hang;
  finding->place.replay = hang.replay;
  for (const Operation& operation : stuck.operations) {
    finding->place.nodes.push_back(NodeOf(model, operation));
  }
  for (const std::string& reason : stuck.reasons) {
    finding->evidence.push_back(RankName(model, state.workspace) + ": " + reason);
  }
  if (stuck.exact) {
    finding->place.operation = stuck.operations.front().op;
  } else if (stuck.operations.size() > 1) {
    const std::string period = std::to_string(state.flags.generations);
    finding->missing.push_back("flag words repeat every " + period + " calls, so they leave " +
                               Count(stuck.operations.size(), "node") +
                               " in question; LAMPLIGHT_MODE=journal records one snapshot after "
                               "each node and tells exactly");
  }
}

void PlaceAtReplay(const Model& model, Index workspace, Index replay, Finding* finding) {
  PlaceAtWorkspace(model, workspace, &finding->place);
  if (replay == kNone) return;
  PlaceInExec(model, model.replays[replay].exec, replay, &finding->place);
  finding->place.replay = model.replays[replay].number;
}

// Of the call under way in an epoch workspace.
std::string ClustersOfTheNext(const Model& model, const RankState& state) {
  const StuckCalls stuck = FindStuckCalls(model, state);
  const auto clusters_of = [](const Operation& operation) {
    return operation.call->expected_arrivals;
  };
  const auto clusters = stuck.operations.empty() ? 0u : clusters_of(stuck.operations.front());
  const bool one = std::ranges::all_of(stuck.operations, [&](const Operation& operation) {
    return clusters_of(operation) == clusters;
  });
  if (clusters == 0 || !one || *state.flags.share >= kernels::kWholeCall) return "some clusters";
  return std::to_string(kernels::ClustersIn(*state.flags.share, clusters)) + " of " +
         Count(clusters, "cluster");
}

void AddFlagEvidence(const Model& model, const RankState& state, Finding* finding) {
  std::string line = RankName(model, state.workspace) + ": flag words, read twice and unchanged:";
  if (state.flags.epoch) {
    line += " " + Count(*state.flags.epoch, "call") + " completed";
  } else if (state.read_index) {
    line += " generation " + std::to_string(*state.read_index);
  }
  if (state.flags.share.value_or(0) != 0) {
    line += ", " + ClustersOfTheNext(model, state) + " of the next one have ended";
  } else if (state.flags.phases) {
    line += *state.flags.arrivals == 0 ? "" : ", some blocks have ended their part of the call";
  } else if (state.flags.arrivals) {
    line += ", arrivals " + std::to_string(*state.flags.arrivals);
  }
  finding->evidence.push_back(line);
  AddAnnouncements(model, state, finding);
}

void AddAnnouncements(const Model& model, const RankState& state, Finding* finding) {
  const std::vector<uint32_t> absent = state.AbsentPeers(model.workspaces[state.workspace].rank);
  for (const PeerHeader& header : model.hangs[state.hang].headers) {
    if (header.workspace != state.workspace) continue;
    if (std::ranges::find(absent, header.peer) == absent.end()) continue;
    std::string line = RankName(model, state.workspace) + ": rank " + std::to_string(header.peer);
    if (!header.announced) {
      line += " has announced no call yet";
    } else {
      line += " has announced its call number " + std::to_string(header.sequence) + " (" +
              AnnouncedName(header.tokens, header.hidden, header.kind) + "), awaited is number " +
              std::to_string(header.own_sequence) + " (" +
              AnnouncedName(header.own_tokens, header.own_hidden, header.own_kind) + ")";
    }
    finding->evidence.push_back(std::move(line));
  }
}

// The kind is packed as in kernels/trouble.cuh, KindOf.
std::string AnnouncedName(uint32_t tokens, uint32_t hidden, uint32_t kind) {
  static constexpr const char* kTypes[] = {"fp16", "bf16", "fp32", "?"};
  static constexpr const char* kKernels[] = {"one-shot", "two-shot", "two-shot", "two-shot"};
  return std::string(kKernels[kind >> 2 & 3]) + ", " + Count(tokens, "token") + " x " +
         std::to_string(hidden) + " " + kTypes[kind & 3];
}

void AddSlots(const Model& model, const RankState& state, WordKind kind, Finding* finding) {
  std::vector<const SlotState*> singles, sums;
  for (const SlotState& slot : model.hangs[state.hang].slots) {
    const uint32_t role = state.slot_role == trace::kSlotCurrent
                              ? trace::kSlotCurrent | trace::kSlotAwaited
                              : state.slot_role;
    if (slot.workspace != state.workspace || (slot.role & role) != role) continue;
    if (WordsOfKind(slot, kind) == 0) continue;
    (slot.token == kUnknown ? sums : singles).push_back(&slot);
  }
  for (const SlotState* slot : singles.empty() ? sums : singles) {
    if (finding->slots.size() >= kMaxSlots) break;
    finding->slots.push_back(Describe(model, *slot, kind));
  }
}

}  // namespace lamplight
