// Instantiation and what follows it on the cold side; replays are in replay.cc.
#include "shim/hooks/graph.h"

#include <algorithm>
#include <memory>
#include <string>

#include "shim/hooks/guard.h"
#include "shim/hooks/node_params.h"
#include "shim/instrument.h"
#include "shim/log.h"

namespace lamplight::shim::hooks {
namespace {

RealFunctions<decltype(&cudaGetLastError)> real_get_last_error{"cudaGetLastError"};
RealFunctions<decltype(&cudaPeekAtLastError)> real_peek_last_error{"cudaPeekAtLastError"};

std::vector<Workspace*> ResolveWorkspaces(Session& session, GraphShape* shape, uint32_t device) {
  std::vector<Workspace*> workspaces;
  for (GraphShape::Call& call : shape->calls) {
    workspaces.push_back(call.decodable ? session.workspaces().Resolve(call.function->recognition,
                                                                       device, &call.decoded)
                                        : nullptr);
  }
  return workspaces;
}

void NoteUpdate(Session& session, Exec& exec, uint32_t graph_id, cudaError_t status,
                const cudaGraphExecUpdateResultInfo* result) {
  trace::ExecUpdate record{};
  record.exec_id = exec.id;
  record.graph_id = graph_id;
  record.status = status;
  record.result = result == nullptr ? 0 : static_cast<uint32_t>(result->result);
  session.recorder().Emit(trace::RecordType::kExecUpdate, record);
}

}  // namespace

// One instantiation: the plan for the new exec, its nodes in the graph while the real call runs.
class InstantiateCall::Plan {
 public:
  Plan(Session& session, CUgraph graph, unsigned long long flags)
      : session_(session), graph_(graph), flags_(flags), nodes_(session.driver(), graph) {
    const RelaxedCapture relaxed(session.driver());
    exec_->device = session.CurrentDevice();
    std::string error;
    if (!ReadGraphShape(session.driver(), session.functions(), graph, &shape_, &error)) {
      LogWarning("a graph could not be read ({}); its replays are recorded without snapshots",
                 error);
      return;
    }
    const uint32_t device = exec_->device == nullptr ? trace::kNoId : exec_->device->ordinal();
    const std::vector<Workspace*> workspaces = ResolveWorkspaces(session, &shape_, device);
    exec_->id = session.graphs().NextExecId();
    // Device-launched graphs may hold no event nodes (cudaGraphInstantiateFlagDeviceLaunch).
    if ((flags & cudaGraphInstantiateFlagDeviceLaunch) != 0) exec_->device = nullptr;
    if (session.config().journal) {
      PlanJournals(shape_, session.config().mode, workspaces, exec_.get());
      nodes_.FillJournals(*exec_, &shape_);
      KeepFilledJournals();
    }
    PlanInstrumentation(session.driver(), shape_, session.config().mode, workspaces, exec_.get());
    Instrumentation::Reads reads;
    for (const PlannedSnapshot& snapshot : exec_->snapshots) reads.push_back(snapshot.workspaces);
    if (!nodes_.Add(shape_, *exec_, reads)) ForgetNodes();
  }

  // Without an exec, nothing that it was given is used.
  ~Plan() {
    nodes_.Remove();
    if (exec_ == nullptr || exec_->device == nullptr || nodes_.left_some()) return;
    exec_->device->TakeBackUnused(exec_->held);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  bool added() const { return nodes_.added(); }

  // Takes our nodes out again, for a second real call without them.
  void WithdrawFrom(cudaError_t status) {
    LogWarning("instantiate failed with the shim's nodes (error {}); retrying without",
               int{status});
    nodes_.Remove();
    ForgetNodes();
    exec_->journals.clear();
    for (GraphShape::Call& call : shape_.calls) call.decoded.call.flags &= ~trace::kCallTells;
  }

  void Commit(CUgraphExec handle) {
    const RelaxedCapture relaxed(session_.driver());
    nodes_.Remove();
    if (nodes_.left_some()) exec_->held = {};
    if (exec_->id == 0) exec_->id = session_.graphs().NextExecId();
    exec_->graph_id = session_.graphs().DefineGraph(session_.graphs().InfoOf(graph_), shape_);
    exec_->nodes = shape_.nodes;
    exec_->calls = std::move(shape_.calls);
    session_.graphs().ExecCreated(handle, std::move(exec_), session_.sites().Here(2), flags_);
  }

 private:
  void KeepFilledJournals() {
    for (const GraphShape::Call& call : shape_.calls) {
      if ((call.decoded.call.flags & trace::kCallTells) == 0) exec_->journals.erase(call.node);
    }
  }

  void ForgetNodes() {
    exec_->snapshots.clear();
    exec_->done_behind = true;
  }

  Session& session_;
  CUgraph graph_;
  unsigned long long flags_;
  GraphShape shape_;
  std::unique_ptr<Exec> exec_ = std::make_unique<Exec>();
  Instrumentation nodes_;
};

InstantiateCall::InstantiateCall(CUgraph graph, unsigned long long flags) noexcept {
  Guarded([&] {
    Session* session = graph == nullptr ? nullptr : Session::Current();
    if (session != nullptr) plan_ = std::make_unique<Plan>(*session, graph, flags);
  });
}

InstantiateCall::~InstantiateCall() {
  Guarded([&] { plan_.reset(); });
}

bool InstantiateCall::Withdraw(cudaError_t status) noexcept {
  if (status == cudaSuccess || plan_ == nullptr || !plan_->added()) return false;
  Guarded([&] { plan_->WithdrawFrom(status); });
  return true;
}

void InstantiateCall::Commit(cudaError_t status, const CUgraphExec* exec) noexcept {
  if (status != cudaSuccess || exec == nullptr) return;
  Guarded([&] {
    Session* session = Session::Standing();
    if (plan_ != nullptr) {
      plan_->Commit(*exec);
    } else if (session != nullptr) {
      // The handle is that of another exec now, without our nodes.
      session->graphs().ExecDestroyed(*exec);
    }
  });
}

// One whole-graph update: the exec's own plan laid over the new graph.
class UpdateCall::Plan {
 public:
  Plan(Session& session, Exec& exec, CUgraph graph)
      : session_(session), exec_(exec), graph_(graph), nodes_(session.driver(), graph) {
    const RelaxedCapture relaxed(session.driver());
    std::string error;
    readable_ = ReadGraphShape(session.driver(), session.functions(), graph, &shape_, &error);
    if (!readable_) return;
    const uint32_t device = exec.device == nullptr ? trace::kNoId : exec.device->ordinal();
    workspaces_ = ResolveWorkspaces(session, &shape_, device);
    nodes_.FillJournals(exec, &shape_);
    PlanReads();
    if (!exec.done_behind) nodes_.Add(shape_, exec, reads_);
  }

  void Commit(cudaError_t status, const cudaGraphExecUpdateResultInfo* result) {
    const RelaxedCapture relaxed(session_.driver());
    nodes_.Remove();
    if (nodes_.left_some()) {
      std::lock_guard lock(exec_.mutex);
      exec_.held = {};
    }
    if (status != cudaSuccess || !readable_) {
      NoteUpdate(session_, exec_, exec_.graph_id, status, result);
      return;
    }
    exec_.graph_id = session_.graphs().DefineUpdate(session_.graphs().InfoOf(graph_), shape_);
    DoubtTheOthers();
    {
      std::lock_guard lock(exec_.mutex);
      KeepDisabled();
      CountOps(shape_.calls, workspaces_, &exec_);
      for (size_t i = 0; i < reads_.size(); ++i) exec_.snapshots[i].workspaces = reads_[i];
      exec_.calls = std::move(shape_.calls);
    }
    NoteUpdate(session_, exec_, exec_.graph_id, status, result);
    std::lock_guard lock(exec_.mutex);
    for (const GraphShape::Call& call : exec_.calls) {
      if (!call.enabled) EmitNodeParams(session_, exec_, call);
    }
  }

 private:
  // Snapshots read what has come in the place of their workspaces, which may be gone from here on,
  // and nothing where that cannot be told.
  void PlanReads() {
    const std::lock_guard lock(exec_.mutex);
    for (const PlannedSnapshot& snapshot : exec_.snapshots) {
      std::vector<Workspace*>& now = reads_.emplace_back();
      for (const Workspace* before : snapshot.workspaces) now.push_back(InPlaceOf(*before));
      if (std::ranges::find(now, nullptr) != now.end()) now.clear();
    }
  }

  // The workspace that all calls on `before` are on in the new graph; null: there is none.
  Workspace* InPlaceOf(const Workspace& before) const {
    Workspace* found = nullptr;
    for (const GraphShape::Call& was : exec_.calls) {
      if (!was.decodable || was.decoded.call.workspace_id != before.id) continue;
      for (size_t i = 0; i < shape_.calls.size(); ++i) {
        if (shape_.calls[i].node != was.node) continue;
        const bool same_memory = shape_.calls[i].context == was.context;
        Workspace* now = same_memory ? workspaces_[i] : nullptr;
        if (now == nullptr || (found != nullptr && found != now)) return nullptr;
        found = now;
      }
    }
    return found;
  }

  // Nodes that have another kernel now count no longer.
  void DoubtTheOthers() {
    for (auto& [node, journal] : exec_.journals) {
      const auto counts = [at = node](const GraphShape::Call& call) {
        return call.node == at && (call.decoded.call.flags & trace::kCallTells) != 0;
      };
      if (std::none_of(shape_.calls.begin(), shape_.calls.end(), counts))
        journal.Doubt(exec_.launched);
    }
  }

  // An update leaves nodes switched off that were.
  void KeepDisabled() {
    for (const GraphShape::Call& was : exec_.calls) {
      if (was.enabled) continue;
      for (GraphShape::Call& call : shape_.calls) call.enabled &= call.node != was.node;
    }
  }

  Session& session_;
  Exec& exec_;
  CUgraph graph_;
  GraphShape shape_;
  bool readable_ = false;
  std::vector<Workspace*> workspaces_;
  Instrumentation::Reads reads_;
  Instrumentation nodes_;
};

UpdateCall::UpdateCall(CUgraphExec exec, CUgraph graph) noexcept {
  Guarded([&] {
    Session* session = Session::Standing();
    Exec* known = session == nullptr ? nullptr : session->graphs().FindExec(exec);
    if (known != nullptr) plan_ = std::make_unique<Plan>(*session, *known, graph);
  });
}

UpdateCall::~UpdateCall() {
  Guarded([&] { plan_.reset(); });
}

void UpdateCall::Commit(cudaError_t status, const cudaGraphExecUpdateResultInfo* result) noexcept {
  if (plan_ == nullptr) return;
  Guarded([&] { plan_->Commit(status, result); });
}

void GraphUploaded(CUgraphExec exec) noexcept {
  Guarded([&] {
    Session* session = Session::Running();
    Exec* known = session == nullptr ? nullptr : session->graphs().FindExec(exec);
    if (known != nullptr) known->uploaded = true;
  });
}

void ExecDestroying(CUgraphExec exec) noexcept {
  Guarded([&] {
    if (Session* session = Session::Standing()) session->graphs().ExecDestroyed(exec);
  });
}

void GraphDestroying(CUgraph graph) noexcept {
  Guarded([&] {
    if (Session* session = Session::Standing()) session->graphs().GraphDestroyed(graph);
  });
}

namespace {

// Instantiates with our nodes, and once more without them where the driver refuses.
template <class Real>
cudaError_t InstantiateAround(Runtime runtime, cudaGraphExec_t* exec, cudaGraph_t graph,
                              unsigned long long flags, Real real) {
  InstantiateCall call(graph, flags);
  const bool clean_before = CallReal(real_peek_last_error.Of(runtime)) == cudaSuccess;
  cudaError_t status = real();
  if (call.Withdraw(status)) {
    if (clean_before) CallReal(real_get_last_error.Of(runtime));  // the failure was ours
    status = real();
  }
  call.Commit(status, exec);
  return status;
}

}  // namespace

cudaError_t Instantiate(RealFunction<decltype(&cudaGraphInstantiate)>& real, cudaGraphExec_t* exec,
                        cudaGraph_t graph, unsigned long long flags) {
  return InstantiateAround(real.runtime(), exec, graph, flags,
                           [&] { return CallReal(real, exec, graph, flags); });
}

cudaError_t InstantiateWithParams(RealFunction<decltype(&cudaGraphInstantiateWithParams)>& real,
                                  cudaGraphExec_t* exec, cudaGraph_t graph,
                                  cudaGraphInstantiateParams* parameters) {
  const unsigned long long flags = parameters == nullptr ? 0 : parameters->flags;
  return InstantiateAround(real.runtime(), exec, graph, flags,
                           [&] { return CallReal(real, exec, graph, parameters); });
}

cudaError_t ExecUpdate(RealFunction<decltype(&cudaGraphExecUpdate)>& real, cudaGraphExec_t exec,
                       cudaGraph_t graph, cudaGraphExecUpdateResultInfo* result) {
  UpdateCall call(exec, graph);
  const cudaError_t status = CallReal(real, exec, graph, result);
  call.Commit(status, result);
  return status;
}

cudaError_t GraphUpload(RealFunction<decltype(&cudaGraphUpload)>& real, cudaGraphExec_t exec,
                        cudaStream_t stream) {
  const cudaError_t status = CallReal(real, exec, stream);
  if (status == cudaSuccess) GraphUploaded(exec);
  return status;
}

cudaError_t ExecDestroy(RealFunction<decltype(&cudaGraphExecDestroy)>& real, cudaGraphExec_t exec) {
  ExecDestroying(exec);
  return CallReal(real, exec);
}

cudaError_t GraphDestroy(RealFunction<decltype(&cudaGraphDestroy)>& real, cudaGraph_t graph) {
  GraphDestroying(graph);
  return CallReal(real, graph);
}

}  // namespace lamplight::shim::hooks
