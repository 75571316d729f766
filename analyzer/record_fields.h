// The fields of every record type, by name: what dump prints, what the reader bounds-checks.
//
// Fields(record, f) calls f(name, value) once a field; Dispatch(type, f) calls f with the struct
// that belongs to a type. Thread-safe: no state.
#pragma once

#include <string_view>
#include <type_traits>

#include "shim/trace_format.h"

namespace lamplight {

template <class F>
void Fields(const trace::Process& r, F&& f) {
  f("pid", r.pid), f("ppid", r.ppid), f("boot_id", r.boot_id), f("start_ns", r.start_ns);
  f("env_rank", r.env_rank), f("env_local_rank", r.env_local_rank), f("env_world", r.env_world);
  f("timeout_ms", r.timeout_ms), f("hostname", r.hostname), f("executable", r.executable);
  f("command_line", r.command_line), f("job", r.job), f("shim_version", r.shim_version);
  f("mode", r.mode), f("rendezvous", r.rendezvous);
}

template <class F>
void Fields(const trace::ClockAnchor& r, F&& f) {
  f("monotonic_ns", r.monotonic_ns), f("realtime_ns", r.realtime_ns), f("gpu_ns", r.gpu_ns);
  f("uncertainty_ns", r.uncertainty_ns), f("device_id", r.device_id);
}

template <class F>
void Fields(const trace::Device& r, F&& f) {
  f("device_id", r.device_id), f("flags", r.flags), f("uuid", r.uuid), f("cc_major", r.cc_major);
  f("cc_minor", r.cc_minor), f("multiprocessors", r.multiprocessors);
  f("driver_version", r.driver_version), f("runtime_version", r.runtime_version), f("name", r.name);
}

template <class F>
void Fields(const trace::Kernel& r, F&& f) {
  f("kernel_id", r.kernel_id), f("algorithm", r.algorithm), f("data_type", r.data_type);
  f("flag_layout", r.flag_layout), f("compare", r.compare), f("world", r.world);
  f("parameters", r.parameters), f("flags", r.flags), f("symbol", r.symbol);
  f("descriptor", r.descriptor), f("era", r.era), f("reason", r.reason);
}

template <class F>
void Fields(const trace::Swap& r, F&& f) {
  f("kernel_id", r.kernel_id), f("by_kernel_id", r.by_kernel_id), f("reason", r.reason);
}

template <class F>
void Fields(const trace::Source& r, F&& f) {
  f("state", r.state), f("version", r.version), f("library", r.library), f("reason", r.reason);
}

template <class F>
void Fields(const trace::DriverClient& r, F&& f) {
  f("module", r.module);
}

template <class F>
void Fields(const trace::Workspace& r, F&& f) {
  f("workspace_id", r.workspace_id), f("device_id", r.device_id), f("rank", r.rank);
  f("world", r.world), f("flag_layout", r.flag_layout), f("flag_words", r.flag_words);
  f("communicator_id", r.communicator_id), f("flags_address", r.flags_address);
  f("peers_address", r.peers_address), f("local_address", r.local_address);
  f("multicast_address", r.multicast_address);
}

template <class F>
void Fields(const trace::Communicator& r, F&& f) {
  f("communicator_id", r.communicator_id), f("world", r.world), f("rank", r.rank), f("key", r.key);
}

template <class F>
void Fields(const trace::Graph& r, F&& f) {
  f("graph_id", r.graph_id), f("stream_id", r.stream_id), f("capture_begin_ns", r.capture_begin_ns);
  f("capture_end_ns", r.capture_end_ns), f("site_id", r.site_id), f("nodes", r.nodes);
  f("lamport_nodes", r.lamport_nodes), f("origin", r.origin), f("capture_mode", r.capture_mode);
}

template <class F>
void Fields(const trace::LamportCall& r, F&& f) {
  f("kernel_id", r.kernel_id), f("workspace_id", r.workspace_id), f("tokens", r.tokens);
  f("dim", r.dim), f("rank", r.rank), f("world", r.world), f("index_argument", r.index_argument);
  f("flags", r.flags), f("grid", r.grid), f("block", r.block), f("cluster", r.cluster);
  f("expected_arrivals", r.expected_arrivals), f("digest", r.digest);
}

template <class F>
void Fields(const trace::Node& r, F&& f) {
  f("graph_id", r.graph_id), f("node", r.node), f("kind", r.kind), f("call", r.call);
  f("name", r.name);
}

template <class F>
void Fields(const trace::Edge& r, F&& f) {
  f("graph_id", r.graph_id), f("from", r.from), f("to", r.to), f("kind", r.kind);
  f("from_port", r.from_port);
}

template <class F>
void Fields(const trace::EarlyRead& r, F&& f) {
  f("graph_id", r.graph_id), f("node", r.node), f("from", r.from), f("operand", r.operand);
  f("relation", r.relation), f("address", r.address), f("bytes", r.bytes);
}

template <class F>
void Fields(const trace::Exec& r, F&& f) {
  f("exec_id", r.exec_id), f("graph_id", r.graph_id), f("site_id", r.site_id);
  f("device_id", r.device_id), f("instantiate_flags", r.instantiate_flags);
  f("snapshots", r.snapshots), f("completion", r.completion);
}

template <class F>
void Fields(const trace::Frame& r, F&& f) {
  f("address", r.address), f("module_offset", r.module_offset), f("symbol_offset", r.symbol_offset);
  f("module", r.module), f("symbol", r.symbol);
}

template <class F>
void Fields(const trace::Site& r, F&& f) {
  f("site_id", r.site_id), f("frames", r.frames);  // the frames follow the struct
}

template <class F>
void Fields(const trace::PythonFrame& r, F&& f) {
  f("file", r.file), f("function", r.function), f("line", r.line);
}

template <class F>
void Fields(const trace::PythonSite& r, F&& f) {
  f("site_id", r.site_id), f("frames", r.frames);  // the frames follow the struct
}

template <class F>
void Fields(const trace::Stream& r, F&& f) {
  f("stream_id", r.stream_id), f("flags", r.flags), f("handle", r.handle);
  f("device_id", r.device_id);
}

template <class F>
void Fields(const trace::Hang& r, F&& f) {
  f("hang_id", r.hang_id), f("exec_id", r.exec_id), f("stream_id", r.stream_id);
  f("workspace_id", r.workspace_id), f("replay", r.replay);
  f("replays_launched", r.replays_launched), f("replays_completed", r.replays_completed);
  f("launched_ns", r.launched_ns), f("detected_ns", r.detected_ns), f("timeout_ns", r.timeout_ns);
  f("op_before", r.op_before), f("launch_returned", r.launch_returned);
  f("side_channel", r.side_channel), f("side_error", r.side_error);
}

template <class F>
void Fields(const trace::FlagsRead& r, F&& f) {
  f("hang_id", r.hang_id), f("workspace_id", r.workspace_id), f("pass", r.pass);
  f("status", r.status), f("words", r.words), f("begin_ns", r.begin_ns), f("end_ns", r.end_ns);
  f("word", r.word), f("local_address", r.local_address);
}

template <class F>
void Fields(const trace::SlotState& r, F&& f) {
  f("hang_id", r.hang_id), f("workspace_id", r.workspace_id), f("generation", r.generation);
  f("stage", r.stage), f("peer", r.peer), f("token", r.token), f("role", r.role);
  f("words", r.words), f("sentinel", r.sentinel), f("alias", r.alias), f("arrived", r.arrived);
  f("changed", r.changed), f("first_sentinel", r.first_sentinel), f("first_alias", r.first_alias);
  f("stored_sentinel", r.stored_sentinel), f("stored_leading", r.stored_leading);
  f("first_stored", r.first_stored);
}

template <class F>
void Fields(const trace::HostThread& r, F&& f) {
  f("hang_id", r.hang_id), f("tid", r.tid), f("site_id", r.site_id), f("name", r.name);
}

template <class F>
void Fields(const trace::Text& r, F&& f) {
  f("hang_id", r.hang_id), f("kind", r.kind), f("text", r.text);
}

template <class F>
void Fields(const trace::HangEnd& r, F&& f) {
  f("hang_id", r.hang_id);
}

template <class F>
void Fields(const trace::InputMatch& r, F&& f) {
  f("hang_id", r.hang_id), f("workspace_id", r.workspace_id), f("node", r.node);
  f("generation", r.generation), f("rows", r.rows), f("equal", r.equal), f("plain", r.plain);
  f("status", r.status);
}

template <class F>
void Fields(const trace::PeerHeader& r, F&& f) {
  f("hang_id", r.hang_id), f("workspace_id", r.workspace_id), f("peer", r.peer);
  f("announced", r.announced), f("sequence", r.sequence), f("tokens", r.tokens);
  f("hidden", r.hidden), f("kind", r.kind), f("own_sequence", r.own_sequence);
  f("own_tokens", r.own_tokens), f("own_hidden", r.own_hidden), f("own_kind", r.own_kind);
}

template <class F>
void Fields(const trace::Mark& r, F&& f) {
  f("hang_id", r.hang_id), f("workspace_id", r.workspace_id), f("exec_id", r.exec_id);
  f("node", r.node), f("run", r.run), f("gpu_ns", r.gpu_ns), f("words", r.words);
  f("word", r.word);
}

template <class F>
void Fields(const trace::Trouble& r, F&& f) {
  f("workspace_id", r.workspace_id), f("kind", r.kind), f("flags", r.flags);
  f("repeated", r.repeated), f("buffer", r.buffer), f("epoch", r.epoch);
  f("waited_ns", r.waited_ns), f("index", r.index), f("rank", r.rank), f("peer", r.peer);
  f("token", r.token), f("word", r.word), f("stage", r.stage), f("bits", r.bits);
  f("arrivals", r.arrivals), f("tokens", r.tokens), f("hidden", r.hidden);
  f("call_kind", r.call_kind), f("peer_tokens", r.peer_tokens);
  f("peer_hidden", r.peer_hidden), f("peer_kind", r.peer_kind);
}

template <class F>
void Fields(const trace::CaptureBegin& r, F&& f) {
  f("stream_id", r.stream_id), f("mode", r.mode);
}

template <class F>
void Fields(const trace::CaptureEnd& r, F&& f) {
  f("stream_id", r.stream_id), f("graph_id", r.graph_id), f("status", r.status);
}

template <class F>
void Fields(const trace::OpBase& r, F&& f) {
  f("workspace_id", r.workspace_id), f("ops", r.ops), f("before", r.before);
}

template <class F>
void Fields(const trace::GraphLaunch& r, F&& f) {
  f("exec_id", r.exec_id), f("stream_id", r.stream_id), f("replay", r.replay);
  f("returned_ns", r.returned_ns), f("status", r.status), f("op", r.op);
}

template <class F>
void Fields(const trace::Snapshot& r, F&& f) {
  f("exec_id", r.exec_id), f("workspace_id", r.workspace_id), f("replay", r.replay);
  f("gpu_ns", r.gpu_ns), f("node", r.node), f("place", r.place), f("words", r.words);
  f("word", r.word);
}

template <class F>
void Fields(const trace::EagerSnapshot& r, F&& f) {
  f("workspace_id", r.workspace_id), f("words", r.words), f("op", r.op), f("gpu_ns", r.gpu_ns);
  f("word", r.word);
}

template <class F>
void Fields(const trace::EagerLaunch& r, F&& f) {
  f("call", r.call), f("stream_id", r.stream_id), f("status", r.status), f("op", r.op);
}

template <class F>
void Fields(const trace::ExecUpdate& r, F&& f) {
  f("exec_id", r.exec_id), f("graph_id", r.graph_id), f("status", r.status), f("result", r.result);
}

template <class F>
void Fields(const trace::NodeParams& r, F&& f) {
  f("exec_id", r.exec_id), f("node", r.node), f("call", r.call);
}

template <class F>
void Fields(const trace::Destroy& r, F&& f) {
  f("kind", r.kind), f("id", r.id);
}

template <class F>
void Fields(const trace::ReplayDone& r, F&& f) {
  f("exec_id", r.exec_id), f("replay", r.replay);
}

template <class F>
void Fields(const trace::Order& r, F&& f) {
  f("kind", r.kind), f("stream_id", r.stream_id), f("event_id", r.event_id);
  f("device_id", r.device_id), f("serial", r.serial);
}

// Calls f(std::type_identity<Struct>{}, name); false: no struct belongs to `type`.
template <class F>
bool Dispatch(trace::RecordType type, F&& f) {
  using trace::RecordType;
#define LAMPLIGHT_RECORD(Name)                   \
  case RecordType::k##Name:                      \
    f(std::type_identity<trace::Name>{}, #Name); \
    return true;
  switch (type) {
    LAMPLIGHT_RECORD(Process)
    LAMPLIGHT_RECORD(ClockAnchor)
    LAMPLIGHT_RECORD(Device)
    LAMPLIGHT_RECORD(Kernel)
    LAMPLIGHT_RECORD(Workspace)
    LAMPLIGHT_RECORD(Graph)
    LAMPLIGHT_RECORD(Node)
    LAMPLIGHT_RECORD(Edge)
    LAMPLIGHT_RECORD(Exec)
    LAMPLIGHT_RECORD(Communicator)
    LAMPLIGHT_RECORD(Site)
    LAMPLIGHT_RECORD(Stream)
    LAMPLIGHT_RECORD(PythonSite)
    LAMPLIGHT_RECORD(Swap)
    LAMPLIGHT_RECORD(Source)
    LAMPLIGHT_RECORD(DriverClient)
    LAMPLIGHT_RECORD(EarlyRead)
    LAMPLIGHT_RECORD(Hang)
    LAMPLIGHT_RECORD(FlagsRead)
    LAMPLIGHT_RECORD(SlotState)
    LAMPLIGHT_RECORD(HostThread)
    LAMPLIGHT_RECORD(Text)
    LAMPLIGHT_RECORD(HangEnd)
    LAMPLIGHT_RECORD(InputMatch)
    LAMPLIGHT_RECORD(PeerHeader)
    LAMPLIGHT_RECORD(Mark)
    LAMPLIGHT_RECORD(Trouble)
    LAMPLIGHT_RECORD(CaptureBegin)
    LAMPLIGHT_RECORD(CaptureEnd)
    LAMPLIGHT_RECORD(GraphLaunch)
    LAMPLIGHT_RECORD(Snapshot)
    LAMPLIGHT_RECORD(EagerLaunch)
    LAMPLIGHT_RECORD(ExecUpdate)
    LAMPLIGHT_RECORD(NodeParams)
    LAMPLIGHT_RECORD(Destroy)
    LAMPLIGHT_RECORD(ReplayDone)
    LAMPLIGHT_RECORD(Order)
    LAMPLIGHT_RECORD(EagerSnapshot)
    case RecordType::kNone:
    case RecordType::kPad:
      return false;
  }
#undef LAMPLIGHT_RECORD
  return false;
}

}  // namespace lamplight
