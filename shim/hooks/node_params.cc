// Nodes of execs: new parameters, switched off and on.
#include "shim/hooks/node_params.h"

#include <algorithm>
#include <cstring>

#include "shim/arguments.h"
#include "shim/hooks/graph.h"
#include "shim/hooks/guard.h"
#include "shim/instrument.h"

namespace lamplight::shim::hooks {

void EmitNodeParams(Session& session, const Exec& exec, const GraphShape::Call& call) {
  trace::NodeParams record{};
  record.exec_id = exec.id;
  record.node = call.node;
  if (call.enabled && call.decodable) {
    record.call = call.decoded.call;
    record.call.kernel_id = call.function->kernel_id;
  }
  session.recorder().Emit(trace::RecordType::kNodeParams, record);
}

namespace {

lamport::LaunchShape ShapeOf(const cudaKernelNodeParams& parameters,
                             const lamport::DecodedCall& was) {
  lamport::LaunchShape shape{};
  shape.grid[0] = parameters.gridDim.x;
  shape.grid[1] = parameters.gridDim.y;
  shape.grid[2] = parameters.gridDim.z;
  shape.block = parameters.blockDim.x * parameters.blockDim.y * parameters.blockDim.z;
  shape.cluster = was.call.cluster;  // node attributes do not change with the parameters
  shape.pdl = (was.call.flags & trace::kCallPdl) != 0;
  shape.cooperative = (was.call.flags & trace::kCallCooperative) != 0;
  return shape;
}

constexpr uint32_t kNowhere = trace::kNoId;

uint32_t PositionOf(const Exec& exec, CUgraphNode node) {
  const auto found = std::find(exec.nodes.begin(), exec.nodes.end(), node);
  return found == exec.nodes.end() ? kNowhere : static_cast<uint32_t>(found - exec.nodes.begin());
}

// After calls have changed; under the exec's lock.
void CountAgain(Session& session, Exec& exec) {
  std::vector<Workspace*> workspaces;
  for (const GraphShape::Call& call : exec.calls) {
    workspaces.push_back(call.decodable ? session.workspaces().ById(call.decoded.call.workspace_id)
                                        : nullptr);
  }
  CountOps(exec.calls, workspaces, &exec);
}

// A node that is switched off moves no flags on, and counts none of its runs.
void NoteEnabled(Session& session, Exec& exec, uint32_t position, bool enabled) {
  const auto journal = exec.journals.find(position);
  if (!enabled && journal != exec.journals.end()) journal->second.Doubt(exec.launched);
  {
    const std::lock_guard lock(exec.mutex);
    for (GraphShape::Call& call : exec.calls) {
      if (call.node != position || call.enabled == enabled) continue;
      call.enabled = enabled;
      call.decoded.call.flags &= ~trace::kCallTells;
      EmitNodeParams(session, exec, call);
    }
    CountAgain(session, exec);
  }
  session.PauseSnapshots(exec);
}

// A child graph has been exchanged, and nothing tells which of the nodes in children are its own:
// of none of them anything is known any more.
void ForgetChildren(Session& session, Exec& exec) {
  bool any = false;
  for (auto& [node, journal] : exec.journals) {
    if (node >= exec.own_nodes) journal.Doubt(exec.launched);
  }
  {
    const std::lock_guard lock(exec.mutex);
    for (GraphShape::Call& call : exec.calls) {
      if (call.node < exec.own_nodes || !call.decodable) continue;
      any = true;
      call.decodable = false;
      EmitNodeParams(session, exec, call);
    }
    CountAgain(session, exec);
  }
  if (any) session.StopSnapshots(exec);
}

// The node no longer counts its runs in every replay.
void Doubt(Session& session, Exec& exec, uint32_t position) {
  const auto journal = exec.journals.find(position);
  if (journal == exec.journals.end() || !journal->second.Doubt(exec.launched)) return;
  const std::lock_guard lock(exec.mutex);
  for (GraphShape::Call& call : exec.calls) {
    if (call.node != position) continue;
    call.decoded.call.flags &= ~trace::kCallTells;
    EmitNodeParams(session, exec, call);
  }
}

// New parameters of one node of an exec, with the journal in them that the node had.
class NewCall {
 public:
  // `function`, `arguments` and `extra` as the host gives them.
  NewCall(CUgraphExec handle, CUgraphNode node, const void* function, void** arguments,
          void** extra) noexcept {
    Guarded([&] {
      session_ = Session::Standing();
      exec_ = session_ == nullptr ? nullptr : session_->graphs().FindExec(handle);
      if (exec_ == nullptr) return;
      position_ = PositionOf(*exec_, node);
      const auto journal = exec_->journals.find(position_);
      if (journal == exec_->journals.end() || journal->second.doubtful()) return;
      const Function* known = session_->functions().FindInNode(function);
      if (known == nullptr) return;
      Arguments given(*known, arguments, extra);
      if (given.get() != nullptr && given.get()[0] != nullptr) Fill(*known, given.get());
    });
  }

  // Null: the host's own are to be used.
  void** arguments() { return filled_ ? &argument_ : nullptr; }
  // The real call took the parameters.
  void Taken() {
    if (exec_ != nullptr && !filled_) Doubt(*session_, *exec_, position_);
  }
  bool filled() const { return filled_; }

 private:
  void Fill(const Function& function, void** arguments) {
    lamport::DecodedCall decoded{};
    if (!lamport::Decode(function.recognition, arguments, {}, &decoded)) return;
    if (!CanJournal(function, decoded)) return;
    const Workspace* workspace =
        session_->workspaces().Resolve(function.recognition, exec_->device->ordinal(), &decoded);
    if (workspace == nullptr) return;
    std::memcpy(&call_, arguments[0], sizeof(call_));
    TellNode(*exec_, position_, workspace->id, &call_);
    filled_ = true;
  }

  Session* session_ = nullptr;
  Exec* exec_ = nullptr;
  uint32_t position_ = kNowhere;
  kernels::CollectiveCall call_{};
  void* argument_ = &call_;
  bool filled_ = false;
};

// The kernel that the call is from here on. Parameters of another kernel must not be read as ours:
// our one parameter is larger than most.
const Function* FunctionFrom(Session& session, const GraphShape::Call& call, const void* function) {
  const Function* known = session.functions().FindInNode(function);
  if (known != nullptr) return known;
  return IsOurs(*call.function) ? nullptr : call.function;
}

// False where nothing can be said of the call any more.
bool Decode(Session& session, const Exec& exec, const cudaKernelNodeParams& parameters,
            GraphShape::Call* call) {
  const Function* function = FunctionFrom(session, *call, parameters.func);
  if (function == nullptr) return false;
  Arguments arguments(*function, parameters.kernelParams, parameters.extra);
  lamport::DecodedCall decoded{};
  if (!lamport::Decode(function->recognition, arguments.get(), ShapeOf(parameters, call->decoded),
                       &decoded)) {
    return false;
  }
  session.workspaces().Resolve(function->recognition,
                               exec.device == nullptr ? trace::kNoId : exec.device->ordinal(),
                               &decoded);
  call->function = function;
  call->decoded = decoded;
  return true;
}

void NoteNodeParams(Session& session, Exec& exec, CUgraphNode node,
                    const cudaKernelNodeParams& parameters, bool journals) {
  const uint32_t position = PositionOf(exec, node);
  if (position == kNowhere) return;
  bool other_workspace = false;
  {
    std::lock_guard lock(exec.mutex);
    for (GraphShape::Call& call : exec.calls) {
      if (call.node != position) continue;
      const uint32_t before = call.decoded.call.workspace_id;
      const bool was_decodable = call.decodable;
      call.decodable = Decode(session, exec, parameters, &call);
      if (!call.decodable && !was_decodable) continue;
      if (journals) call.decoded.call.flags |= ToldFlag(exec);
      other_workspace |= !call.decodable || call.decoded.call.workspace_id != before;
      EmitNodeParams(session, exec, call);
    }
    CountAgain(session, exec);
  }
  if (other_workspace) session.StopSnapshots(exec);
}

void NoteNodeParams(CUgraphExec handle, CUgraphNode node, const cudaKernelNodeParams& parameters,
                    bool journals) {
  Session* session = Session::Standing();
  Exec* exec = session == nullptr ? nullptr : session->graphs().FindExec(handle);
  if (exec != nullptr) NoteNodeParams(*session, *exec, node, parameters, journals);
}

}  // namespace

cudaError_t SetNodeParams(RealFunction<decltype(&cudaGraphExecKernelNodeSetParams)>& real,
                          cudaGraphExec_t exec, cudaGraphNode_t node,
                          const cudaKernelNodeParams* parameters) {
  if (parameters == nullptr) return CallReal(real, exec, node, parameters);
  NewCall call(exec, node, parameters->func, parameters->kernelParams, parameters->extra);
  cudaKernelNodeParams taken = *parameters;
  taken.kernelParams = call.arguments();
  taken.extra = nullptr;
  const cudaError_t status = CallReal(real, exec, node, call.filled() ? &taken : parameters);
  if (status != cudaSuccess) return status;
  Guarded([&] {
    call.Taken();
    NoteNodeParams(exec, node, *parameters, call.filled());
  });
  return status;
}

cudaError_t SetAnyNodeParams(RealFunction<decltype(&cudaGraphExecNodeSetParams)>& real,
                             cudaGraphExec_t exec, cudaGraphNode_t node,
                             cudaGraphNodeParams* parameters) {
  if (parameters == nullptr || parameters->type != cudaGraphNodeTypeKernel) {
    const cudaError_t status = CallReal(real, exec, node, parameters);
    const bool child = parameters != nullptr && parameters->type == cudaGraphNodeTypeGraph;
    if (child && status == cudaSuccess) ChildTaken(exec);
    return status;
  }
  NewCall call(exec, node, parameters->kernel.func, parameters->kernel.kernelParams,
               parameters->kernel.extra);
  cudaGraphNodeParams taken = *parameters;
  taken.kernel.kernelParams = call.arguments();
  taken.kernel.extra = nullptr;
  const cudaError_t status = CallReal(real, exec, node, call.filled() ? &taken : parameters);
  if (status != cudaSuccess) return status;
  Guarded([&] {
    call.Taken();
    cudaKernelNodeParams kernel{};
    kernel.func = parameters->kernel.func;
    kernel.gridDim = parameters->kernel.gridDim;
    kernel.blockDim = parameters->kernel.blockDim;
    kernel.kernelParams = parameters->kernel.kernelParams;
    kernel.extra = parameters->kernel.extra;
    NoteNodeParams(exec, node, kernel, call.filled());
  });
  return status;
}

void NodeParamsTaken(CUgraphExec exec, CUgraphNode node,
                     const cudaKernelNodeParams& parameters) noexcept {
  Guarded([&] {
    Session* session = Session::Standing();
    Exec* known = session == nullptr ? nullptr : session->graphs().FindExec(exec);
    if (known == nullptr) return;
    Doubt(*session, *known, PositionOf(*known, node));
    NoteNodeParams(*session, *known, node, parameters, false);
  });
}

void ChildTaken(CUgraphExec exec) noexcept {
  Guarded([&] {
    Session* session = Session::Standing();
    Exec* known = session == nullptr ? nullptr : session->graphs().FindExec(exec);
    if (known != nullptr) ForgetChildren(*session, *known);
  });
}

cudaError_t SetChild(RealFunction<decltype(&cudaGraphExecChildGraphNodeSetParams)>& real,
                     cudaGraphExec_t exec, cudaGraphNode_t node, cudaGraph_t child) {
  const cudaError_t status = CallReal(real, exec, node, child);
  if (status == cudaSuccess) ChildTaken(exec);
  return status;
}

void NodeEnabled(CUgraphExec exec, CUgraphNode node, bool enabled) noexcept {
  Guarded([&] {
    Session* session = Session::Standing();
    Exec* known = session == nullptr ? nullptr : session->graphs().FindExec(exec);
    if (known != nullptr) NoteEnabled(*session, *known, PositionOf(*known, node), enabled);
  });
}

cudaError_t SetNodeEnabled(RealFunction<decltype(&cudaGraphNodeSetEnabled)>& real,
                           cudaGraphExec_t exec, cudaGraphNode_t node, unsigned enabled) {
  const cudaError_t status = CallReal(real, exec, node, enabled);
  if (status == cudaSuccess) NodeEnabled(exec, node, enabled != 0);
  return status;
}

}  // namespace lamplight::shim::hooks
