// What a capture tells at its begin and at its end.
#include "shim/hooks/capture.h"

#include <optional>

#include "shim/hooks/guard.h"

namespace lamplight::shim::hooks {
namespace {

void NoteBegin(CUstream stream, uint16_t mode, trace::GraphOrigin origin) {
  Session* session = Session::Running();
  if (session == nullptr) return;
  GraphInfo info;
  info.stream_id = session->streams().Id(stream);
  info.capture_begin_ns = Recorder::NowNs();
  info.capture_mode = mode;
  info.origin = origin;
  if (!session->captures().Began(stream, info)) session->streams().CaptureEnded();
  trace::CaptureBegin record{};
  record.stream_id = info.stream_id;
  record.mode = info.capture_mode;
  session->recorder().Emit(trace::RecordType::kCaptureBegin, record);
}

// A refused end, as by another thread than the one that began, leaves the capture going.
bool GoesOn(const Session& session, CUstream stream) {
  CUstreamCaptureStatus capture = CU_STREAM_CAPTURE_STATUS_NONE;
  return session.driver().StreamIsCapturing(stream, &capture) == CUDA_SUCCESS &&
         capture != CU_STREAM_CAPTURE_STATUS_NONE;
}

void NoteEnd(CUstream stream, cudaError_t status, CUgraph graph) {
  Session* session = Session::Running();
  if (session == nullptr || (status != cudaSuccess && GoesOn(*session, stream))) return;
  std::optional<GraphInfo> info = session->captures().Ended(stream);
  if (!info) return;
  session->streams().CaptureEnded();
  info->capture_end_ns = Recorder::NowNs();
  if (status == cudaSuccess) {
    info->site_id = session->sites().Here(1);
    session->graphs().Captured(graph, *info);
  }
  trace::CaptureEnd record{};
  record.stream_id = info->stream_id;
  record.status = status;
  session->recorder().Emit(trace::RecordType::kCaptureEnd, record);
}

}  // namespace

// The last moment at which the shim may load its kernel, allocate, and ask for the stream's flags:
// before the capture.
CaptureStart::CaptureStart(CUstream stream, CUstreamCaptureMode mode,
                           trace::GraphOrigin origin) noexcept
    : stream_(stream), mode_(static_cast<uint16_t>(mode)), origin_(origin) {
  Guarded([&] {
    Session* session = Session::Current();
    if (session == nullptr) return;
    session->CurrentDevice();
    announced_ = &session->streams();
    announced_->Id(stream);
    announced_->CaptureBegins();
  });
}

void CaptureStart::Answered(cudaError_t status) noexcept {
  if (announced_ == nullptr) return;
  Guarded([&] {
    if (status == cudaSuccess) {
      NoteBegin(stream_, mode_, origin_);
    } else {
      announced_->CaptureEnded();
    }
  });
}

void CaptureEnded(CUstream stream, cudaError_t status, const CUgraph* graph) noexcept {
  Guarded([&] {
    const bool captured = status == cudaSuccess && graph != nullptr && *graph != nullptr;
    NoteEnd(stream, captured ? cudaSuccess : status, captured ? *graph : nullptr);
  });
}

cudaError_t BeginCapture(RealFunction<decltype(&cudaStreamBeginCapture)>& real, cudaStream_t stream,
                         cudaStreamCaptureMode mode, bool per_thread) {
  CaptureStart start(DriverStream(stream, per_thread), static_cast<CUstreamCaptureMode>(mode),
                     trace::GraphOrigin::kCapture);
  const cudaError_t status = CallReal(real, stream, mode);
  start.Answered(status);
  return status;
}

cudaError_t BeginCaptureToGraph(RealFunction<decltype(&cudaStreamBeginCaptureToGraph)>& real,
                                cudaStream_t stream, cudaGraph_t graph,
                                const cudaGraphNode_t* dependencies, const cudaGraphEdgeData* edges,
                                size_t count, cudaStreamCaptureMode mode, bool per_thread) {
  CaptureStart start(DriverStream(stream, per_thread), static_cast<CUstreamCaptureMode>(mode),
                     trace::GraphOrigin::kCaptureToGraph);
  const cudaError_t status = CallReal(real, stream, graph, dependencies, edges, count, mode);
  start.Answered(status);
  return status;
}

cudaError_t EndCapture(RealFunction<decltype(&cudaStreamEndCapture)>& real, cudaStream_t stream,
                       cudaGraph_t* graph, bool per_thread) {
  const cudaError_t status = CallReal(real, stream, graph);
  CaptureEnded(DriverStream(stream, per_thread), status, graph);
  return status;
}

}  // namespace lamplight::shim::hooks
