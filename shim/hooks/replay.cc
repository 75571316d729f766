// The hot path of graph launches: no heap, no log, no lock; one record and the host's own call.
#include "shim/hooks/graph.h"
#include "shim/hooks/guard.h"
#include "shim/log.h"

namespace lamplight::shim::hooks {
namespace {

// Counts the replay in, and its calls on every workspace; returns its record.
trace::GraphLaunch CountIn(Session& session, Exec& exec, CUstream stream) {
  trace::GraphLaunch record{};
  record.exec_id = exec.id;
  record.stream_id = session.streams().Id(stream);
  record.header.time_ns = Recorder::NowNs();
  record.replay = exec.launched.fetch_add(1, std::memory_order_acq_rel) + 1;
  for (size_t i = 0; i < exec.ops.size(); ++i) {
    Workspace* workspace = exec.ops[i].workspace.load(std::memory_order_acquire);
    if (workspace == nullptr) break;
    record.op[i].workspace_id = workspace->id;
    record.op[i].ops = exec.ops[i].ops.load(std::memory_order_relaxed);
    record.op[i].before = workspace->ops.fetch_add(record.op[i].ops, std::memory_order_relaxed);
  }
  exec.stream_id.store(record.stream_id, std::memory_order_relaxed);
  exec.MarkLaunch(record.replay, record.header.time_ns, record.op[0].before);
  return record;
}

// A launch that the driver refused never runs: its counts are taken back, and the record says so.
void CountOut(Session& session, Exec& exec, trace::GraphLaunch record, cudaError_t status) {
  exec.launched.fetch_sub(1, std::memory_order_acq_rel);
  for (const trace::OpBase& op : record.op) {
    if (op.workspace_id == 0) break;
    Workspace* workspace = exec.ops[static_cast<size_t>(&op - record.op)].workspace;
    if (workspace != nullptr) workspace->ops.fetch_sub(op.ops, std::memory_order_relaxed);
  }
  record.status = status;
  record.returned_ns = Recorder::NowNs();
  record.header.time_ns = record.returned_ns;
  session.recorder().Emit(trace::RecordType::kGraphLaunch, record);
}

}  // namespace

GraphLaunchCall::GraphLaunchCall(CUgraphExec exec, CUstream stream) noexcept {
  session_ = Session::Running();
  Exec* known = session_ == nullptr ? nullptr : session_->graphs().FindExec(exec);
  if (known == nullptr) return;
  // Launched into a capture it becomes a child node of another graph and runs with that one.
  if (session_->streams().IsCapturing(stream)) {
    known->borrowed.store(true, std::memory_order_relaxed);
    return;
  }
  exec_ = known;
  stream_ = stream;
  record_ = CountIn(*session_, *exec_, stream);
  session_->recorder().Emit(trace::RecordType::kGraphLaunch, record_);
}

void GraphLaunchCall::Returned(cudaError_t status) noexcept {
  if (exec_ == nullptr) return;
  if (status == cudaSuccess) [[likely]] {
    exec_->returned.fetch_add(1, std::memory_order_release);
    if (exec_->done_behind) [[unlikely]]
      RecordBehind();
  } else {
    Guarded([&] { CountOut(*session_, *exec_, record_, status); });
  }
}

// For graphs that take no event node. What comes into a stream behind a replay completes behind it.
void GraphLaunchCall::RecordBehind() noexcept {
  if (!exec_->CompletionIsWatched()) return;
  Guarded([&] {
    if (session_->streams().IsCapturing(stream_)) return;
    const RelaxedCapture relaxed(session_->driver());
    const CUresult result = session_->driver().EventRecord(exec_->done, stream_);
    if (result == CUDA_SUCCESS) {
      exec_->recorded.store(record_.replay, std::memory_order_release);
    } else if (!exec_->unrecordable.exchange(true)) {
      LogWarning("the replays of graph {} are not watched: no event could be recorded (error {})",
                 exec_->graph_id.load(), int{result});
    }
  });
}

cudaError_t GraphLaunch(RealFunction<decltype(&cudaGraphLaunch)>& real, cudaGraphExec_t exec,
                        cudaStream_t stream, bool per_thread) {
  GraphLaunchCall call(exec, DriverStream(stream, per_thread));
  const cudaError_t status = CallReal(real, exec, stream);
  call.Returned(status);
  return status;
}

}  // namespace lamplight::shim::hooks
