// The trace file of one process, version 1.5: what the shim writes and the analyzer reads.
//
// Shape:   FileHeader (4096 bytes) | event ring (ring_bytes) | definitions (to the end of the file)
// Grammar: docs/trace_format.md. Plain data, little endian, no pointers; includes neither side.
//
// Definitions are appended and never wrap. Events go round the ring; the oldest are overwritten and
// counted. Every record carries its own length and CRC, so a file cut at any moment stays readable.
// Times are CLOCK_MONOTONIC nanoseconds of the host, GPU times %globaltimer nanoseconds. A record
// is committed when its crc is non-zero and right. Readers skip record types that they do not know
// and accept records longer than the struct that they know (a newer minor version appends fields).
#pragma once

#include <cstddef>
#include <cstdint>

namespace lamplight::trace {

inline constexpr char kMagic[8] = {'L', 'A', 'M', 'P', 'T', 'R', 'C', '\x1a'};
inline constexpr uint16_t kMajor = 1;
// 1.1: PythonSite, InputMatch, Swap; 1.2: EagerSnapshot, PeerHeader; 1.3: Trouble, EarlyRead,
// Source, Mark; 1.4: DriverClient; in SlotState, stored_*, first_stored; 1.5: Algorithm::kPush*,
// FlagLayout::kPhases
inline constexpr uint16_t kMinor = 5;
inline constexpr uint32_t kHeaderBytes = 4096;
inline constexpr uint32_t kMaxRecordBytes = 1u << 20;
inline constexpr uint32_t kRecordAlign = 8;
inline constexpr char kFileSuffix[] = ".lamptrace";  // <host>-<pid>-<start_ns>.lamptrace

// At offset 0. Bytes [0, static_crc) never change after creation and are covered by static_crc; the
// counters behind them are updated in place (naturally aligned 64-bit stores by one writer each).
struct FileHeader {
  char magic[8];
  uint16_t major;
  uint16_t minor;
  uint32_t header_bytes;
  uint64_t ring_offset;
  uint64_t ring_bytes;   // a multiple of 4096
  uint64_t defs_offset;  // ring_offset + ring_bytes
  uint32_t pid;
  uint32_t reserved;
  uint64_t start_ns;
  uint32_t reserved1;
  uint32_t static_crc;  // crc32c of the bytes before it
  // Ring positions count bytes since creation; the place in the ring is position % ring_bytes. No
  // record straddles the end: a kPad record fills it.
  uint64_t ring_head;            // end of the newest record
  uint64_t ring_tail;            // start of the oldest record still whole
  uint64_t defs_bytes;           // bytes of committed definitions
  uint64_t events_overwritten;   // events lost because the ring went round
  uint64_t events_dropped;       // events lost because the staging ring was full
  uint64_t snapshots_dropped;    // flag snapshots lost because the GPU ring went round undrained
  uint64_t definitions_dropped;  // definitions lost (no room on the disk)
  uint64_t last_drain_ns;        // when the drain last ran
  uint64_t closed_ns;            // non-zero: the process closed its trace
};
static_assert(offsetof(FileHeader, static_crc) == 60 && offsetof(FileHeader, ring_head) == 64);
static_assert(sizeof(FileHeader) == 136);

enum class RecordType : uint16_t {
  kNone = 0,
  kPad = 1,
  // Definitions.
  kProcess = 2,
  kClockAnchor = 3,  // also in the ring, once a second
  kDevice = 4,
  kKernel = 5,
  kWorkspace = 6,
  kGraph = 7,
  kNode = 8,
  kEdge = 9,
  kExec = 10,
  kCommunicator = 11,
  kSite = 12,
  kStream = 13,
  kPythonSite = 14,
  kSwap = 15,
  kEarlyRead = 16,
  kSource = 17,
  kDriverClient = 18,
  // Evidence of a hang: definitions section too, so that it is never overwritten.
  kHang = 32,
  kFlagsRead = 33,
  kSlotState = 34,
  kHostThread = 35,
  kText = 36,
  kHangEnd = 37,
  kInputMatch = 38,
  kPeerHeader = 39,
  kTrouble = 40,
  kMark = 41,
  // Events.
  kCaptureBegin = 64,
  kCaptureEnd = 65,
  kGraphLaunch = 66,
  kSnapshot = 67,
  kEagerLaunch = 68,
  kExecUpdate = 69,
  kNodeParams = 70,
  kDestroy = 71,
  kReplayDone = 72,
  kOrder = 73,
  kEagerSnapshot = 74,
};

// In front of every record. crc = crc32c of the record's bytes [4, bytes); 0 = not committed.
struct RecordHeader {
  uint32_t crc;
  uint32_t bytes;  // whole record, a multiple of 8, at most kMaxRecordBytes
  uint16_t type;
  uint16_t flags;  // kRecord*
  uint32_t tid;    // thread that caused the record, 0: a shim thread
  uint64_t time_ns;
};
static_assert(sizeof(RecordHeader) == 24);
// What it tells of was seen in a CUPTI callback of the driver API, not in a hook (1.3).
inline constexpr uint16_t kRecordThroughCupti = 1;
// The same in front of a driver function that a DriverClient calls (1.4).
inline constexpr uint16_t kRecordThroughDriver = 2;

// A string inside the record: offset from the record's start, no terminator.
struct Str {
  uint32_t offset;
  uint32_t bytes;
};

inline constexpr uint32_t kNoId = 0xffffffffu;  // ids start at 1; 0 and kNoId are "none"

// ---------------------------------------------------------------- definitions

struct Process {
  RecordHeader header;
  uint32_t pid;
  uint32_t ppid;
  uint8_t boot_id[16];
  uint64_t start_ns;
  int32_t env_rank;        // RANK, OMPI_COMM_WORLD_RANK, SLURM_PROCID, …; −1: not set
  int32_t env_local_rank;  // LOCAL_RANK, …; −1
  int32_t env_world;       // WORLD_SIZE, …; −1
  uint32_t timeout_ms;
  Str hostname;
  Str executable;
  Str command_line;  // arguments separated by '\n'
  Str job;           // LAMPLIGHT_JOB: the same for all processes of one `lamplight run`
  Str shim_version;
  Str mode;        // "default", "strict" or "journal"
  Str rendezvous;  // MASTER_ADDR:MASTER_PORT where set
};

struct ClockAnchor {
  RecordHeader header;
  uint64_t monotonic_ns;
  uint64_t realtime_ns;
  uint64_t gpu_ns;          // 0: no GPU time in this anchor
  uint64_t uncertainty_ns;  // |error| of gpu_ns against monotonic_ns
  uint32_t device_id;       // kNoId without GPU time
  uint32_t reserved;
};

struct Device {
  RecordHeader header;
  uint32_t device_id;  // the runtime's ordinal
  uint32_t flags;      // kDeviceSimulated
  uint8_t uuid[16];
  uint32_t cc_major;
  uint32_t cc_minor;
  uint32_t multiprocessors;
  uint32_t driver_version;  // 13000 = 13.0
  uint32_t runtime_version;
  uint32_t reserved;
  Str name;
};
inline constexpr uint32_t kDeviceSimulated = 1;

enum class Algorithm : uint16_t {
  kUnknown = 0,
  kOneShot = 1,         // MNNVL one-shot, fused or not
  kTwoShot = 2,         // MNNVL two-shot
  kRmsNorm = 3,         // MNNVL rmsNormLamport: the second half of a two-shot pair
  kUnicastOneShot = 4,  // "trtllm" allreduce_fusion_kernel_oneshot_lamport
  kUnicastTwoShot = 5,  // "trtllm" allreduce_fusion_kernel_twoshot_sync
  kEpochOneShot = 6,    // our own protocol (kernels/epoch.cuh)
  kEpochTwoShot = 7,
  kPushOneShot = 8,  // SGLang's all_reduce_1shot_push_kernel and its forerunners
  kPushTwoShot = 9,  // SGLang's all_reduce_2shot_push_kernel
};

enum class DataType : uint16_t { kUnknown = 0, kF32 = 1, kF16 = 2, kBf16 = 3 };
// Of one element.
constexpr uint32_t BytesOf(DataType type) { return type == DataType::kF32 ? 4 : 2; }

enum class FlagLayout : uint16_t {
  kUnknown = 0,
  kEraA = 1,     // [cur, dirty, elemsPerStage, arrivals]
  kEraB = 2,     // [cur, dirty, elemsPerStage, prevTokens, arrivals]
  kEraC = 3,     // eras C–G, kernels/protocol.cuh
  kUnicast = 4,  // {counter, syncFlag, lamportFlag, commSizeBytes, clearElems}
  kEpoch = 5,    // EpochState: completed calls × 65536 + share of the call under way, low, high
  kPhases = 6,   // one counter for each block, whose lowest bit is the generation of its next call
};

struct Kernel {
  RecordHeader header;
  uint32_t kernel_id;
  uint16_t algorithm;    // Algorithm; kUnknown: not decoded
  uint16_t data_type;    // DataType
  uint16_t flag_layout;  // FlagLayout
  uint16_t compare;      // lamplight::protocol::Compare
  uint32_t world;        // template argument, 0: not in the name
  uint32_t parameters;   // as the driver counts them
  uint32_t flags;        // kKernel*
  Str symbol;            // mangled
  Str descriptor;        // name of the ABI descriptor that matched; empty: none
  Str era;
  Str reason;  // why a recognised name was not decoded
};
inline constexpr uint32_t kKernelLamport = 1;  // the name belongs to a Lamport family
inline constexpr uint32_t kKernelDecoded = 2;  // its parameters were checked against the driver
// It reads residual and weights before it waits for the kernel in front (programmatic launches).
inline constexpr uint32_t kKernelReadsEarly = 4;
// Its barrier stores the flag that the peer's block awaits ahead of those of blocks not there.
inline constexpr uint32_t kKernelOwnFlagFirst = 8;
// What has not come is a whole 32-bit word of fp32's −0, whatever the data type.
inline constexpr uint32_t kKernelWordSentinel = 16;

// A kernel of the host's was launched as another of ours (LAMPLIGHT_SWAP), from here on; or was
// not, and why.
struct Swap {
  RecordHeader header;
  uint32_t kernel_id;     // what the host launches
  uint32_t by_kernel_id;  // what runs instead; 0: itself
  Str reason;             // of a refusal
};

// The second source of events beside the hooks: CUPTI's callbacks of the driver API, from here on.
struct Source {
  RecordHeader header;
  uint32_t state;    // SourceState
  uint32_t version;  // of CUPTI's interface, as its library tells it; 0: unknown
  Str library;       // path
  Str reason;        // why it is not in force
};
enum class SourceState : uint32_t { kInForce = 1, kUnavailable = 2 };

// A module that asks the driver itself for its functions, as a statically linked CUDA runtime does,
// and is given the shim's in their place.
struct DriverClient {
  RecordHeader header;
  Str module;  // path
};

// One (flags, local buffer) pair on one device: one rank's end of a communicator.
struct Workspace {
  RecordHeader header;
  uint32_t workspace_id;
  uint32_t device_id;
  uint32_t rank;
  uint32_t world;
  uint16_t flag_layout;
  uint16_t flag_words;
  uint32_t communicator_id;
  uint64_t flags_address;
  uint64_t peers_address;      // device array of the ranks' buffer pointers, 0: none
  uint64_t local_address;      // 0: unknown until read (peers[rank])
  uint64_t multicast_address;  // 0: none
};

struct Communicator {
  RecordHeader header;
  uint32_t communicator_id;
  uint32_t world;
  uint32_t rank;
  uint32_t reserved;
  Str key;  // equal in all members where the process could tell (exchanged IPC handles); may be
            // empty
};

enum class GraphOrigin : uint16_t { kCapture = 1, kCaptureToGraph = 2, kExplicit = 3 };

struct Graph {
  RecordHeader header;
  uint32_t graph_id;  // a generation, never a handle
  uint32_t stream_id;
  uint64_t capture_begin_ns;
  uint64_t capture_end_ns;
  uint32_t site_id;  // where the capture ended
  uint32_t nodes;
  uint32_t lamport_nodes;
  uint16_t origin;
  uint16_t capture_mode;  // cudaStreamCaptureMode
};

// One launch of a Lamport kernel, as decoded from its parameters. Unknown fields are kNoId.
struct LamportCall {
  uint32_t kernel_id;
  uint32_t workspace_id;
  uint32_t tokens;
  uint32_t dim;
  uint32_t rank;
  uint32_t world;
  uint32_t index_argument;  // generation index passed from the host, kNoId: none (read from flags)
  uint32_t flags;           // kCall*
  uint32_t grid[3];
  uint32_t block;
  uint32_t cluster;
  uint32_t expected_arrivals;  // the kernel's target for the arrivals word, 0: unknown
  uint64_t digest;             // hash of all decoded parameters but addresses
};
inline constexpr uint32_t kCallAdvances = 1;  // moves the current index on when it ends
inline constexpr uint32_t kCallPdl = 2;       // programmatic stream serialisation allowed
inline constexpr uint32_t kCallCooperative = 4;
inline constexpr uint32_t kCallHostIndex = 8;  // index_argument is used by the kernel
// The kernel itself leaves a snapshot when it moves the flags on: a Snapshot of place kNode in
// every replay, an EagerSnapshot.
inline constexpr uint32_t kCallJournals = 16;
// The same in device memory, where it is read at a hang only: Mark.
inline constexpr uint32_t kCallMarks = 32;
inline constexpr uint32_t kCallTells = kCallJournals | kCallMarks;
static_assert(sizeof(LamportCall) == 64);

struct Node {
  RecordHeader header;
  uint32_t graph_id;
  uint32_t node;  // position in the host's own graph, from 0, in the driver's order
  uint32_t kind;  // CUgraphNodeType
  uint32_t reserved;
  LamportCall call;  // kernel_id 0: not a Lamport kernel
  Str name;          // kernel symbol where known
};

struct Edge {
  RecordHeader header;
  uint32_t graph_id;
  uint32_t from;
  uint32_t to;
  uint16_t kind;  // 0 full, 1 programmatic
  uint16_t from_port;
};

// A Lamport call of the graph that reads early, behind a programmatic edge from a kernel that has
// to do with what it reads.
struct EarlyRead {
  RecordHeader header;
  uint32_t graph_id;
  uint32_t node;
  uint32_t from;      // the kernel in front
  uint16_t operand;   // EarlyOperand
  uint16_t relation;  // EarlyRelation
  uint64_t address;   // of what is read
  uint64_t bytes;
};
enum class EarlyOperand : uint16_t { kResidual = 1, kGamma = 2 };
enum class EarlyRelation : uint16_t {
  kWrites = 1,  // a decoded call that lets the next one start before it has stored there
  kNames = 2,   // its parameters hold an address in it: it may read or write there
};

struct Exec {
  RecordHeader header;
  uint32_t exec_id;  // a generation, never a handle
  uint32_t graph_id;
  uint32_t site_id;
  uint32_t device_id;
  uint64_t instantiate_flags;
  uint32_t snapshots;   // snapshot records that every replay writes
  uint32_t completion;  // 1: completion is watched by an event node
};

struct Frame {
  uint64_t address;
  uint64_t module_offset;
  uint64_t symbol_offset;
  Str module;
  Str symbol;  // mangled; empty where unknown
};

struct Site {
  RecordHeader header;
  uint32_t site_id;
  uint32_t frames;
  // Frame[frames] follows, innermost first.
};

struct PythonFrame {
  Str file;
  Str function;
  uint32_t line;  // 0: unknown
  uint32_t reserved;
};

// What the thread of a Site ran in Python, where the process runs CPython. Behind its Site.
struct PythonSite {
  RecordHeader header;
  uint32_t site_id;
  uint32_t frames;
  // PythonFrame[frames] follows, innermost first.
};

struct Stream {
  RecordHeader header;
  uint32_t stream_id;
  uint32_t flags;   // kStream*
  uint64_t handle;  // for people only
  uint32_t device_id;
  uint32_t reserved;
};
inline constexpr uint32_t kStreamNonBlocking = 1;
inline constexpr uint32_t kStreamLegacy = 2;  // the legacy default stream
inline constexpr uint32_t kStreamPerThread = 4;
inline constexpr uint32_t kStreamUnknownFlags = 8;  // created before the shim saw it

// ---------------------------------------------------------------- evidence

enum class SideChannel : uint16_t {
  kOk = 0,
  kTimedOut = 1,  // a copy on the shim's own stream did not complete in its bound
  kBlocked = 2,   // the driver call itself did not return in its bound
  kError = 3,     // the driver refused; `error` has its code
  kNotTried = 4,
};

struct Hang {
  RecordHeader header;
  uint32_t hang_id;
  uint32_t exec_id;  // 0: eager launches
  uint32_t stream_id;
  uint32_t workspace_id;  // first workspace concerned, 0: the replay has no Lamport node
  uint64_t replay;        // oldest replay of exec_id that did not complete (1 = first)
  uint64_t replays_launched;
  uint64_t replays_completed;
  uint64_t launched_ns;
  uint64_t detected_ns;
  uint64_t timeout_ns;
  uint64_t op_before;  // advancing calls recorded on workspace_id before this replay or eager call
  uint32_t launch_returned;  // 0: the host is still inside the launch call
  uint16_t side_channel;     // SideChannel
  uint16_t side_error;
};

// One read of the flag words, through the side channel.
struct FlagsRead {
  RecordHeader header;
  uint32_t hang_id;
  uint32_t workspace_id;
  uint32_t pass;    // 0, 1
  uint16_t status;  // SideChannel
  uint16_t words;
  uint64_t begin_ns;
  uint64_t end_ns;
  uint32_t word[16];
  uint64_t local_address;  // of the buffer that SlotState describes
};

// What the words of one slot (generation, stage, peer, token) look like, both reads together.
// Counts and positions only: no payload value leaves the process.
struct SlotState {
  RecordHeader header;
  uint32_t hang_id;
  uint32_t workspace_id;
  uint32_t generation;
  uint32_t stage;
  uint32_t peer;   // rank that writes the slot
  uint32_t token;  // kNoId: all tokens of this peer together
  uint32_t role;   // kSlot*
  uint32_t words;
  uint32_t sentinel;           // words that are bitwise the sentinel, second read
  uint32_t alias;              // negative subnormals: arrived, absent under flush-to-zero
  uint32_t arrived;            // all others; sentinel + alias + arrived == words
  uint32_t changed;            // words that differ between the reads
  uint32_t first_sentinel[4];  // word positions in the slot, kNoId: none
  uint32_t first_alias[4];
  // 1.4. Of the sentinel words, those in a 16-byte packet of which something else has arrived.
  // Packets are stored whole, so these words are data.
  uint32_t stored_sentinel;
  uint32_t stored_leading;  // of those, the first of their packet: some kernels test no other
  uint32_t first_stored[4];
};
inline constexpr uint32_t kSlotCurrent = 1;  // the generation that the flags name current
inline constexpr uint32_t kSlotNext = 2;     // the one after it: should be armed everywhere
inline constexpr uint32_t kSlotAwaited = 4;  // this rank's kernel polls the slot
// The generation before the current one. A grid whose first block is through moves the flags on
// while other blocks may still poll there (era C one-shot; the state in FlashInfer's issue 3053).
inline constexpr uint32_t kSlotDirty = 8;

struct HostThread {
  RecordHeader header;
  uint32_t hang_id;
  uint32_t tid;
  uint32_t site_id;  // 0: the thread did not answer in time
  uint32_t reserved;
  Str name;
};

enum class TextKind : uint16_t { kVerdict = 1, kPythonStacks = 2, kNote = 3 };

struct Text {
  RecordHeader header;
  uint32_t hang_id;  // 0: none
  uint16_t kind;
  uint16_t reserved;
  Str text;
};

// The replay of a recorded hang completed after all.
struct HangEnd {
  RecordHeader header;
  uint32_t hang_id;
  uint32_t reserved;
};

// Whether what this rank has sent in the stuck call (its own slots of `generation`) is what a
// node's input buffer holds during the hang. Other nodes may have reused the buffer: rows that
// differ prove nothing, an equal row is hardly chance.
struct InputMatch {
  RecordHeader header;
  uint32_t hang_id;
  uint32_t workspace_id;
  uint32_t node;  // of the hung exec's graph
  uint32_t generation;
  uint32_t rows;    // compared
  uint32_t equal;   // of those, equal but for the sign of zero
  uint32_t plain;   // rows left out because all their words are alike
  uint16_t status;  // SideChannel: how the node's input was read
  uint16_t reserved;
};

// What a peer has announced of its newest call, and what this rank's stuck call would announce: in
// workspaces that have headers (kernels/collective_call.h, Header).
struct PeerHeader {
  RecordHeader header;
  uint32_t hang_id;
  uint32_t workspace_id;
  uint32_t peer;
  uint32_t announced;  // 0: nothing that can be believed; the peer's fields are 0 then
  uint32_t sequence;   // calls that the peer had completed before it, low 32 bits
  uint32_t tokens;
  uint32_t hidden;
  uint32_t kind;  // KindOf (kernels/trouble.cuh): type, kernel, protocol, world
  uint32_t own_sequence;
  uint32_t own_tokens;
  uint32_t own_hidden;
  uint32_t own_kind;
};

// What the newest mark on a workspace says (kernels/snapshot_slot.h, NodeMark), of an exec that is
// in flight at a hang. That there is this record says that all of them were read: a node that has
// left none has not ended.
struct Mark {
  RecordHeader header;
  uint32_t hang_id;
  uint32_t workspace_id;
  uint32_t exec_id;
  uint32_t node;    // of the exec's graph
  uint64_t run;     // of the node: the replay; 0: no node has ended
  uint64_t gpu_ns;  // 0: not known
  uint16_t words;   // 0: not known, another run of the node is under way
  uint16_t reserved[3];
  uint32_t word[12];
};

// What a kernel of ours has reported of its own call (kernels/collective_call.h, Diagnostic), hang
// or not. `bits` are the words of one 16-byte packet as the kernel saw them.
struct Trouble {
  RecordHeader header;
  uint32_t workspace_id;
  uint32_t kind;      // kernels::Trouble
  uint32_t flags;     // kTrouble*
  uint32_t repeated;  // reports of this kind on this workspace before, recorded or not
  uint64_t buffer;    // address of this rank's buffer, 0: not told
  uint64_t epoch;     // calls before this one, where the workspace counts them
  uint64_t waited_ns;
  uint32_t index;  // generation in use
  uint32_t rank;
  uint32_t peer;  // whose packet is missing, or who diverges
  uint32_t token;
  uint32_t word;  // of the token's row
  uint32_t stage;
  uint32_t bits[4];
  uint32_t arrivals;  // clusters that were done; of a residue: what was left
  uint32_t tokens;    // of this call
  uint32_t hidden;
  uint32_t call_kind;    // as PeerHeader::kind
  uint32_t peer_tokens;  // of a divergence: what the peer's header says
  uint32_t peer_hidden;
  uint32_t peer_kind;
  uint32_t reserved;
};
inline constexpr uint32_t kTroubleSwapped = 1;  // the kernel ran in the place of one of the host's

// ---------------------------------------------------------------- events

struct CaptureBegin {
  RecordHeader header;
  uint32_t stream_id;
  uint32_t mode;
};

struct CaptureEnd {
  RecordHeader header;
  uint32_t stream_id;
  uint32_t graph_id;  // 0: the capture failed
  int32_t status;     // cudaError_t
  uint32_t reserved;
};

inline constexpr uint32_t kMaxWorkspacesPerGraph = 4;

struct OpBase {
  uint32_t workspace_id;  // 0: unused
  uint32_t ops;           // advancing calls in this replay
  uint64_t before;        // advancing calls recorded on the workspace before it
};

// Written when the host enters the launch (returned_ns 0), and once more, with its status, where
// the driver refused it: such a replay never ran, and its number is given to the next one.
struct GraphLaunch {
  RecordHeader header;
  uint32_t exec_id;
  uint32_t stream_id;
  uint64_t replay;  // 1 = first launch of this exec
  uint64_t returned_ns;
  int32_t status;
  uint32_t reserved;
  OpBase op[kMaxWorkspacesPerGraph];
};

enum class SnapshotPlace : uint16_t { kTail = 0, kHead = 1, kNode = 2 };

// Flag words as the GPU saw them.
struct Snapshot {
  RecordHeader header;
  uint32_t exec_id;
  uint32_t workspace_id;
  uint64_t replay;  // counted on the device: the n-th run of this snapshot node
  uint64_t gpu_ns;
  uint32_t node;   // Lamport node it follows (kNode, kTail) or precedes (kHead)
  uint16_t place;  // SnapshotPlace
  uint16_t words;
  uint32_t word[12];
};

// Flag words as an eager call left them, told by the call itself.
struct EagerSnapshot {
  RecordHeader header;
  uint32_t workspace_id;
  uint16_t words;
  uint16_t reserved;
  uint64_t op;  // of its EagerLaunch
  uint64_t gpu_ns;
  uint32_t word[12];
};

struct EagerLaunch {
  RecordHeader header;
  LamportCall call;
  uint32_t stream_id;
  int32_t status;
  uint64_t op;  // advancing calls recorded on the workspace before it
};

struct ExecUpdate {
  RecordHeader header;
  uint32_t exec_id;
  uint32_t graph_id;  // the exec's nodes are this graph's from here on
  int32_t status;
  uint32_t result;  // cudaGraphExecUpdateResult
};

struct NodeParams {
  RecordHeader header;
  uint32_t exec_id;
  uint32_t node;
  LamportCall call;
};

enum class Handle : uint16_t { kGraph = 1, kExec = 2, kStream = 3, kWorkspace = 4 };

struct Destroy {
  RecordHeader header;
  uint32_t kind;  // Handle
  uint32_t id;
};

// Seen by the watchdog; late by up to its period.
struct ReplayDone {
  RecordHeader header;
  uint32_t exec_id;
  uint32_t reserved;
  uint64_t replay;  // this one and all before it are complete
};

enum class OrderKind : uint32_t {
  kEventRecord = 1,  // event_id at serial, on stream_id
  kStreamWait = 2,   // stream_id waits for event_id at serial
  kStreamSync = 3,   // host waited for stream_id
  kEventSync = 4,    // host waited for event_id at serial
  kDeviceSync = 5,
};

struct Order {
  RecordHeader header;
  uint32_t kind;
  uint32_t stream_id;
  uint32_t event_id;
  uint32_t device_id;
  uint64_t serial;
};

// Layout is part of the format: sizes and the offset of every record's last field.
static_assert(sizeof(Process) == 24 + 4 * 2 + 16 + 8 + 4 * 4 + 7 * 8);
static_assert(sizeof(ClockAnchor) == 64);
static_assert(sizeof(Device) == 24 + 8 + 16 + 24 + 8);
static_assert(sizeof(Kernel) == 24 + 4 + 8 + 12 + 4 * 8);
static_assert(sizeof(Workspace) == 24 + 24 + 32);
static_assert(sizeof(Communicator) == 48);
static_assert(sizeof(Graph) == 24 + 8 + 16 + 16);
static_assert(sizeof(Node) == 24 + 16 + 64 + 8);
static_assert(sizeof(Edge) == 40);
static_assert(sizeof(Exec) == 56 && sizeof(EarlyRead) == 56);
static_assert(sizeof(Frame) == 40 && sizeof(Site) == 32 && sizeof(Stream) == 48);
static_assert(sizeof(Swap) == 40);
static_assert(sizeof(PythonFrame) == 24 && sizeof(PythonSite) == 32);
static_assert(sizeof(Hang) == 24 + 16 + 56 + 8);
static_assert(sizeof(FlagsRead) == 24 + 16 + 16 + 64 + 8);
static_assert(sizeof(SlotState) == 24 + 48 + 32 + 24);
static_assert(sizeof(HostThread) == 48 && sizeof(Text) == 40 && sizeof(HangEnd) == 32);
static_assert(sizeof(InputMatch) == 24 + 32);
static_assert(sizeof(PeerHeader) == 24 + 48);
static_assert(sizeof(Mark) == 24 + 16 + 16 + 8 + 48);
static_assert(sizeof(Trouble) == 24 + 16 + 24 + 24 + 16 + 32);
static_assert(sizeof(CaptureBegin) == 32 && sizeof(CaptureEnd) == 40);
static_assert(sizeof(GraphLaunch) == 24 + 32 + 4 * 16);
static_assert(sizeof(Snapshot) == 24 + 8 + 16 + 8 + 48);
static_assert(sizeof(EagerSnapshot) == 24 + 24 + 48);
static_assert(sizeof(EagerLaunch) == 24 + 64 + 16);
static_assert(sizeof(ExecUpdate) == 40 && sizeof(NodeParams) == 96 && sizeof(Destroy) == 32);
static_assert(sizeof(ReplayDone) == 40 && sizeof(Order) == 48);

}  // namespace lamplight::trace
