// Names as they stand in libraries of 2023 to 2026: ncclDevKernel_…, cross_device_reduce_2stage,
// one_shot_all_reduce_kernel, multimem_all_reduce, nvshmem…, deep_ep::….
#include "analyzer/detectors/other_collectives.h"

#include <algorithm>
#include <cctype>

#include "analyzer/detectors/graph_paths.h"

namespace lamplight {
namespace {

// Underscores left out, in lower case.
constexpr std::string_view kParts[] = {
    "nccl",     "nvshmem", "crossdevicereduce", "allreduce",      "allgather", "reducescatter",
    "alltoall", "deepep",  "multimem",          "symmetricmemory"};

// Without template arguments and parameters, which may name a warp's or a block's own reductions.
std::string BareName(std::string_view name) {
  std::string bare;
  int depth = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '(' && depth == 0 && !name.substr(i).starts_with("(anonymous")) break;
    if (c == '>') --depth;
    if (depth == 0 && c != '_') {
      bare += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    if (c == '<') ++depth;
  }
  return bare;
}

bool IsUndecoded(const Kernel& kernel) { return kernel.lamport && !kernel.decoded; }

bool IsUndecoded(const Model& model, Index process, const Node& node) {
  if (node.call.lamport()) return IsUndecoded(model.kernels[node.call.kernel]);
  return !node.name.empty() && std::ranges::any_of(model.kernels, [&](const Kernel& kernel) {
    return kernel.process == process && IsUndecoded(kernel) && kernel.name == node.name;
  });
}

const Graph* GraphOf(const Model& model, const Hang& hang) {
  if (hang.exec == kNone) return nullptr;
  const ExecVersion* version = nullptr;
  if (hang.replay_index != kNone) version = VersionOf(model, model.replays[hang.replay_index]);
  if (version == nullptr && !model.execs[hang.exec].versions.empty()) {
    version = &model.execs[hang.exec].versions.back();
  }
  return version == nullptr || version->graph == kNone ? nullptr : &model.graphs[version->graph];
}

// Calls of the hung replay on the workspace that are complete; none where it is not known which.
std::vector<uint32_t> CompleteNodes(const Model& model, const RankState& state,
                                    const StuckCalls& stuck) {
  std::vector<uint32_t> nodes;
  const Hang& hang = model.hangs[state.hang];
  const Workspace& workspace = model.workspaces[state.workspace];
  const auto turn = std::ranges::find(workspace.timeline, hang.replay_index, &Turn::replay);
  if (hang.replay_index == kNone || turn == workspace.timeline.end()) return nodes;
  const auto index = static_cast<Index>(turn - workspace.timeline.begin());
  uint64_t due = turn->before + turn->ops;
  for (const Operation& operation : stuck.operations) due = std::min(due, operation.op);
  if (stuck.operations.empty() && !stuck.past_all) return nodes;
  for (const Operation& operation : OperationsOf(model, state.workspace, index)) {
    if (operation.op < due) nodes.push_back(operation.node);
  }
  return nodes;
}

}  // namespace

bool LooksLikeCollective(std::string_view kernel) {
  const std::string name = BareName(kernel);
  return std::ranges::any_of(
      kParts, [&](std::string_view part) { return name.find(part) != std::string::npos; });
}

std::string UndecodedKernel(const Model& model, Index process) {
  for (const Kernel& kernel : model.kernels) {
    if (kernel.process == process && IsUndecoded(kernel)) return kernel.name;
  }
  return "";
}

OtherCollectives OthersIn(const Model& model, const Graph& graph) {
  OtherCollectives others;
  for (const Node& node : graph.nodes) {
    if (IsUndecoded(model, graph.process, node)) {
      others.undecoded.push_back(&node);
    } else if (!node.call.lamport() && LooksLikeCollective(node.name)) {
      others.named.push_back(&node);
    }
  }
  return others;
}

OtherCollectives OthersAheadOf(const Model& model, const RankState& state,
                               const StuckCalls& stuck) {
  const Graph* graph = GraphOf(model, model.hangs[state.hang]);
  if (graph == nullptr) return {};
  OtherCollectives others = OthersIn(model, *graph);
  if (others.undecoded.empty() && others.named.empty()) return others;
  const GraphPaths paths(*graph);
  const std::vector<uint32_t> complete = CompleteNodes(model, state, stuck);
  const auto cannot = [&](const Node* node) {
    const bool behind =
        !stuck.operations.empty() && std::ranges::all_of(stuck.operations, [&](const auto& due) {
          return due.replay != kNone && paths.Reaches(due.node, node->position);
        });
    return behind || std::ranges::any_of(complete, [&](uint32_t done) {
             return paths.Reaches(node->position, done);
           });
  };
  std::erase_if(others.undecoded, cannot);
  std::erase_if(others.named, cannot);
  return others;
}

}  // namespace lamplight
