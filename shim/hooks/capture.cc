// Remembers captures by stream from begin to end. The map is small: one entry per open capture.
#include "shim/hooks/capture.h"

#include <mutex>
#include <unordered_map>

#include "shim/hooks/guard.h"

namespace lamplight::shim::hooks {
namespace {

class OpenCaptures {
 public:
  void Began(CUstream stream, const GraphInfo& info) {
    std::lock_guard lock(mutex_);
    open_[stream] = info;
  }
  // False where the begin was not seen.
  bool Ended(CUstream stream, GraphInfo* info) {
    std::lock_guard lock(mutex_);
    const auto found = open_.find(stream);
    if (found == open_.end()) return false;
    *info = found->second;
    open_.erase(found);
    return true;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<CUstream, GraphInfo> open_;
};

OpenCaptures& Open() {
  static auto* open = new OpenCaptures();
  return *open;
}

void NoteBegin(CUstream stream, cudaStreamCaptureMode mode, trace::GraphOrigin origin) {
  Session* session = Session::Running();
  if (session == nullptr) return;
  GraphInfo info;
  info.stream_id = session->streams().Id(stream);
  info.capture_begin_ns = Recorder::NowNs();
  info.capture_mode = static_cast<uint16_t>(mode);
  info.origin = origin;
  Open().Began(stream, info);
  trace::CaptureBegin record{};
  record.stream_id = info.stream_id;
  record.mode = info.capture_mode;
  session->recorder().Emit(trace::RecordType::kCaptureBegin, record);
}

void NoteEnd(CUstream stream, cudaError_t status, CUgraph graph) {
  Session* session = Session::Running();
  GraphInfo info;
  if (session == nullptr || !Open().Ended(stream, &info)) return;
  session->streams().CaptureEnded();
  info.capture_end_ns = Recorder::NowNs();
  if (status == cudaSuccess) {
    info.site_id = session->sites().Here(1);
    session->graphs().Captured(graph, info);
  }
  trace::CaptureEnd record{};
  record.stream_id = info.stream_id;
  record.status = status;
  session->recorder().Emit(trace::RecordType::kCaptureEnd, record);
}

// The last moment at which the shim may load its kernel, allocate, and ask for the stream's flags:
// before the capture.
Streams* AnnounceCapture(CUstream stream) noexcept {
  Streams* streams = nullptr;
  Guarded([&] {
    Session* session = Session::Current();
    if (session == nullptr) return;
    session->CurrentDevice();
    streams = &session->streams();
    streams->Id(stream);
    streams->CaptureBegins();
  });
  return streams;
}

// The real call's answer to what was announced.
void CaptureAnswered(Streams* announced, cudaError_t status, CUstream stream,
                     cudaStreamCaptureMode mode, trace::GraphOrigin origin) noexcept {
  if (announced == nullptr) return;
  Guarded([&] {
    if (status == cudaSuccess) {
      NoteBegin(stream, mode, origin);
    } else {
      announced->CaptureEnded();
    }
  });
}

}  // namespace

cudaError_t BeginCapture(RealFunction<decltype(&cudaStreamBeginCapture)>& real, cudaStream_t stream,
                         cudaStreamCaptureMode mode, bool per_thread) noexcept {
  Streams* announced = AnnounceCapture(DriverStream(stream, per_thread));
  const cudaError_t status = CallReal(real, stream, mode);
  CaptureAnswered(announced, status, DriverStream(stream, per_thread), mode,
                  trace::GraphOrigin::kCapture);
  return status;
}

cudaError_t BeginCaptureToGraph(RealFunction<decltype(&cudaStreamBeginCaptureToGraph)>& real,
                                cudaStream_t stream, cudaGraph_t graph,
                                const cudaGraphNode_t* dependencies, const cudaGraphEdgeData* edges,
                                size_t count, cudaStreamCaptureMode mode,
                                bool per_thread) noexcept {
  Streams* announced = AnnounceCapture(DriverStream(stream, per_thread));
  const cudaError_t status = CallReal(real, stream, graph, dependencies, edges, count, mode);
  CaptureAnswered(announced, status, DriverStream(stream, per_thread), mode,
                  trace::GraphOrigin::kCaptureToGraph);
  return status;
}

cudaError_t EndCapture(RealFunction<decltype(&cudaStreamEndCapture)>& real, cudaStream_t stream,
                       cudaGraph_t* graph, bool per_thread) noexcept {
  const cudaError_t status = CallReal(real, stream, graph);
  Guarded([&] {
    const bool captured = status == cudaSuccess && graph != nullptr && *graph != nullptr;
    NoteEnd(DriverStream(stream, per_thread), captured ? cudaSuccess : status,
            captured ? *graph : nullptr);
  });
  return status;
}

}  // namespace lamplight::shim::hooks
