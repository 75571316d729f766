// What the traces of all ranks say, merged: the one structure that detectors and reports read.
//
// Plain values, filled by the model builder and never changed afterwards; any number of threads may
// read a finished model. Everything refers to everything else by position in the model's vectors
// (Index), so that ids of different processes cannot be mixed up. Times are nanoseconds of one
// common clock (the builder aligns processes and hosts). Text is already safe to print.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/collective_call.h"
#include "kernels/protocol.cuh"
#include "shim/trace_format.h"

namespace lamplight {

using Index = uint32_t;  // position in one of the model's vectors
inline constexpr Index kNone = 0xffffffffu;
inline constexpr uint32_t kUnknown = trace::kNoId;  // value of a field that could not be decoded

// One line of "what the trace does not hold any more".
enum class LossKind : uint8_t {
  kEventsOverwritten,
  kEventsDropped,
  kSnapshotsDropped,
  kDefinitionsDropped,
  kCorrupt,    // records that fail their checks
  kTruncated,  // the file ends early
  kFile,       // a whole file could not be read
  kOther,
};

struct Loss {
  Index process = kNone;  // kNone: the file gave no process
  LossKind kind = LossKind::kOther;
  uint64_t count = 0;  // records or bytes, 0: unknown
  std::string text;    // one line for people, with the file's name
};

// Something that the reader should know and that is neither loss nor finding.
struct Note {
  Index process = kNone;
  std::string text;
};

struct Frame {
  std::string symbol;  // demangled; empty: unknown
  std::string module;
  uint64_t module_offset = 0;
  uint64_t symbol_offset = 0;
};

struct PythonFrame {
  std::string file;
  std::string function;
  uint32_t line = 0;  // 0: unknown
};

// Innermost frames first.
struct Site {
  std::vector<Frame> frames;
  std::vector<PythonFrame> python;  // empty: not a Python thread, or not recorded
};

// LAMPLIGHT_CUPTI: the driver API's calls, seen through CUPTI.
struct DriverCalls {
  bool asked = false;  // the process tried
  bool in_force = false;
  std::string library;
  std::string reason;    // why it is not in force
  uint64_t replays = 0;  // launches seen that way
  uint64_t eager = 0;
};

// Modules that ask the driver itself for its functions, seen in front of these.
struct DriverClients {
  std::vector<std::string> modules;
  uint64_t replays = 0;  // launches seen that way
  uint64_t eager = 0;
};

struct Process {
  uint32_t pid = 0;
  uint32_t ppid = 0;
  int32_t env_rank = -1;
  int32_t env_local_rank = -1;
  int32_t env_world = -1;
  uint32_t timeout_ms = 0;
  uint64_t start_ns = 0;
  uint64_t last_ns = 0;  // time of the newest record; a process that runs writes each second
  uint64_t events_since_ns = 0;  // older events were overwritten; 0: all are there
  bool closed = false;           // the process ended in an orderly way
  bool clock_aligned = true;     // its times compare with those of other processes
  bool events_lost = false;      // events are missing after events_since_ns (dropped or corrupt)
  bool snapshots_lost = false;
  bool definitions_lost = false;
  std::string boot;  // of the host, in hexadecimal; empty: unknown
  std::string hostname;
  std::string executable;
  std::string command_line;
  std::string job;
  std::string shim_version;
  std::string mode;
  std::string file;
  DriverCalls driver_calls;
  DriverClients driver_clients;
};

struct Device {
  Index process = kNone;
  uint32_t ordinal = 0;
  bool simulated = false;
  uint32_t cc_major = 0;
  uint32_t cc_minor = 0;
  uint32_t multiprocessors = 0;
  uint32_t driver_version = 0;
  uint32_t runtime_version = 0;
  std::string name;
  std::string uuid;  // as nvidia-smi prints it; equal on processes that share the device
};

struct Kernel {
  Index process = kNone;
  trace::Algorithm algorithm = trace::Algorithm::kUnknown;
  trace::DataType data_type = trace::DataType::kUnknown;
  trace::FlagLayout flag_layout = trace::FlagLayout::kUnknown;
  protocol::Compare compare = protocol::Compare::kUnknown;
  uint32_t world = 0;
  bool lamport = false;
  bool decoded = false;
  bool own_flag_first = false;  // trace::kKernelOwnFlagFirst
  bool word_sentinel = false;   // trace::kKernelWordSentinel
  std::string symbol;           // mangled
  std::string name;             // demangled
  std::string descriptor;
  std::string era;
  std::string reason;  // why a recognised name was not decoded
};

// LAMPLIGHT_SWAP: what ran where the host launched a kernel of the field.
struct KernelSwap {
  Index process = kNone;
  Index kernel = kNone;  // of the host
  Index by = kNone;      // of ours; kNone: refused
  std::string reason;    // of a refusal
};

struct Stream {
  Index process = kNone;
  Index device = kNone;
  uint32_t id = 0;      // the trace's own id, for people
  uint32_t flags = 0;   // trace::kStream*
  uint64_t handle = 0;  // for people only
};

// One launch of a Lamport kernel. Unknown fields are kUnknown.
struct Call {
  Index kernel = kNone;  // kNone: not a Lamport kernel
  Index workspace = kNone;
  uint32_t tokens = kUnknown;
  uint32_t dim = kUnknown;
  uint32_t rank = kUnknown;
  uint32_t world = kUnknown;
  uint32_t index_argument = kUnknown;
  uint32_t flags = 0;  // trace::kCall*
  std::array<uint32_t, 3> grid{};
  uint32_t block = 0;
  uint32_t cluster = 0;
  uint32_t expected_arrivals = 0;  // 0: unknown
  uint64_t digest = 0;

  bool lamport() const { return kernel != kNone; }
  bool advances() const { return (flags & trace::kCallAdvances) != 0; }
  // It leaves a snapshot itself when it ends.
  bool journals() const { return (flags & trace::kCallJournals) != 0; }
  bool marks() const { return (flags & trace::kCallMarks) != 0; }
  bool host_index() const {
    return (flags & trace::kCallHostIndex) != 0 && index_argument != kUnknown;
  }
};

struct Node {
  uint32_t position = 0;  // in the host's own graph
  uint32_t kind = 0;      // CUgraphNodeType
  std::string name;       // demangled kernel name; empty: unknown or not a kernel
  Call call;
};

struct Edge {
  uint32_t from = 0;  // node positions
  uint32_t to = 0;
  bool programmatic = false;
};

// A call that reads before it waits for the kernel in front (trace::EarlyRead).
struct EarlyRead {
  uint32_t node = 0;  // positions
  uint32_t from = 0;
  trace::EarlyOperand operand = trace::EarlyOperand::kResidual;
  trace::EarlyRelation relation = trace::EarlyRelation::kNames;
  uint64_t address = 0;
  uint64_t bytes = 0;
};

struct Graph {
  Index process = kNone;
  uint32_t id = 0;  // the trace's own id, for people
  Index stream = kNone;
  uint64_t capture_begin_ns = 0;
  uint64_t capture_end_ns = 0;
  Index site = kNone;  // where the capture ended
  trace::GraphOrigin origin = trace::GraphOrigin::kCapture;
  uint32_t capture_mode = 0;
  uint32_t declared_nodes = 0;  // as the shim counted them
  uint32_t declared_lamport_nodes = 0;
  bool complete = false;    // all its nodes were recorded (nodes[i].position == i)
  std::vector<Node> nodes;  // by position
  std::vector<Edge> edges;
  std::vector<EarlyRead> early_reads;
};

// An exec's Lamport calls between two updates.
struct ExecVersion {
  Index graph = kNone;
  uint64_t from_replay = 1;  // first replay that runs this version
  uint64_t from_ns = 0;
  std::vector<uint32_t> lamport_order;  // positions of Lamport nodes in topological order
  std::vector<Call> calls;              // of lamport_order, after updates
  // An update may have been among the events that were overwritten: the calls are those of the
  // exec's first graph, if there was none.
  bool assumed = false;
};

struct Exec {
  Index process = kNone;
  uint32_t id = 0;  // the trace's own id, for people
  Index device = kNone;
  Index site = kNone;
  uint32_t snapshots_per_replay = 0;
  bool completion_watched = false;
  uint64_t destroyed_ns = 0;   // 0: never
  uint64_t completed = 0;      // replays known complete by the newest ReplayDone (or by snapshots)
  uint64_t marks_read_ns = 0;  // when the marks of its nodes were last read, 0: never
  std::vector<ExecVersion> versions;  // at least one
  std::vector<Index> replays;         // by number; some may be lost
};

struct OpRange {
  Index workspace = kNone;
  uint64_t before = 0;  // advancing calls recorded on the workspace before this
  uint32_t ops = 0;
};

struct Snapshot {
  Index exec = kNone;  // kNone: left by an eager call
  Index workspace = kNone;
  uint64_t replay = 0;  // number, counted on the device
  uint64_t op = 0;      // of the eager call
  uint64_t gpu_ns = 0;
  uint64_t time_ns = 0;  // when the host drained it: it was taken before
  uint32_t node = 0;
  trace::SnapshotPlace place = trace::SnapshotPlace::kTail;
  uint32_t words = 0;
  std::array<uint32_t, 12> word{};
};

struct Replay {
  Index exec = kNone;
  Index version = 0;    // in exec.versions
  uint64_t number = 0;  // 1 = first of its exec
  Index stream = kNone;
  uint32_t tid = 0;
  uint64_t launched_ns = 0;
  uint64_t returned_ns = 0;   // 0: no return was recorded (quick returns are not)
  int32_t status = 0;         // cudaError_t of the launch; not 0: it never ran
  uint64_t completed_ns = 0;  // known complete at this time; 0: not known to have completed
  std::vector<OpRange> ops;
  std::vector<Index> snapshots;
};

struct EagerLaunch {
  Index process = kNone;
  Index stream = kNone;
  uint32_t tid = 0;
  uint64_t time_ns = 0;
  int32_t status = 0;  // not 0: it never ran
  uint64_t op = 0;     // advancing calls recorded on the workspace before it
  Call call;
};

// One entry of a workspace's history: a replay or an eager launch, at its place by operation
// number.
struct Turn {
  uint64_t before = 0;   // operation number of its first advancing call
  uint32_t ops = 0;      // advancing calls; 0: an eager call that does not advance
  Index replay = kNone;  // exactly one of replay and eager is set
  Index eager = kNone;
  uint64_t time_ns = 0;
  Index stream = kNone;
};

// One rank's end of a communicator: flag words and local buffer on one device.
struct Workspace {
  Index process = kNone;
  uint32_t id = 0;  // the trace's own id, for people
  Index device = kNone;
  uint32_t rank = 0;
  uint32_t world = 0;
  trace::FlagLayout flag_layout = trace::FlagLayout::kUnknown;
  uint32_t flag_words = 0;
  Index communicator = kNone;
  uint64_t flags_address = 0;
  uint64_t local_address = 0;
  std::vector<Turn> timeline;    // by operation number, then time; failed launches are left out
  std::vector<Index> snapshots;  // by replay launch, then place
};

struct Communicator {
  uint32_t world = 0;
  std::vector<Index> members;  // workspace by rank, kNone: that rank left no trace
  bool certain = false;        // no other grouping fits, and all ranks left a trace
  std::string basis;           // how they were matched, one line for people
  bool guessed = false;        // another grouping fits as well
};

struct Order {
  Index process = kNone;
  uint64_t time_ns = 0;
  uint32_t tid = 0;
  trace::OrderKind kind = trace::OrderKind::kEventRecord;
  Index stream = kNone;
  uint32_t event = 0;  // the trace's own id, unique in the process
  uint64_t serial = 0;
  Index device = kNone;
};

// ---------------------------------------------------------------- evidence of a hang

struct FlagsRead {
  Index workspace = kNone;
  uint32_t pass = 0;
  trace::SideChannel status = trace::SideChannel::kNotTried;
  uint64_t begin_ns = 0;
  uint64_t end_ns = 0;
  uint32_t words = 0;
  std::array<uint32_t, 16> word{};
};

struct SlotState {
  Index workspace = kNone;
  uint32_t generation = 0;
  uint32_t stage = 0;
  uint32_t peer = 0;
  uint32_t token = kUnknown;  // kUnknown: all tokens of this peer together
  uint32_t role = 0;          // trace::kSlot*
  uint32_t words = 0;
  uint32_t sentinel = 0;
  uint32_t alias = 0;
  uint32_t arrived = 0;
  uint32_t changed = 0;
  // Sentinel words that were stored as data, and those of them that lead their 16-byte packet;
  // kUnknown: a trace older than 1.4.
  uint32_t stored = kUnknown;
  uint32_t stored_leading = kUnknown;
  std::vector<uint32_t> first_sentinel;  // at most four positions
  std::vector<uint32_t> first_alias;
  std::vector<uint32_t> first_stored;
};

// Whether a node's input holds, during the hang, what this rank has sent in the stuck call.
struct InputMatch {
  Index workspace = kNone;
  uint32_t node = 0;  // position in the graph
  uint32_t generation = 0;
  uint32_t rows = 0;   // compared
  uint32_t equal = 0;  // of those
};

// What a peer has announced of its newest call, beside what this rank's stuck call announces.
struct PeerHeader {
  Index workspace = kNone;
  uint32_t peer = 0;
  bool announced = false;  // otherwise nothing could be believed, and the next four are 0
  uint32_t sequence = 0;   // calls that the peer had completed before it, low 32 bits
  uint32_t tokens = 0;
  uint32_t hidden = 0;
  uint32_t kind = 0;
  uint32_t own_sequence = 0;
  uint32_t own_tokens = 0;
  uint32_t own_hidden = 0;
  uint32_t own_kind = 0;
};

struct HostThread {
  uint32_t tid = 0;
  std::string name;
  Index site = kNone;  // kNone: the thread did not answer in time
};

struct HangText {
  trace::TextKind kind = trace::TextKind::kNote;
  std::string text;  // may hold newlines
};

struct Hang {
  Index process = kNone;
  uint32_t id = 0;
  Index exec = kNone;  // kNone: eager launches
  Index stream = kNone;
  Index workspace = kNone;     // kNone: no Lamport node
  uint64_t replay = 0;         // number of the oldest incomplete replay
  Index replay_index = kNone;  // kNone: its launch record was lost
  uint64_t replays_launched = 0;
  uint64_t replays_completed = 0;
  uint64_t launched_ns = 0;
  uint64_t detected_ns = 0;
  uint64_t timeout_ns = 0;
  uint64_t op_before = 0;
  bool launch_returned = true;
  trace::SideChannel side_channel = trace::SideChannel::kNotTried;
  uint32_t side_error = 0;
  bool ended = false;  // it completed after all
  uint64_t ended_ns = 0;
  std::vector<FlagsRead> flags;
  std::vector<SlotState> slots;
  std::vector<InputMatch> inputs;
  std::vector<PeerHeader> headers;
  std::vector<HostThread> threads;
  std::vector<HangText> texts;
};

// What a kernel of ours has reported of its own call, hang or not.
struct Trouble {
  Index process = kNone;
  Index workspace = kNone;  // kNone: its definition was lost
  uint64_t time_ns = 0;     // when the host saw it
  bool swapped = false;     // the kernel ran in the place of one of the host's
  uint32_t repeated = 0;    // reports of this kind on this workspace before
  kernels::Diagnostic report{};

  kernels::Trouble kind() const { return static_cast<kernels::Trouble>(report.trouble); }
};

struct Model {
  std::vector<Process> processes;
  std::vector<Device> devices;
  std::vector<Kernel> kernels;
  std::vector<KernelSwap> swaps;
  std::vector<Stream> streams;
  std::vector<Workspace> workspaces;
  std::vector<Communicator> communicators;
  std::vector<Graph> graphs;
  std::vector<Exec> execs;
  std::vector<Replay> replays;
  std::vector<Snapshot> snapshots;
  std::vector<EagerLaunch> eager;
  std::vector<Order> orders;  // by process, then time
  std::vector<Hang> hangs;
  std::vector<Trouble> troubles;  // by process, then time
  std::vector<Site> sites;
  std::vector<Loss> losses;
  std::vector<Note> notes;
};

}  // namespace lamplight
