// Thread-safe: see capture.h.
#include "tests/device_sim/capture.h"

#include <algorithm>
#include <atomic>
#include <set>

#include "tests/device_sim/device.h"

namespace device_sim {
namespace {

std::vector<std::shared_ptr<Capture>>& ActiveCaptures() {
  static auto& captures = *new std::vector<std::shared_ptr<Capture>>;
  return captures;
}

// Lets calls outside any capture skip the lock.
std::atomic<int> active_captures{0};

thread_local CUstreamCaptureMode thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

void LeaveLocked(Stream& stream) {
  stream.capturing = false;
  stream.capture = nullptr;
  stream.tips.clear();
}

void EnterLocked(Stream& stream, const std::shared_ptr<Capture>& capture) {
  stream.capture = capture;
  stream.tips.clear();
  stream.capturing = true;
  capture->streams.push_back(stream.shared_from_this());
}

void FinishLocked(const std::shared_ptr<Capture>& capture) {
  for (const StreamRef& stream : capture->streams) LeaveLocked(*stream);
  capture->streams.clear();
  std::erase(ActiveCaptures(), capture);
  active_captures.fetch_sub(1);
}

bool Forbids(const Capture& capture) {
  if (thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED) return false;
  if (capture.thread == std::this_thread::get_id()) {
    return capture.mode != CU_STREAM_CAPTURE_MODE_RELAXED;
  }
  return thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
         capture.mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
}

Status CheckMode(CUstreamCaptureMode mode) {
  const bool known = mode == CU_STREAM_CAPTURE_MODE_GLOBAL ||
                     mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL ||
                     mode == CU_STREAM_CAPTURE_MODE_RELAXED;
  return known ? kOk : CUDA_ERROR_INVALID_VALUE;
}

Status CheckCanBegin(const Stream& stream, CUstreamCaptureMode mode) {
  SIM_TRY(CheckMode(mode));
  if (stream.kind() == StreamKind::kLegacy) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return stream.capturing ? CUDA_ERROR_ILLEGAL_STATE : kOk;
}

std::shared_ptr<Capture> StartLocked(Stream& stream, CUstreamCaptureMode mode, GraphRef graph) {
  static uint64_t next_id = 1;
  auto capture = std::make_shared<Capture>();
  capture->id = next_id++;
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->graph = std::move(graph);
  capture->origin = &stream;
  ActiveCaptures().push_back(capture);
  active_captures.fetch_add(1);
  EnterLocked(stream, capture);
  return capture;
}

std::vector<CaptureTip> TipsFrom(const std::vector<InEdge>& in) {
  std::vector<CaptureTip> tips;
  tips.reserve(in.size());
  for (const InEdge& edge : in) tips.push_back({edge.from, edge.edge});
  return tips;
}

void AddTips(std::vector<CaptureTip>* tips, const std::vector<CaptureTip>& more) {
  for (const CaptureTip& tip : more) {
    if (std::ranges::find(*tips, tip.node, &CaptureTip::node) == tips->end()) tips->push_back(tip);
  }
}

// A kernel that may start early is joined to the kernels before it by programmatic edges.
std::vector<InEdge> EdgesTo(const Operation& operation, const std::vector<CaptureTip>& tips) {
  const auto* kernel = std::get_if<KernelCall>(&operation);
  const bool programmatic = kernel != nullptr && kernel->programmatic();
  std::vector<InEdge> in;
  for (const CaptureTip& tip : tips) {
    InEdge edge{tip.node, tip.edge};
    if (programmatic && std::holds_alternative<KernelCall>(tip.node->operation)) {
      edge.edge.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC;
      edge.edge.from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC;
    }
    in.push_back(edge);
  }
  return in;
}

// Every forked stream's last nodes must be behind the origin's.
bool AllJoined(const Capture& capture) {
  std::set<const Node*> joined;
  std::vector<const Node*> open;
  for (const CaptureTip& tip : capture.origin->tips) open.push_back(tip.node);
  while (!open.empty()) {
    const Node* node = open.back();
    open.pop_back();
    if (!joined.insert(node).second) continue;
    for (const InEdge& edge : node->in) open.push_back(edge.from);
  }
  return std::ranges::all_of(capture.streams, [&](const StreamRef& stream) {
    return std::ranges::all_of(stream->tips,
                               [&](const CaptureTip& tip) { return joined.contains(tip.node); });
  });
}

Status CheckCanEnd(const Stream& stream, const Capture& capture) {
  if (capture.origin != &stream) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  if (capture.mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
      capture.thread != std::this_thread::get_id()) {
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  }
  return kOk;
}

Status OutcomeOf(const Capture& capture) {
  if (capture.invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  return AllJoined(capture) ? kOk : CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
}

}  // namespace

Status BeginCapture(Stream& stream, CUstreamCaptureMode mode) {
  const std::lock_guard lock(TopologyMutex());
  SIM_TRY(CheckCanBegin(stream, mode));
  StartLocked(stream, mode, std::make_shared<Graph>());
  return kOk;
}

Status BeginCaptureToGraph(Stream& stream, CUgraph handle, NodeSpan dependencies,
                           const CUgraphEdgeData* edges, CUstreamCaptureMode mode) {
  const std::lock_guard lock(TopologyMutex());
  SIM_TRY(CheckCanBegin(stream, mode));
  const GraphRef graph = Graphs().Find(handle);
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::vector<InEdge> in;
  SIM_TRY(CheckNodesLocked(*graph, dependencies, edges, &in));
  StartLocked(stream, mode, graph)->existing = handle;
  stream.tips = TipsFrom(in);
  return kOk;
}

Status EndCapture(Stream& stream, CUgraph* out) {
  const std::lock_guard lock(TopologyMutex());
  if (out != nullptr) *out = nullptr;
  const std::shared_ptr<Capture> capture = stream.capture;
  if (capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  SIM_TRY(CheckCanEnd(stream, *capture));
  const Status outcome = OutcomeOf(*capture);
  FinishLocked(capture);
  const bool keep = outcome == kOk && out != nullptr;
  if (!keep && capture->existing == nullptr) Graphs().Remove(HandleOf(capture->graph.get()));
  if (!keep) return outcome;
  *out = capture->existing != nullptr ? capture->existing : Graphs().Add(capture->graph);
  return kOk;
}

void AbandonCapture(Stream& stream) {
  const std::lock_guard lock(TopologyMutex());
  const std::shared_ptr<Capture> capture = stream.capture;
  if (capture == nullptr) return;
  capture->invalidated = true;
  if (capture->origin == &stream) {
    FinishLocked(capture);
  } else {
    LeaveLocked(stream);
    std::erase(capture->streams, stream.shared_from_this());
  }
}

Status ReportCapture(Stream& stream, CaptureReport* report) {
  const std::lock_guard lock(TopologyMutex());
  *report = {};
  if (stream.kind() == StreamKind::kLegacy && active_captures > 0) {
    for (const auto& capture : ActiveCaptures()) {
      if (capture->origin->kind() != StreamKind::kNonBlocking) {
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
      }
    }
  }
  if (stream.capture == nullptr) return kOk;
  const Capture& capture = *stream.capture;
  report->id = capture.id;
  report->status =
      capture.invalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  if (capture.invalidated) return kOk;
  stream.reported_tips.clear();
  stream.reported_edges.clear();
  for (const CaptureTip& tip : stream.tips) {
    stream.reported_tips.push_back(HandleOf(tip.node));
    stream.reported_edges.push_back(tip.edge);
  }
  // The graph of a running capture is a live handle, as frameworks add nodes to it by hand.
  report->graph = Graphs().Add(capture.graph);
  report->tips = stream.reported_tips.data();
  report->edges = stream.reported_edges.data();
  report->count = stream.reported_tips.size();
  return kOk;
}

Status UpdateTips(Stream& stream, NodeSpan nodes, const CUgraphEdgeData* edges, bool replace) {
  const std::lock_guard lock(TopologyMutex());
  if (stream.capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (stream.capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  std::vector<InEdge> in;
  SIM_TRY(CheckNodesLocked(*stream.capture->graph, nodes, edges, &in));
  if (replace) stream.tips.clear();
  AddTips(&stream.tips, TipsFrom(in));
  return kOk;
}

Status CaptureOperation(Stream& stream, Operation operation) {
  const std::lock_guard lock(TopologyMutex());
  return CaptureLocked(stream, std::move(operation));
}

Status CaptureLocked(Stream& stream, Operation operation) {
  if (stream.capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (stream.capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  std::vector<InEdge> in = EdgesTo(operation, stream.tips);
  Node* node = stream.capture->graph->AddLocked(std::move(operation), std::move(in));
  stream.tips = {{node, {}}};
  return kOk;
}

Status CaptureEventRecord(Stream& stream, Event& event) {
  const std::lock_guard lock(TopologyMutex());
  if (stream.capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (stream.capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  const std::lock_guard event_lock(event.mutex);
  event.capture = stream.capture;
  event.tips = stream.tips;
  return kOk;
}

Status JoinCapture(Stream& stream, Event& event) {
  const std::lock_guard lock(TopologyMutex());
  const std::lock_guard event_lock(event.mutex);
  const std::shared_ptr<Capture> capture = event.capture.lock();
  if (capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (stream.kind() == StreamKind::kLegacy) return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  if (stream.capture == nullptr) EnterLocked(stream, capture);
  if (stream.capture != capture) {
    capture->invalidated = stream.capture->invalidated = true;
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  }
  AddTips(&stream.tips, event.tips);
  return kOk;
}

Status RefuseIsolatedWait(Stream& stream) {
  const std::lock_guard lock(TopologyMutex());
  if (stream.capture != nullptr) stream.capture->invalidated = true;
  return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
}

Status CheckUnsafeCall() {
  if (active_captures.load() == 0) return kOk;
  const std::lock_guard lock(TopologyMutex());
  Status status = kOk;
  for (const auto& capture : ActiveCaptures()) {
    if (!Forbids(*capture)) continue;
    capture->invalidated = true;
    status = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return status;
}

Status CheckNotCapturing(Stream& stream) {
  if (!stream.capturing) return CheckLegacyUse(stream);
  const std::lock_guard lock(TopologyMutex());
  if (stream.capture != nullptr) stream.capture->invalidated = true;
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

Status CheckDeviceWait(const Device& device) {
  if (active_captures.load() == 0) return kOk;
  const std::lock_guard lock(TopologyMutex());
  Status status = kOk;
  for (const auto& capture : ActiveCaptures()) {
    if (&capture->origin->device() != &device) continue;
    capture->invalidated = true;
    status = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return status;
}

Status CheckLegacyUse(const Stream& stream) {
  if (stream.kind() != StreamKind::kLegacy || active_captures.load() == 0) return kOk;
  const std::lock_guard lock(TopologyMutex());
  Status status = kOk;
  for (const auto& capture : ActiveCaptures()) {
    for (const StreamRef& other : capture->streams) {
      if (other->kind() == StreamKind::kNonBlocking || &other->device() != &stream.device()) {
        continue;
      }
      capture->invalidated = true;
      status = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
  }
  return status;
}

Status ExchangeThreadMode(CUstreamCaptureMode* mode) {
  if (mode == nullptr) return CUDA_ERROR_INVALID_VALUE;
  SIM_TRY(CheckMode(*mode));
  std::swap(*mode, thread_mode);
  return kOk;
}

}  // namespace device_sim
