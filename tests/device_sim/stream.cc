// Streams and their threads. Thread-safe.
#include "tests/device_sim/stream.h"

#include <algorithm>
#include <cstdio>

#include "tests/device_sim/capture.h"
#include "tests/device_sim/context.h"
#include "tests/device_sim/device.h"
#include "tests/device_sim/device_thread.h"
#include "tests/device_sim/kernel_launch.h"

namespace device_sim {
namespace {

constexpr size_t kQueueDepth = 1024;

uint64_t NextStreamId() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1);
}

// Outlives the streams, so that calls of late static destructors find out.
thread_local constinit bool thread_ends = false;

// A thread's default streams, one per device; they end with the thread.
struct PerThreadStreams {
  PerThreadStreams() : streams(static_cast<size_t>(DeviceCount())) {}
  ~PerThreadStreams() {
    thread_ends = true;
    for (const StreamRef& stream : streams) {
      if (stream != nullptr) stream->Close();
    }
  }
  std::vector<StreamRef> streams;
};

}  // namespace

StreamTable& Streams() {
  static StreamTable& table = *new StreamTable;
  return table;
}

Stream::Stream(Context& context, StreamKind kind, int priority)
    : context_(context),
      device_(context.device()),
      kind_(kind),
      priority_(priority),
      id_(NextStreamId()) {}

unsigned Stream::flags() const {
  return kind_ == StreamKind::kNonBlocking ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT;
}

MarkerRef Stream::Submit(Markers after, std::function<Status()> run) {
  WaitForRoom();
  if (kind_ == StreamKind::kNonBlocking) return Enqueue(std::move(after), std::move(run));
  const std::lock_guard lock(device_.order_mutex);
  for (MarkerRef& marker : device_.Ordering(*this)) after.push_back(std::move(marker));
  return Enqueue(std::move(after), std::move(run));
}

void Stream::WaitForRoom() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return queue_.size() < kQueueDepth; });
}

MarkerRef Stream::Enqueue(Markers after, std::function<Status()> run) {
  auto done = std::make_shared<Marker>();
  const std::lock_guard lock(mutex_);
  tail_ = done;
  queue_.push_back({std::move(after), std::move(run), done});
  if (!started_) StartThread();
  changed_.notify_all();
  return done;
}

void Stream::StartThread() {
  started_ = true;
  char name[16];
  std::snprintf(name, sizeof name, "sim-stream-%u", static_cast<unsigned>(id_ % 1000));
  StartDeviceThread(name, [self = shared_from_this()] { self->Run(); });
}

void Stream::Run() {
  while (true) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Work work = std::move(queue_.front());
    queue_.pop_front();
    changed_.notify_all();
    lock.unlock();
    for (const MarkerRef& marker : work.after) marker->Wait();
    const Status status = RunGuarded(device_, work.run);
    work.done->Set(status);
  }
}

MarkerRef Stream::tail() const {
  const std::lock_guard lock(mutex_);
  return tail_;
}

bool Stream::idle() const {
  const MarkerRef last = tail();
  return last == nullptr || last->done();
}

Status Stream::Synchronize() const {
  if (const MarkerRef last = tail()) last->Wait();
  return device_.failure();
}

void Stream::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

StreamRef FindStream(CUstream handle, DefaultStream default_stream) {
  if (handle == nullptr) {
    handle = default_stream == DefaultStream::kLegacy ? CU_STREAM_LEGACY : CU_STREAM_PER_THREAD;
  }
  Context* context = CurrentContext();
  if (handle == CU_STREAM_LEGACY) return context == nullptr ? nullptr : context->null_stream();
  if (handle != CU_STREAM_PER_THREAD) return Streams().Find(handle);
  // Of green contexts the documentation says so; nothing needs an ordinary one's.
  if (context == nullptr || context->kind() != Context::Kind::kPrimary || thread_ends) {
    return nullptr;
  }
  Device& device = context->device();
  thread_local PerThreadStreams per_thread;
  StreamRef& stream = per_thread.streams[static_cast<size_t>(device.ordinal)];
  if (stream == nullptr) {
    stream = std::make_shared<Stream>(*context, StreamKind::kPerThread, 0);
    device.Register(stream);
  }
  return stream;
}

Status CreateStream(CUstream* out, Context& context, unsigned flags, int priority) {
  if (out == nullptr || (flags & ~static_cast<unsigned>(CU_STREAM_NON_BLOCKING)) != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  priority = std::min(0, std::max(kGreatestStreamPriority, priority));
  const StreamKind kind = flags == 0 ? StreamKind::kBlocking : StreamKind::kNonBlocking;
  auto stream = std::make_shared<Stream>(context, kind, priority);
  stream->device().Register(stream);
  *out = Streams().Add(std::move(stream));
  return kOk;
}

Status DestroyStream(CUstream handle) {
  const StreamRef stream = Streams().Remove(handle);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  AbandonCapture(*stream);
  stream->Close();
  return kOk;
}

Status StreamQuery(Stream& stream) {
  SIM_TRY(CheckNotCapturing(stream));
  SIM_TRY(stream.device().failure());
  return stream.idle() ? kOk : CUDA_ERROR_NOT_READY;
}

Status StreamSynchronize(Stream& stream) {
  SIM_TRY(CheckNotCapturing(stream));
  SIM_TRY(CheckUnsafeCall());
  return stream.Synchronize();
}

}  // namespace device_sim
