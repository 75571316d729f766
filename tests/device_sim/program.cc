// Thread-safe: no state.
#include "tests/device_sim/program.h"

#include <algorithm>

namespace device_sim {
namespace {

// Splices one graph into a program.
class Splicer {
 public:
  explicit Splicer(Program* program) : program_(*program) {}

  // Steps for all nodes of `graph`, behind `before`; returns the steps that nothing follows.
  std::vector<uint32_t> Splice(const Graph& graph, const std::vector<StepEdge>& before) {
    for (const NodeRef& node : graph.nodes) {
      program_.step_of_node[node->id] = NewStep(*node);
    }
    for (const NodeRef& node : graph.nodes) Connect(*node, before);
    return SinksOf(graph);
  }

 private:
  uint32_t NewStep(const Node& node) {
    Step step;
    step.operation = node.operation;
    step.type = TypeOf(node.operation);
    program_.steps.push_back(std::move(step));
    program_.node_of_step.push_back(HandleOf(&node));
    return static_cast<uint32_t>(program_.steps.size() - 1);
  }

  void Connect(const Node& node, const std::vector<StepEdge>& before) {
    const uint32_t step = program_.step_of_node[node.id];
    std::vector<StepEdge> in;
    for (const InEdge& edge : node.in)
      in.push_back({program_.step_of_node[edge.from->id], edge.edge});
    if (in.empty()) in = before;
    if (const auto* call = std::get_if<ChildCall>(&node.operation)) {
      const std::vector<uint32_t> ends = Splice(*call->graph, in);
      for (const uint32_t end : ends) in.push_back({end, {}});
      program_.steps[step].operation = EmptyCall{};
    }
    program_.steps[step].in = std::move(in);
  }

  std::vector<uint32_t> SinksOf(const Graph& graph) {
    std::vector<uint32_t> sinks;
    for (const NodeRef& node : graph.nodes) {
      const bool followed = std::ranges::any_of(graph.nodes, [&](const NodeRef& other) {
        return std::ranges::find(other->in, node.get(), &InEdge::from) != other->in.end();
      });
      if (!followed) sinks.push_back(program_.step_of_node[node->id]);
    }
    return sinks;
  }

  Program& program_;
};

void LinkDependents(Program* program) {
  for (uint32_t i = 0; i < program->steps.size(); ++i) {
    for (const StepEdge& edge : program->steps[i].in) {
      program->steps[edge.from].dependents.push_back(i);
    }
  }
}

bool HasCycle(const Program& program) {
  std::vector<size_t> open;
  std::vector<uint32_t> ready;
  for (uint32_t i = 0; i < program.steps.size(); ++i) {
    open.push_back(program.steps[i].in.size());
    if (open.back() == 0) ready.push_back(i);
  }
  size_t ordered = 0;
  while (!ready.empty()) {
    const uint32_t step = ready.back();
    ready.pop_back();
    ++ordered;
    for (const uint32_t next : program.steps[step].dependents) {
      if (--open[next] == 0) ready.push_back(next);
    }
  }
  return ordered != program.steps.size();
}

bool SameIn(const Step& a, const Step& b, uint32_t* differs) {
  const size_t common = std::min(a.in.size(), b.in.size());
  for (size_t i = 0; i < common; ++i) {
    if (a.in[i].from == b.in[i].from && SameEdge(a.in[i].edge, b.in[i].edge)) continue;
    *differs = b.in[i].from;
    return false;
  }
  if (!b.in.empty()) *differs = b.in.back().from;
  return a.in.size() == b.in.size();
}

bool IsCooperative(const KernelCall& call) {
  const CUlaunchAttribute* attribute = call.Find(CU_LAUNCH_ATTRIBUTE_COOPERATIVE);
  return attribute != nullptr && attribute->value.cooperative != 0;
}

// A node's parameters may change, but not everything about it.
CUgraphExecUpdateResult CompareOperations(const Operation& current, const Operation& next) {
  const auto* old_kernel = std::get_if<KernelCall>(&current);
  const auto* new_kernel = std::get_if<KernelCall>(&next);
  if (old_kernel == nullptr || new_kernel == nullptr) return CU_GRAPH_EXEC_UPDATE_SUCCESS;
  return IsCooperative(*old_kernel) == IsCooperative(*new_kernel)
             ? CU_GRAPH_EXEC_UPDATE_SUCCESS
             : CU_GRAPH_EXEC_UPDATE_ERROR_ATTRIBUTES_CHANGED;
}

UpdateOutcome CompareSteps(const Program& current, const Program& next, uint32_t i) {
  CUgraphNode node = next.node_of_step[i];
  if (current.steps[i].type != next.steps[i].type) {
    return {CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED, node, nullptr};
  }
  uint32_t differs = i;
  if (!SameIn(current.steps[i], next.steps[i], &differs)) {
    return {CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, node, next.node_of_step[differs]};
  }
  return {CompareOperations(current.steps[i].operation, next.steps[i].operation), node, nullptr};
}

}  // namespace

Status BuildProgramLocked(const Graph& graph, Program* program) {
  *program = {};
  Splicer(program).Splice(graph, {});
  LinkDependents(program);
  return HasCycle(*program) ? CUDA_ERROR_INVALID_VALUE : kOk;
}

UpdateOutcome ComparePrograms(const Program& current, const Program& next) {
  if (current.steps.size() != next.steps.size()) {
    return {CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, nullptr, nullptr};
  }
  for (uint32_t i = 0; i < next.steps.size(); ++i) {
    const UpdateOutcome outcome = CompareSteps(current, next, i);
    if (outcome.result != CU_GRAPH_EXEC_UPDATE_SUCCESS) return outcome;
  }
  return {};
}

}  // namespace device_sim
