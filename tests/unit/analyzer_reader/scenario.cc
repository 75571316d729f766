// Builds the scenario; see the header.
#include "tests/unit/analyzer_reader/scenario.h"

#include <iterator>
#include <string>

#include "kernels/collective_call.h"
#include "kernels/protocol.cuh"

namespace lamplight::testing {
namespace {

constexpr char kOneShot[] =
    "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh2E13__nv_bfloat16"
    "Lb1E6float4EEvPT0_S5_PKS4_S7_S7_PS5_S5_iifiPj";

class ScenarioBuilder {
 public:
  explicit ScenarioBuilder(const Scenario& scenario)
      : scenario_(scenario), trace_(scenario.ring_bytes) {}

  TraceBuilder Build() {
    trace_.SetTime(scenario_.start_ns);
    trace_.header().pid = scenario_.pid;
    trace_.header().start_ns = scenario_.start_ns;
    DefineProcess();
    if (scenario_.since_1_3) DefineSource();
    if (scenario_.since_1_4) DefineDriverClient();
    DefineDevice();
    if (scenario_.since_1_5) DefinePushKernel();
    DefineGraph();
    Capture();
    Eager();
    for (uint64_t replay = 1; replay <= scenario_.replays; ++replay) Replay(replay);
    if (scenario_.hang) Hang();
    if (!scenario_.hang) Close();
    return std::move(trace_);
  }

 private:
  void DefinePushKernel() {
    trace::Kernel kernel = {};
    kernel.kernel_id = 2;
    kernel.algorithm = static_cast<uint16_t>(trace::Algorithm::kPushOneShot);
    kernel.data_type = static_cast<uint16_t>(trace::DataType::kBf16);
    kernel.flag_layout = static_cast<uint16_t>(trace::FlagLayout::kPhases);
    kernel.compare = static_cast<uint16_t>(protocol::Compare::kBitwise);
    kernel.world = scenario_.world;
    kernel.parameters = 1;
    kernel.flags = trace::kKernelLamport | trace::kKernelDecoded;
    trace_.Define(
        Draft<trace::Kernel>(kernel).String(&trace::Kernel::descriptor, "sglang-push-oneshot-23"));
  }

  void DefineProcess() {
    trace::Process process = {};
    process.pid = scenario_.pid;
    process.ppid = scenario_.ppid;
    process.boot_id[0] = scenario_.boot;
    process.start_ns = scenario_.start_ns;
    process.env_rank = scenario_.env_rank;
    process.env_local_rank = -1;
    process.env_world = scenario_.env_world;
    process.timeout_ms = 2000;
    Draft<trace::Process> draft(process);
    draft.String(&trace::Process::hostname, scenario_.host)
        .String(&trace::Process::executable, "/usr/bin/server")
        .String(&trace::Process::command_line, "server\n--world\n2")
        .String(&trace::Process::job, scenario_.job)
        .String(&trace::Process::shim_version, "0.1.0")
        .String(&trace::Process::mode, "default")
        .String(&trace::Process::rendezvous, "127.0.0.1:29500");
    trace_.Define(draft);
    trace::ClockAnchor anchor = {};
    anchor.monotonic_ns = scenario_.start_ns;
    anchor.realtime_ns = scenario_.realtime_ns + scenario_.start_ns;
    anchor.device_id = trace::kNoId;
    trace_.Define(anchor);
    trace_.Event(anchor);
  }

  // Asked for, and not to be had: what else the scenario holds stays as it is.
  void DefineSource() {
    trace::Source source = {};
    source.state = static_cast<uint32_t>(trace::SourceState::kUnavailable);
    trace_.Define(Draft<trace::Source>(source).String(&trace::Source::reason, "no libcupti.so"));
  }

  void DefineDriverClient() {
    trace_.Define(Draft<trace::DriverClient>(trace::DriverClient{})
                      .String(&trace::DriverClient::module, "/usr/lib/libengine.so"));
  }

  void DefineDevice() {
    trace::Device device = {};
    device.device_id = scenario_.rank;
    device.uuid[15] = static_cast<uint8_t>(scenario_.rank + 1);
    device.cc_major = 9;
    device.multiprocessors = 132;
    device.driver_version = 13000;
    device.runtime_version = 13000;
    trace_.Define(Draft<trace::Device>(device).String(&trace::Device::name, "Some GPU"));
    trace::Stream stream = {};
    stream.stream_id = 1;
    stream.flags = trace::kStreamNonBlocking;
    stream.device_id = scenario_.rank;
    trace_.Define(stream);
    trace::Kernel kernel = {};
    kernel.kernel_id = 1;
    kernel.algorithm = static_cast<uint16_t>(trace::Algorithm::kOneShot);
    kernel.data_type = static_cast<uint16_t>(trace::DataType::kBf16);
    kernel.flag_layout = static_cast<uint16_t>(trace::FlagLayout::kEraC);
    kernel.compare = static_cast<uint16_t>(protocol::Compare::kFlushToZero);
    kernel.world = scenario_.world;
    kernel.parameters = 12;
    kernel.flags = trace::kKernelLamport | trace::kKernelDecoded;
    trace_.Define(Draft<trace::Kernel>(kernel)
                      .String(&trace::Kernel::symbol, kOneShot)
                      .String(&trace::Kernel::descriptor, "flashinfer-mnnvl-c-oneshot")
                      .String(&trace::Kernel::era, "C"));
    trace::Communicator communicator = {};
    communicator.communicator_id = 1;
    communicator.world = scenario_.world;
    communicator.rank = scenario_.rank;
    trace_.Define(communicator);
    trace::Workspace workspace = {};
    workspace.workspace_id = 1;
    workspace.device_id = scenario_.rank;
    workspace.rank = scenario_.rank;
    workspace.world = scenario_.world;
    workspace.flag_layout = static_cast<uint16_t>(trace::FlagLayout::kEraC);
    workspace.flag_words = protocol::kFlagWords;
    workspace.communicator_id = 1;
    workspace.flags_address = 0x7f0000001000;
    workspace.local_address = 0x7f0000100000;
    trace_.Define(workspace);
  }

  trace::LamportCall Call() const {
    trace::LamportCall call = {};
    call.kernel_id = 1;
    call.workspace_id = 1;
    call.tokens = kScenarioTokens;
    call.dim = kScenarioDim;
    call.rank = scenario_.rank;
    call.world = scenario_.world;
    call.index_argument = trace::kNoId;
    call.flags = trace::kCallAdvances | trace::kCallPdl;
    call.grid[0] = kScenarioTokens;
    call.grid[1] = call.grid[2] = 1;
    call.block = 32;
    call.cluster = 1;
    call.expected_arrivals = kScenarioTokens;
    call.digest = 0x1234;
    return call;
  }

  void DefineGraph() {
    trace::Site site = {};
    site.site_id = 1;
    site.frames = 2;
    Draft<trace::Site> draft(site);
    draft.Frames(2).FrameSymbol(0, "_ZN6server7CaptureEi").FrameSymbol(1, "main");
    trace_.Define(draft);
    if (scenario_.since_1_1) DefineSince11();
    trace::Graph graph = {};
    graph.graph_id = 1;
    graph.stream_id = 1;
    graph.capture_begin_ns = trace_.now_ns();
    graph.capture_end_ns = trace_.now_ns() + 1;
    graph.site_id = 1;
    graph.nodes = 3;
    graph.lamport_nodes = 2;
    graph.origin = static_cast<uint16_t>(trace::GraphOrigin::kCapture);
    trace_.Define(graph);
    for (uint32_t position = 0; position < 3; ++position) {
      trace::Node node = {};
      node.graph_id = 1;
      node.node = position;
      if (position != 1) node.call = Call();
      trace_.Define(Draft<trace::Node>(node).String(&trace::Node::name,
                                                    position == 1 ? "_Z5scalePff" : kOneShot));
      trace::Edge edge = {};
      edge.graph_id = 1;
      edge.from = position;
      edge.to = position + 1;
      edge.kind = 1;
      if (position < 2) trace_.Define(edge);
    }
    if (scenario_.since_1_3) {
      trace::EarlyRead read = {};
      read.graph_id = 1;
      read.node = 2;
      read.from = 1;
      read.operand = static_cast<uint16_t>(trace::EarlyOperand::kResidual);
      read.relation = static_cast<uint16_t>(trace::EarlyRelation::kNames);
      read.address = 0x7f0000200000;
      read.bytes = kScenarioTokens * kScenarioDim * 2;
      trace_.Define(read);
    }
    trace::Exec exec = {};
    exec.exec_id = 1;
    exec.graph_id = 1;
    exec.site_id = 1;
    exec.device_id = scenario_.rank;
    exec.snapshots = 1;
    exec.completion = 1;
    trace_.Define(exec);
  }

  void DefineSince11() {
    trace::PythonSite python = {};
    python.site_id = 1;
    python.frames = 2;
    trace_.Define(Draft<trace::PythonSite>(python)
                      .PythonFrames(2)
                      .PythonFrame(0, "/app/model_runner.py", "capture_model", 812)
                      .PythonFrame(1, "/app/main.py", "<module>", 0));
    trace::Swap swap = {};
    swap.kernel_id = 1;
    trace_.Define(Draft<trace::Swap>(swap).String(&trace::Swap::reason, "no kernel fits"));
  }

  void Capture() {
    trace::CaptureBegin begin = {};
    begin.stream_id = 1;
    trace_.Event(begin);
    trace::CaptureEnd end = {};
    end.stream_id = 1;
    end.graph_id = 1;
    trace_.Event(end);
    trace::ExecUpdate update = {};
    update.exec_id = 1;
    update.graph_id = 1;
    trace_.Event(update);
    trace::NodeParams params = {};
    params.exec_id = 1;
    params.node = 2;
    params.call = Call();
    trace_.Event(params);
  }

  void Eager() {
    trace::EagerLaunch eager = {};
    eager.call = Call();
    eager.stream_id = 1;
    eager.op = ops_++;
    if (scenario_.since_1_2) eager.call.flags |= trace::kCallJournals;
    trace_.Event(eager);
    if (scenario_.since_1_2) EagerSnapshot(eager.op);
    trace::Order order = {};
    order.kind = static_cast<uint32_t>(trace::OrderKind::kStreamSync);
    order.stream_id = 1;
    trace_.Event(order);
  }

  void EagerSnapshot(uint64_t op) {
    trace::EagerSnapshot snapshot = {};
    snapshot.workspace_id = 1;
    snapshot.op = op;
    snapshot.gpu_ns = trace_.now_ns() + 500;
    snapshot.words = protocol::kFlagWords;
    snapshot.word[protocol::kCurrentIndex] = static_cast<uint32_t>((op + 1) % 3);
    snapshot.word[protocol::kDirtyIndex] = static_cast<uint32_t>(op % 3);
    snapshot.word[protocol::kBytesPerBuffer] = 131072;
    trace_.Event(snapshot);
  }

  void Replay(uint64_t replay) {
    trace::GraphLaunch launch = {};
    launch.exec_id = 1;
    launch.stream_id = 1;
    launch.replay = replay;
    launch.op[0] = {1, 2, ops_};
    ops_ += 2;
    trace_.Event(launch);
    launched_ns_ = trace_.now_ns();
    if (scenario_.hang && replay == scenario_.replays) return;
    trace::Snapshot snapshot = {};
    snapshot.exec_id = 1;
    snapshot.workspace_id = 1;
    snapshot.replay = replay;
    snapshot.gpu_ns = trace_.now_ns() + 500;
    snapshot.node = 2;
    snapshot.words = protocol::kFlagWords;
    snapshot.word[protocol::kCurrentIndex] = static_cast<uint32_t>(ops_ % 3);
    snapshot.word[protocol::kDirtyIndex] = static_cast<uint32_t>((ops_ + 2) % 3);
    snapshot.word[protocol::kBytesPerBuffer] = 131072;
    snapshot.word[protocol::kDirtyStages] = 1;
    snapshot.word[protocol::kClearBytes0] = kScenarioTokens * kScenarioDim * 2 * scenario_.world;
    trace_.Event(snapshot);
    trace::ReplayDone done = {};
    done.exec_id = 1;
    done.replay = replay;
    trace_.Event(done);
  }

  void Input() {
    trace::InputMatch match = {};
    match.hang_id = 1;
    match.workspace_id = 1;
    match.node = 2;
    match.rows = 4;
    match.equal = 3;
    trace_.Define(match);
  }

  void Header() {
    trace::PeerHeader header = {};
    header.hang_id = 1;
    header.workspace_id = 1;
    header.peer = 1 - scenario_.rank;
    header.announced = 1;
    header.sequence = header.own_sequence = static_cast<uint32_t>(ops_ - 2);
    header.tokens = header.own_tokens = kScenarioTokens;
    header.hidden = header.own_hidden = kScenarioDim;
    header.kind = header.own_kind = 0x201;
    trace_.Define(header);
  }

  void Mark() {
    trace::Mark mark = {};
    mark.hang_id = 1;
    mark.workspace_id = 1;
    mark.exec_id = 1;
    mark.node = 1;
    mark.run = scenario_.replays;
    mark.gpu_ns = 77;
    mark.words = 9;
    mark.word[protocol::kCurrentIndex] = 2;
    trace_.Define(mark);
  }

  void Report() {
    trace::Trouble trouble = {};
    trouble.workspace_id = 1;
    trouble.kind = static_cast<uint32_t>(kernels::Trouble::kTimeout);
    trouble.flags = trace::kTroubleSwapped;
    trouble.repeated = 2;
    trouble.buffer = 0x7f0000100000;
    trouble.waited_ns = 2'000'000'000;
    trouble.index = static_cast<uint32_t>((ops_ - 2) % 3);
    trouble.rank = scenario_.rank;
    trouble.peer = 1 - scenario_.rank;
    trouble.token = 4;
    trouble.word = 12;
    for (uint32_t& bits : trouble.bits) bits = protocol::kSentinel;
    trouble.arrivals = 7;
    trouble.tokens = kScenarioTokens;
    trouble.hidden = kScenarioDim;
    trouble.call_kind = 0x201;
    trace_.Define(trouble);
  }

  void Hang() {
    trace::Hang hang = {};
    hang.hang_id = 1;
    hang.exec_id = 1;
    hang.stream_id = 1;
    hang.workspace_id = 1;
    hang.replay = scenario_.replays;
    hang.replays_launched = scenario_.replays;
    hang.replays_completed = scenario_.replays - 1;
    hang.launched_ns = launched_ns_;
    hang.detected_ns = launched_ns_ + 2'100'000'000;
    hang.timeout_ns = 2'000'000'000;
    hang.op_before = ops_ - 2;
    hang.launch_returned = 1;
    trace_.Define(hang);
    for (uint32_t pass = 0; pass < 2; ++pass) Flags(pass);
    for (uint32_t peer = 0; peer < scenario_.world; ++peer) Slot(peer);
    if (scenario_.since_1_1) Input();
    if (scenario_.since_1_2) Header();
    if (scenario_.since_1_3) {
      Mark();
      Report();
    }
    trace::HostThread thread = {};
    thread.hang_id = 1;
    thread.tid = 100;
    thread.site_id = 1;
    trace_.Define(Draft<trace::HostThread>(thread).String(&trace::HostThread::name, "server"));
    trace::Text text = {};
    text.hang_id = 1;
    text.kind = static_cast<uint16_t>(trace::TextKind::kVerdict);
    trace_.Define(Draft<trace::Text>(text).String(&trace::Text::text, "one word\nlooks absent"));
    if (!scenario_.hang_ends) return;
    trace::HangEnd end = {};
    end.hang_id = 1;
    trace_.Define(end);
  }

  void Flags(uint32_t pass) {
    trace::FlagsRead read = {};
    read.hang_id = 1;
    read.workspace_id = 1;
    read.pass = pass;
    read.words = protocol::kFlagWords;
    read.begin_ns = launched_ns_ + 2'100'000'000;
    read.end_ns = read.begin_ns + 1000;
    read.word[protocol::kCurrentIndex] = static_cast<uint32_t>((ops_ - 2) % 3);
    read.word[protocol::kDirtyIndex] = static_cast<uint32_t>((ops_ - 3) % 3);
    read.word[protocol::kBytesPerBuffer] = 131072;
    read.word[protocol::kArrivals] = kScenarioTokens;
    read.local_address = 0x7f0000100000;
    trace_.Define(read);
  }

  void Slot(uint32_t peer) {
    trace::SlotState slot = {};
    slot.hang_id = 1;
    slot.workspace_id = 1;
    slot.generation = static_cast<uint32_t>((ops_ - 2) % 3);
    slot.peer = peer;
    slot.token = trace::kNoId;
    slot.role = trace::kSlotCurrent | trace::kSlotAwaited;
    slot.words = kScenarioTokens * kScenarioDim / 2;
    slot.alias = peer == scenario_.rank ? 0 : 5;
    slot.arrived = slot.words - slot.alias;
    for (uint32_t& position : slot.first_sentinel) position = trace::kNoId;
    for (uint32_t& position : slot.first_alias) position = trace::kNoId;
    for (uint32_t& position : slot.first_stored) position = trace::kNoId;
    if (slot.alias != 0) slot.first_alias[0] = 3;
    trace_.Define(slot);
  }

  void Close() {
    trace::Destroy destroy = {};
    destroy.kind = static_cast<uint32_t>(trace::Handle::kExec);
    destroy.id = 1;
    trace_.Event(destroy);
    trace_.header().closed_ns = trace_.now_ns();
  }

  const Scenario& scenario_;
  TraceBuilder trace_;
  uint64_t ops_ = 0;
  uint64_t launched_ns_ = 0;
};

}  // namespace

TraceBuilder BuildScenario(const Scenario& scenario) { return ScenarioBuilder(scenario).Build(); }

}  // namespace lamplight::testing
