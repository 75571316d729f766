// Thread-safe: one lock per exec, TopologyMutex() where graphs are read. Never both at once.
#include "tests/device_sim/exec.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "tests/device_sim/capture.h"
#include "tests/device_sim/config.h"
#include "tests/device_sim/event.h"
#include "tests/device_sim/graph_run.h"
#include "tests/device_sim/submit.h"

namespace device_sim {
namespace {

constexpr uint64_t kKnownFlags =
    CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH | CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD |
    CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH | CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY;

// Whose events are all still there: the driver promises nothing for a node whose event is not.
bool HasItsEvents(const Program& program) {
  return std::ranges::all_of(program.steps, [](const Step& step) {
    const auto* record = std::get_if<EventRecordCall>(&step.operation);
    return record == nullptr || Events().Find(EventTable::HandleOf(record->event.get())) != nullptr;
  });
}

Status Snapshot(CUgraph handle, Program* program, GraphRef* clone) {
  const std::lock_guard lock(TopologyMutex());
  const GraphRef graph = Graphs().Find(handle);
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  SIM_TRY(BuildProgramLocked(*graph, program));
  if (!HasItsEvents(*program)) return CUDA_ERROR_INVALID_VALUE;
  if (clone != nullptr) *clone = graph->CloneLocked();
  return kOk;
}

uint64_t NodeId(CUgraphNode handle) {
  const NodeRef node = Nodes().Find(handle);
  return node == nullptr ? 0 : node->id;
}

// Copies the exec's program, lets `edit(Step&)` change the step of `node`, and puts it in place.
template <class Edit>
Status EditStep(CUgraphExec handle, CUgraphNode node, Edit edit) {
  const ExecRef exec = Execs().Find(handle);
  if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t id = NodeId(node);
  const std::lock_guard lock(exec->mutex);
  const auto found = exec->program->step_of_node.find(id);
  if (found == exec->program->step_of_node.end()) return CUDA_ERROR_INVALID_VALUE;
  auto program = std::make_shared<Program>(*exec->program);
  SIM_TRY(edit(program->steps[found->second]));
  exec->program = std::move(program);
  return kOk;
}

// Launched into a capture, an exec becomes a child graph.
Status CaptureExec(Stream& stream, const Exec& exec) {
  const std::lock_guard lock(TopologyMutex());
  const GraphRef child = exec.source->CloneLocked();
  child->child = true;
  SIM_TRY(CaptureLocked(stream, ChildCall{child}));
  Graphs().Add(child);
  return kOk;
}

bool CanBeDisabled(const Step& step) {
  return step.type == CU_GRAPH_NODE_TYPE_KERNEL || step.type == CU_GRAPH_NODE_TYPE_MEMCPY ||
         step.type == CU_GRAPH_NODE_TYPE_MEMSET;
}

}  // namespace

HandleTable<Exec, CUgraphExec>& Execs() {
  static auto& table = *new HandleTable<Exec, CUgraphExec>;
  return table;
}

Status Instantiate(CUgraphExec* out, CUgraph graph, uint64_t flags) {
  if (out == nullptr || (flags & ~kKnownFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  auto program = std::make_shared<Program>();
  auto exec = std::make_shared<Exec>();
  SIM_TRY(Snapshot(graph, program.get(), &exec->source));
  const auto max_nodes = static_cast<size_t>(TheConfig()->max_nodes);
  if (max_nodes > 0 && program->steps.size() > max_nodes) return CUDA_ERROR_OUT_OF_MEMORY;
  exec->flags = flags;
  exec->program = std::move(program);
  *out = Execs().Add(std::move(exec));
  return kOk;
}

Status DestroyExec(CUgraphExec handle) {
  return Execs().Remove(handle) == nullptr ? CUDA_ERROR_INVALID_VALUE : kOk;
}

Status LaunchExec(CUgraphExec handle, Stream& stream) {
  const ExecRef exec = Execs().Find(handle);
  if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (stream.capturing) return CaptureExec(stream, *exec);
  SIM_TRY(CheckLegacyUse(stream));
  SIM_TRY(stream.device().failure());
  const std::lock_guard lock(exec->mutex);
  Markers after;
  if (exec->last_launch != nullptr) after.push_back(exec->last_launch);
  exec->last_launch =
      stream.Submit(std::move(after), [device = &stream.device(), program = exec->program,
                                       records = RecordEventsPending(*exec->program)] {
        return RunProgram(*device, program, records);
      });
  return kOk;
}

Status UploadExec(CUgraphExec handle, Stream& stream) {
  const ExecRef exec = Execs().Find(handle);
  if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (stream.capturing) return CheckNotCapturing(stream);
  stream.Submit({}, [] { return kOk; });
  return kOk;
}

Status UpdateExec(CUgraphExec handle, CUgraph graph, CUgraphExecUpdateResultInfo* info) {
  const ExecRef exec = Execs().Find(handle);
  if (exec == nullptr || info == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Program next;
  SIM_TRY(Snapshot(graph, &next, nullptr));
  const std::lock_guard lock(exec->mutex);
  const UpdateOutcome outcome = ComparePrograms(*exec->program, next);
  info->result = outcome.result;
  info->errorNode = outcome.result == CU_GRAPH_EXEC_UPDATE_SUCCESS ? nullptr : outcome.node;
  info->errorFromNode = outcome.from;
  if (outcome.result != CU_GRAPH_EXEC_UPDATE_SUCCESS) {
    return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
  }
  // Nodes of the graph that was instantiated go on naming the steps.
  next.step_of_node = exec->program->step_of_node;
  for (size_t i = 0; i < next.steps.size(); ++i) {
    next.steps[i].enabled = exec->program->steps[i].enabled;
  }
  exec->program = std::make_shared<const Program>(std::move(next));
  return kOk;
}

Status ExecFlags(CUgraphExec handle, uint64_t* flags) {
  const ExecRef exec = Execs().Find(handle);
  if (exec == nullptr || flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = exec->flags;
  return kOk;
}

Status SetExecNode(CUgraphExec exec, CUgraphNode node, Operation operation) {
  return EditStep(exec, node, [&](Step& step) {
    if (step.operation.index() != operation.index()) return CUDA_ERROR_INVALID_VALUE;
    step.operation = std::move(operation);
    return kOk;
  });
}

Status SetExecChild(CUgraphExec handle, CUgraphNode node, CUgraph child) {
  std::vector<std::pair<uint64_t, Operation>> changes;  // by Node::id
  {
    const std::lock_guard lock(TopologyMutex());
    const GraphRef next = Graphs().Find(child);
    const NodeRef parent = Nodes().Find(node);
    if (next == nullptr || parent == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto* call = std::get_if<ChildCall>(&parent->operation);
    if (call == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const std::vector<NodeRef>& nodes = call->graph->nodes;
    if (nodes.size() != next->nodes.size()) return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    for (size_t i = 0; i < nodes.size(); ++i) {
      const Operation& operation = next->nodes[i]->operation;
      if (operation.index() != nodes[i]->operation.index()) {
        return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
      }
      if (!std::holds_alternative<ChildCall>(operation))
        changes.emplace_back(nodes[i]->id, operation);
    }
  }
  const ExecRef exec = Execs().Find(handle);
  if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(exec->mutex);
  auto program = std::make_shared<Program>(*exec->program);
  for (auto& [id, operation] : changes) {
    const auto step = program->step_of_node.find(id);
    if (step == program->step_of_node.end()) return CUDA_ERROR_INVALID_VALUE;
    program->steps[step->second].operation = std::move(operation);
  }
  exec->program = std::move(program);
  return kOk;
}

Status SetExecNodeEnabled(CUgraphExec exec, CUgraphNode node, bool enabled) {
  return EditStep(exec, node, [&](Step& step) {
    if (!CanBeDisabled(step)) return CUDA_ERROR_INVALID_VALUE;
    step.enabled = enabled;
    return kOk;
  });
}

Status ExecNodeEnabled(CUgraphExec exec, CUgraphNode node, bool* enabled) {
  if (enabled == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return EditStep(exec, node, [&](const Step& step) {
    *enabled = step.enabled;
    return kOk;
  });
}

}  // namespace device_sim
