// In passes, so that nothing depends on the order in which definitions were written.
#include "analyzer/model_builder_definitions.h"

#include <algorithm>
#include <cstdio>

#include "analyzer/demangle.h"

namespace lamplight {
namespace {

std::string UuidText(const uint8_t (&uuid)[16]) {
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    char hex[3];
    std::snprintf(hex, sizeof(hex), "%02x", uuid[i]);
    text += hex;
    if (i == 3 || i == 5 || i == 7 || i == 9) text += '-';
  }
  return text;
}

// Empty where the host has none.
std::string BootText(const uint8_t (&boot)[16]) {
  if (std::ranges::all_of(boot, [](uint8_t byte) { return byte == 0; })) return "";
  std::string text;
  for (const uint8_t byte : boot) {
    char hex[3];
    std::snprintf(hex, sizeof(hex), "%02x", byte);
    text += hex;
  }
  return text;
}

class DefinitionBuilder {
 public:
  DefinitionBuilder(const TraceFile& trace, ProcessIds* ids, Model* model)
      : trace_(trace), ids_(*ids), model_(*model) {}

  void Build() {
    AddProcess();
    ForEach([this](const auto& record, const RecordView& view) { Basics(record, view); });
    ForEach([this](const auto& record, const RecordView& view) { Graphs(record, view); });
    ForEach([this](const auto& record, const RecordView& view) { Members(record, view); });
    FinishGraphs();
  }

 private:
  // Calls visit(record, view) for each definition that the builder knows.
  template <class Visit>
  void ForEach(Visit visit) {
    for (const RecordView& view : trace_.definitions) {
      switch (view.type()) {
        case trace::RecordType::kDevice:
          visit(*view.As<trace::Device>(), view);
          break;
        case trace::RecordType::kKernel:
          visit(*view.As<trace::Kernel>(), view);
          break;
        case trace::RecordType::kWorkspace:
          visit(*view.As<trace::Workspace>(), view);
          break;
        case trace::RecordType::kCommunicator:
          visit(*view.As<trace::Communicator>(), view);
          break;
        case trace::RecordType::kSite:
          visit(*view.As<trace::Site>(), view);
          break;
        case trace::RecordType::kPythonSite:
          visit(*view.As<trace::PythonSite>(), view);
          break;
        case trace::RecordType::kSource:
          visit(*view.As<trace::Source>(), view);
          break;
        case trace::RecordType::kDriverClient:
          visit(*view.As<trace::DriverClient>(), view);
          break;
        case trace::RecordType::kSwap:
          visit(*view.As<trace::Swap>(), view);
          break;
        case trace::RecordType::kStream:
          visit(*view.As<trace::Stream>(), view);
          break;
        case trace::RecordType::kGraph:
          visit(*view.As<trace::Graph>(), view);
          break;
        case trace::RecordType::kNode:
          visit(*view.As<trace::Node>(), view);
          break;
        case trace::RecordType::kEdge:
          visit(*view.As<trace::Edge>(), view);
          break;
        case trace::RecordType::kEarlyRead:
          visit(*view.As<trace::EarlyRead>(), view);
          break;
        case trace::RecordType::kExec:
          visit(*view.As<trace::Exec>(), view);
          break;
        default:
          break;
      }
    }
  }

  void AddProcess() {
    Process process;
    process.pid = trace_.header.pid;
    process.start_ns = ids_.shift.Apply(trace_.header.start_ns);
    process.file = Sanitized(trace_.path);
    process.closed = trace_.closed;
    process.clock_aligned = ids_.shift.known;
    for (const RecordView& view : trace_.definitions) {
      if (view.type() != trace::RecordType::kProcess) continue;
      Describe(*view.As<trace::Process>(), view, &process);
      break;
    }
    ids_.process = Append(&model_.processes, std::move(process));
  }

  void Describe(const trace::Process& record, const RecordView& view, Process* process) {
    process->pid = record.pid;
    process->ppid = record.ppid;
    process->env_rank = record.env_rank;
    process->env_local_rank = record.env_local_rank;
    process->env_world = record.env_world;
    process->timeout_ms = record.timeout_ms;
    process->start_ns = ids_.shift.Apply(record.start_ns);
    process->boot = BootText(record.boot_id);
    process->hostname = view.Text(record.hostname);
    process->executable = view.Text(record.executable);
    process->command_line = view.Text(record.command_line, true);
    std::replace(process->command_line.begin(), process->command_line.end(), '\n', ' ');
    process->job = view.Text(record.job);
    process->shim_version = view.Text(record.shim_version);
    process->mode = view.Text(record.mode);
  }

  // First pass: what refers to nothing but devices.
  template <class Other>
  void Basics(const Other&, const RecordView&) {}

  void Basics(const trace::Device& record, const RecordView& view) {
    Device device;
    device.process = ids_.process;
    device.ordinal = record.device_id;
    device.simulated = (record.flags & trace::kDeviceSimulated) != 0;
    device.cc_major = record.cc_major;
    device.cc_minor = record.cc_minor;
    device.multiprocessors = record.multiprocessors;
    device.driver_version = record.driver_version;
    device.runtime_version = record.runtime_version;
    device.name = view.Text(record.name);
    device.uuid = UuidText(record.uuid);
    if (ids_.devices.Find(record.device_id) != kNone) return;  // opened by two contexts
    ids_.devices.Add(record.device_id, Append(&model_.devices, std::move(device)));
  }

  void Basics(const trace::Kernel& record, const RecordView& view) {
    Kernel kernel;
    kernel.process = ids_.process;
    kernel.algorithm = static_cast<trace::Algorithm>(record.algorithm);
    kernel.data_type = static_cast<trace::DataType>(record.data_type);
    kernel.flag_layout = static_cast<trace::FlagLayout>(record.flag_layout);
    kernel.compare = static_cast<protocol::Compare>(record.compare);
    kernel.world = record.world;
    kernel.lamport = (record.flags & trace::kKernelLamport) != 0;
    kernel.decoded = (record.flags & trace::kKernelDecoded) != 0;
    kernel.own_flag_first = (record.flags & trace::kKernelOwnFlagFirst) != 0;
    kernel.word_sentinel = (record.flags & trace::kKernelWordSentinel) != 0;
    kernel.symbol = view.Text(record.symbol);
    kernel.name = Demangled(kernel.symbol);
    kernel.descriptor = view.Text(record.descriptor);
    kernel.era = view.Text(record.era);
    kernel.reason = view.Text(record.reason);
    ids_.kernels.Add(record.kernel_id, Append(&model_.kernels, std::move(kernel)));
  }

  void Basics(const trace::Communicator& record, const RecordView& view) {
    ids_.communicator_keys.try_emplace(record.communicator_id, view.Text(record.key));
  }

  void Basics(const trace::Site& record, const RecordView& view) {
    Site site;
    for (const trace::Frame& frame : view.Frames(record)) {
      site.frames.push_back({Demangled(view.Text(frame.symbol)), view.Text(frame.module),
                             frame.module_offset, frame.symbol_offset});
    }
    ids_.sites.Add(record.site_id, Append(&model_.sites, std::move(site)));
  }

  // Second pass: what refers to devices, streams and sites.
  template <class Other>
  void Graphs(const Other&, const RecordView&) {}

  void Graphs(const trace::Stream& record, const RecordView&) {
    ids_.streams.Add(record.stream_id,
                     Append(&model_.streams, {ids_.process, ids_.devices.Find(record.device_id),
                                              record.stream_id, record.flags, record.handle}));
  }

  void Graphs(const trace::Workspace& record, const RecordView&) {
    Workspace workspace;
    workspace.process = ids_.process;
    workspace.id = record.workspace_id;
    workspace.device = ids_.devices.Find(record.device_id);
    workspace.rank = record.rank;
    workspace.world = record.world;
    workspace.flag_layout = static_cast<trace::FlagLayout>(record.flag_layout);
    workspace.flag_words = record.flag_words;
    workspace.flags_address = record.flags_address;
    workspace.local_address = record.local_address;
    const Index index = Append(&model_.workspaces, std::move(workspace));
    ids_.workspaces.Add(record.workspace_id, index);
    ids_.communicator_of[index] = record.communicator_id;
  }

  // Third pass: nodes and edges into graphs, execs onto graphs.
  template <class Other>
  void Members(const Other&, const RecordView&) {}

  void Graphs(const trace::Swap& record, const RecordView& view) {
    KernelSwap swap;
    swap.process = ids_.process;
    swap.kernel = ids_.kernels.Find(record.kernel_id);
    if (record.by_kernel_id != 0) swap.by = ids_.kernels.Find(record.by_kernel_id);
    swap.reason = view.Text(record.reason);
    if (swap.kernel != kNone) model_.swaps.push_back(std::move(swap));
  }

  void Graphs(const trace::Source& record, const RecordView& view) {
    DriverCalls& calls = model_.processes[ids_.process].driver_calls;
    calls.asked = true;
    calls.in_force = record.state == static_cast<uint32_t>(trace::SourceState::kInForce);
    calls.library = view.Text(record.library);
    calls.reason = view.Text(record.reason);
  }

  void Graphs(const trace::DriverClient& record, const RecordView& view) {
    std::vector<std::string>& modules = model_.processes[ids_.process].driver_clients.modules;
    std::string module = view.Text(record.module);
    if (std::ranges::find(modules, module) == modules.end()) modules.push_back(std::move(module));
  }

  void Graphs(const trace::PythonSite& record, const RecordView& view) {
    const Index index = ids_.sites.Find(record.site_id);
    if (index == kNone) ids_.dangling = true;
    if (index == kNone || !model_.sites[index].python.empty()) return;
    for (const trace::PythonFrame& frame : view.Frames(record)) {
      model_.sites[index].python.push_back(
          {view.Text(frame.file), view.Text(frame.function), frame.line});
    }
  }

  void Graphs(const trace::Graph& record, const RecordView&) {
    Graph graph;
    graph.process = ids_.process;
    graph.id = record.graph_id;
    graph.stream = ids_.streams.Find(record.stream_id);
    graph.capture_begin_ns = ids_.shift.Apply(record.capture_begin_ns);
    graph.capture_end_ns = ids_.shift.Apply(record.capture_end_ns);
    graph.site = ids_.sites.Find(record.site_id);
    graph.origin = static_cast<trace::GraphOrigin>(record.origin);
    graph.capture_mode = record.capture_mode;
    graph.declared_nodes = record.nodes;
    graph.declared_lamport_nodes = record.lamport_nodes;
    ids_.graphs.Add(record.graph_id, Append(&model_.graphs, std::move(graph)));
  }

  Graph* GraphOf(uint32_t id) {
    const Index index = ids_.graphs.Find(id);
    if (index == kNone) ids_.dangling = true;
    return index == kNone ? nullptr : &model_.graphs[index];
  }

  void Members(const trace::Node& record, const RecordView& view) {
    Graph* graph = GraphOf(record.graph_id);
    if (graph == nullptr) return;
    Node node;
    node.position = record.node;
    node.kind = record.kind;
    node.name = Demangled(view.Text(record.name));
    node.call = ToCall(record.call, &ids_, &model_);
    graph->nodes.push_back(std::move(node));
  }

  void Members(const trace::Edge& record, const RecordView&) {
    Graph* graph = GraphOf(record.graph_id);
    if (graph != nullptr) graph->edges.push_back({record.from, record.to, record.kind == 1});
  }

  void Members(const trace::EarlyRead& record, const RecordView&) {
    Graph* graph = GraphOf(record.graph_id);
    if (graph == nullptr) return;
    graph->early_reads.push_back(
        {record.node, record.from, static_cast<trace::EarlyOperand>(record.operand),
         static_cast<trace::EarlyRelation>(record.relation), record.address, record.bytes});
  }

  void Members(const trace::Exec& record, const RecordView&) {
    Exec exec;
    exec.process = ids_.process;
    exec.id = record.exec_id;
    exec.device = ids_.devices.Find(record.device_id);
    exec.site = ids_.sites.Find(record.site_id);
    exec.snapshots_per_replay = record.snapshots;
    exec.completion_watched = record.completion != 0;
    ExecVersion first;
    first.graph = ids_.graphs.Find(record.graph_id);
    if (first.graph == kNone) ids_.dangling = true;
    exec.versions.push_back(std::move(first));
    ids_.execs.Add(record.exec_id, Append(&model_.execs, std::move(exec)));
  }

  void FinishGraphs() {
    for (Graph& graph : model_.graphs) {
      if (graph.process == ids_.process) Finish(&graph);
    }
  }

  // Nodes by position without doubles, edges between nodes that exist.
  static void Finish(Graph* graph) {
    auto& nodes = graph->nodes;
    const auto position = [](const Node& a, const Node& b) { return a.position < b.position; };
    std::stable_sort(nodes.begin(), nodes.end(), position);
    nodes.erase(std::unique(nodes.begin(), nodes.end(),
                            [](const Node& a, const Node& b) { return a.position == b.position; }),
                nodes.end());
    const bool dense = nodes.empty() || nodes.back().position + size_t{1} == nodes.size();
    graph->complete = dense && nodes.size() == graph->declared_nodes;
    const auto exists = [&](uint32_t at) {
      const auto found = std::lower_bound(
          nodes.begin(), nodes.end(), at,
          [](const Node& node, uint32_t wanted) { return node.position < wanted; });
      return found != nodes.end() && found->position == at;
    };
    const size_t lost = std::erase_if(
        graph->edges, [&](const Edge& edge) { return !exists(edge.from) || !exists(edge.to); });
    if (lost != 0) graph->complete = false;
    std::erase_if(graph->early_reads,
                  [&](const EarlyRead& read) { return !exists(read.from) || !exists(read.node); });
  }

  const TraceFile& trace_;
  ProcessIds& ids_;
  Model& model_;
};

Index KernelOf(uint32_t id, ProcessIds* ids, Model* model) {
  if (id == 0 || id == trace::kNoId) return kNone;
  if (const Index known = ids->kernels.Find(id); known != kNone) return known;
  ids->dangling = true;
  Kernel lost;
  lost.process = ids->process;
  lost.lamport = true;
  lost.reason = "its definition is lost";
  const Index index = Append(&model->kernels, std::move(lost));
  ids->kernels.Add(id, index);
  return index;
}

}  // namespace

Call ToCall(const trace::LamportCall& call, ProcessIds* ids, Model* model) {
  Call out;
  out.kernel = KernelOf(call.kernel_id, ids, model);
  if (out.kernel == kNone) return out;
  out.workspace = ids->workspaces.Find(call.workspace_id);
  if (out.workspace == kNone && call.workspace_id != 0 && call.workspace_id != trace::kNoId) {
    ids->dangling = true;
  }
  out.tokens = call.tokens;
  out.dim = call.dim;
  out.rank = call.rank;
  out.world = call.world;
  out.index_argument = call.index_argument;
  out.flags = call.flags;
  std::copy(std::begin(call.grid), std::end(call.grid), out.grid.begin());
  out.block = call.block;
  out.cluster = call.cluster;
  out.expected_arrivals = call.expected_arrivals;
  out.digest = call.digest;
  return out;
}

void AddDefinitions(const TraceFile& trace, ProcessIds* ids, Model* model) {
  DefinitionBuilder(trace, ids, model).Build();
}

}  // namespace lamplight
