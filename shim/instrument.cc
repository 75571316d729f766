// The plan (which nodes) and its execution (adding and removing them).
#include "shim/instrument.h"

#include <algorithm>
#include <cstring>

#include "shim/arguments.h"
#include "shim/log.h"

namespace lamplight::shim {
namespace {

constexpr size_t kMaxJournalNodes = 1024;

bool Contains(const std::vector<Workspace*>& list, const Workspace* workspace) {
  return std::ranges::find(list, workspace) != list.end();
}

void AddUnique(std::vector<Workspace*>* list, Workspace* workspace) {
  if (workspace != nullptr && !Contains(*list, workspace)) list->push_back(workspace);
}

// Every workspace once, split by what one snapshot node can read.
void PlanOne(trace::SnapshotPlace place, std::vector<uint32_t> after, std::vector<uint32_t> before,
             uint32_t node, const std::vector<Workspace*>& workspaces, Exec* exec) {
  for (size_t i = 0; i < workspaces.size(); i += kSnapshotSources) {
    const uint32_t counter = exec->device->NewCounter();
    if (counter == 0) return;
    exec->held.counters.push_back(counter);
    const size_t end = std::min(workspaces.size(), i + kSnapshotSources);
    exec->snapshots.push_back({place,
                               after,
                               before,
                               node,
                               exec->device->CounterAddress(counter),
                               {workspaces.begin() + static_cast<ptrdiff_t>(i),
                                workspaces.begin() + static_cast<ptrdiff_t>(end)}});
  }
}

bool Journals(const GraphShape::Call& call) {
  return (call.decoded.call.flags & trace::kCallJournals) != 0;
}

// Whether the calls themselves tell of every step that the workspace's flags take.
bool TellsItself(const GraphShape& shape, const std::vector<Workspace*>& workspace_of_call,
                 const Workspace* workspace) {
  bool any = false;
  for (size_t i = 0; i < shape.calls.size(); ++i) {
    const GraphShape::Call& call = shape.calls[i];
    if (workspace_of_call[i] != workspace) continue;
    if ((call.decoded.call.flags & trace::kCallAdvances) == 0) continue;
    if (!Journals(call)) return false;
    any = true;
  }
  return any;
}

// The workspaces with steps that nothing but a snapshot node tells of.
std::vector<Workspace*> Silent(const GraphShape& shape,
                               const std::vector<Workspace*>& workspace_of_call) {
  std::vector<Workspace*> silent;
  for (Workspace* workspace : workspace_of_call) {
    if (workspace == nullptr || TellsItself(shape, workspace_of_call, workspace)) continue;
    AddUnique(&silent, workspace);
  }
  return silent;
}

// As `workspace_of_call`, null for calls in contexts whose memory our own nodes do not see.
std::vector<Workspace*> Readable(const DriverApi& driver, const GraphShape& shape,
                                 const std::vector<Workspace*>& workspace_of_call,
                                 const Exec& exec) {
  Reach reach(driver, exec.device->context());
  std::vector<Workspace*> readable = workspace_of_call;
  for (size_t i = 0; i < readable.size(); ++i) {
    if (!reach.Sees(shape.calls[i].context)) readable[i] = nullptr;
  }
  return readable;
}

// Of the device's own context, as the thread's may be a green one, which ends before the process
// does. Null: there is none to be had.
CUevent NewEvent(const DriverApi& driver, const Device& device) {
  const WithContext with(driver, device.context());
  CUevent event = nullptr;
  if (!with.current() || driver.EventCreate(&event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS) {
    return nullptr;
  }
  return event;
}

// One snapshot after every Lamport node but the last that does not journal by itself; the next
// Lamport node waits for it.
void PlanJournalNodes(const GraphShape& shape, const std::vector<Workspace*>& workspace_of_call,
                      Exec* exec) {
  for (size_t i = 0; i + 1 < shape.calls.size() && i < kMaxJournalNodes; ++i) {
    const uint32_t node = shape.top[shape.calls[i].node];
    const uint32_t next = shape.top[shape.calls[i + 1].node];
    if (workspace_of_call[i] == nullptr || node == next || Journals(shape.calls[i])) continue;
    PlanOne(trace::SnapshotPlace::kNode, {node}, {next}, shape.calls[i].node,
            {workspace_of_call[i]}, exec);
  }
}

// Whether whatever starts behind the node waits until all of it has ended: by the kind of the edge,
// or, as kernels of ours do, by itself. What comes behind the graph waits for its end.
bool FollowersWait(const GraphShape& shape, uint32_t node) {
  return std::ranges::none_of(shape.edges, [&](const GraphShape::Edge& edge) {
    if (edge.from != node || edge.kind == CU_GRAPH_DEPENDENCY_TYPE_DEFAULT) return false;
    return std::ranges::none_of(shape.calls, [&](const GraphShape::Call& call) {
      return call.node == edge.to && IsOurs(*call.function);
    });
  });
}

std::vector<CUgraphNode> At(const GraphShape& shape, const std::vector<uint32_t>& positions) {
  std::vector<CUgraphNode> nodes;
  for (const uint32_t position : positions) nodes.push_back(shape.nodes[position]);
  return nodes;
}

}  // namespace

void CountOps(const std::vector<GraphShape::Call>& calls,
              const std::vector<Workspace*>& workspace_of_call, Exec* exec) noexcept {
  std::array<std::pair<Workspace*, uint32_t>, trace::kMaxWorkspacesPerGraph> counts{};
  for (size_t i = 0; i < calls.size(); ++i) {
    if (workspace_of_call[i] == nullptr || !calls[i].enabled) continue;
    for (auto& [workspace, ops] : counts) {
      if (workspace != nullptr && workspace != workspace_of_call[i]) continue;
      workspace = workspace_of_call[i];
      ops += (calls[i].decoded.call.flags & trace::kCallAdvances) != 0;
      break;
    }
  }
  for (size_t i = 0; i < counts.size(); ++i) {
    exec->ops[i].ops.store(counts[i].second, std::memory_order_relaxed);
    exec->ops[i].workspace.store(counts[i].first, std::memory_order_release);
  }
}

void PlanJournals(const GraphShape& shape, Mode mode,
                  const std::vector<Workspace*>& workspace_of_call, Exec* exec) {
  if (exec->device == nullptr) return;
  exec->in_ring = mode == Mode::kJournal;
  for (size_t i = 0; i < shape.calls.size(); ++i) {
    const GraphShape::Call& call = shape.calls[i];
    if (workspace_of_call[i] == nullptr || !CanJournal(*call.function, call.decoded)) continue;
    const uint32_t counter = exec->in_ring ? exec->device->NewCounter() : exec->device->NewMark();
    if (counter == 0) return;
    (exec->in_ring ? exec->held.counters : exec->held.marks).push_back(counter);
    JournalledNode& node = exec->journals[call.node];
    node.counter = counter;
    node.followers_wait = FollowersWait(shape, call.node);
  }
}

void PlanInstrumentation(const DriverApi& driver, const GraphShape& shape, Mode mode,
                         const std::vector<Workspace*>& workspace_of_call, Exec* exec) {
  exec->own_nodes = shape.own;
  CountOps(shape.calls, workspace_of_call, exec);
  std::vector<Workspace*> silent = Silent(shape, workspace_of_call);
  exec->tells_itself = silent.empty();
  if (exec->device == nullptr || shape.own == 0) return;
  exec->done = NewEvent(driver, *exec->device);
  exec->done_behind = shape.owns_memory;
  if (shape.owns_memory) return;
  exec->sinks = shape.Sinks();
  const std::vector<Workspace*> readable = Readable(driver, shape, workspace_of_call, *exec);
  std::vector<Workspace*> workspaces;
  for (Workspace* workspace : readable) AddUnique(&workspaces, workspace);
  if (workspaces.empty()) return;
  std::erase_if(silent, [&](Workspace* workspace) { return !Contains(workspaces, workspace); });
  if (mode != Mode::kDefault) {
    PlanOne(trace::SnapshotPlace::kHead, {}, shape.FirstLamportNodes(), shape.calls.front().node,
            workspaces, exec);
  }
  if (mode == Mode::kJournal) PlanJournalNodes(shape, readable, exec);
  PlanOne(trace::SnapshotPlace::kTail, shape.LastLamportNodes(), {}, shape.calls.back().node,
          silent, exec);
}

void Instrumentation::FillJournals(const Exec& exec, GraphShape* shape) {
  if (exec.device == nullptr) return;
  filled_.reserve(exec.journals.size());
  Reach reach(driver_, exec.device->context());
  for (GraphShape::Call& call : shape->calls) {
    const auto journal = exec.journals.find(call.node);
    if (journal == exec.journals.end() || journal->second.doubtful()) continue;
    if (!call.decodable || !CanJournal(*call.function, call.decoded)) continue;
    if (Fill(shape->nodes[call.node], exec, call, &reach))
      call.decoded.call.flags |= ToldFlag(exec);
  }
}

bool Instrumentation::Fill(CUgraphNode handle, const Exec& exec, const GraphShape::Call& call,
                           Reach* reach) {
  Filled filled{handle, {}, {}};
  if (driver_.GraphKernelNodeGetParams(handle, &filled.parameters) != CUDA_SUCCESS) return false;
  const CUDA_KERNEL_NODE_PARAMS& parameters = filled.parameters;
  Arguments arguments(*call.function, parameters.kernelParams, parameters.extra);
  if (arguments.get() == nullptr || arguments.get()[0] == nullptr) return false;
  // Counters and marks are memory of the device's own context.
  if (!reach->MayTell(parameters)) return false;
  std::memcpy(&filled.call, arguments.get()[0], sizeof(filled.call));
  kernels::CollectiveCall told = filled.call;
  TellNode(exec, call.node, call.decoded.call.workspace_id, &told);
  if (!SetCall(filled, told)) return false;
  filled_.push_back(filled);
  return true;
}

bool Instrumentation::SetCall(const Filled& filled, kernels::CollectiveCall call) const {
  CUDA_KERNEL_NODE_PARAMS parameters = filled.parameters;
  const WithContext with(driver_, parameters.ctx);
  void* argument = &call;
  PackedList packed(&call, sizeof call);
  // The node's own array or buffer may go as soon as it gets another.
  const bool one_by_one = parameters.kernelParams != nullptr;
  parameters.kernelParams = one_by_one ? &argument : nullptr;
  parameters.extra = one_by_one ? nullptr : packed.get();
  return driver_.GraphKernelNodeSetParams(filled.node, &parameters) == CUDA_SUCCESS;
}

bool Instrumentation::Add(const GraphShape& shape, const Exec& exec, const Reads& reads) {
  if (shape.own != exec.own_nodes || exec.device == nullptr) return false;
  bool complete = true;
  for (size_t i = 0; i < exec.snapshots.size() && complete; ++i) {
    complete = AddSnapshot(shape, exec, exec.snapshots[i], reads[i]);
  }
  complete = complete && (exec.done == nullptr || exec.done_behind || AddDone(shape, exec));
  if (!complete) RemoveNodes();
  return complete;
}

bool Instrumentation::AddSnapshot(const GraphShape& shape, const Exec& exec,
                                  const PlannedSnapshot& snapshot,
                                  const std::vector<Workspace*>& workspaces) {
  SnapshotArgs args = exec.device->BaseArgs();
  args.counter = snapshot.counter;
  args.exec_id = exec.id;
  args.node = snapshot.node;
  args.place = static_cast<uint16_t>(snapshot.place);
  args.sources = static_cast<uint16_t>(workspaces.size());
  for (size_t i = 0; i < workspaces.size(); ++i) args.source[i] = SourceOf(*workspaces[i]);
  void* parameters[] = {&args};
  CUDA_KERNEL_NODE_PARAMS node_parameters{};
  node_parameters.func = exec.device->snapshot_function();
  node_parameters.gridDimX = node_parameters.gridDimY = node_parameters.gridDimZ = 1;
  node_parameters.blockDimX = kSnapshotThreads;
  node_parameters.blockDimY = node_parameters.blockDimZ = 1;
  node_parameters.kernelParams = parameters;
  node_parameters.ctx = exec.device->context();
  const std::vector<CUgraphNode> after = At(shape, snapshot.after);
  CUgraphNode node = nullptr;
  if (driver_.GraphAddKernelNode(&node, graph_, after.data(), after.size(), &node_parameters) !=
      CUDA_SUCCESS) {
    return false;
  }
  added_.push_back(node);
  for (const CUgraphNode before : At(shape, snapshot.before)) {
    const CUgraphEdgeData full{};
    if (driver_.GraphAddDependencies(graph_, &node, &before, &full, 1) != CUDA_SUCCESS)
      return false;
  }
  return true;
}

// After all that the replay does, our own snapshots included.
bool Instrumentation::AddDone(const GraphShape& shape, const Exec& exec) {
  std::vector<CUgraphNode> after = At(shape, exec.sinks);
  for (size_t i = 0; i < added_.size(); ++i) {
    if (exec.snapshots[i].before.empty()) after.push_back(added_[i]);
  }
  CUgraphNode node = nullptr;
  if (driver_.GraphAddEventRecordNode(&node, graph_, after.data(), after.size(), exec.done) !=
      CUDA_SUCCESS) {
    return false;
  }
  added_.push_back(node);
  return true;
}

void Instrumentation::RemoveNodes() noexcept {
  // Backwards, so that no node loses a dependency before it goes itself.
  for (auto node = added_.rbegin(); node != added_.rend(); ++node) {
    left_some_ |= driver_.GraphDestroyNode(*node) != CUDA_SUCCESS;
  }
  added_.clear();
}

void Instrumentation::Remove() noexcept {
  RemoveNodes();
  for (const Filled& filled : filled_) {
    if (SetCall(filled, filled.call)) continue;
    LogWarning("a graph's node kept the shim's journal");
    left_some_ = true;
  }
  filled_.clear();
}

}  // namespace lamplight::shim
