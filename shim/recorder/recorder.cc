// Opening, the drain's rounds, and the end of a recording.
#include "shim/recorder/recorder.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <exception>
#include <utility>

namespace lamplight::shim {
namespace {

constexpr uint64_t kAnchorPeriodNs = 1'000'000'000;
constexpr uint64_t kTouchedAhead = 4096;  // slots, 1 MiB
constexpr std::chrono::milliseconds kStopBound{2000};

class ErrnoGuard {
 public:
  ErrnoGuard() : saved_(errno) {}
  ~ErrnoGuard() { errno = saved_; }
  ErrnoGuard(const ErrnoGuard&) = delete;
  ErrnoGuard& operator=(const ErrnoGuard&) = delete;

 private:
  const int saved_;
};

uint64_t RealtimeNs() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

// Both clocks at one moment, as nearly as they can be read.
trace::ClockAnchor MakeAnchor() {
  trace::ClockAnchor anchor{};
  const uint64_t before = Recorder::NowNs();
  anchor.realtime_ns = RealtimeNs();
  anchor.monotonic_ns = before + (Recorder::NowNs() - before) / 2;
  anchor.device_id = trace::kNoId;
  anchor.header.time_ns = anchor.monotonic_ns;
  return anchor;
}

void Publish(uint64_t& field, uint64_t value) {
  std::atomic_ref(field).store(value, std::memory_order_release);
}

}  // namespace

std::unique_ptr<Recorder> Recorder::Open(const RecorderOptions& options,
                                         std::string* error) noexcept {
  const ErrnoGuard guard;
  try {
    if (!WatchForks()) throw std::bad_alloc();
    auto file = TraceFile::Create(options.directory, options.ring_bytes, error);
    if (file == nullptr) return nullptr;
    file->LimitDefinitions(options.max_definition_bytes);
    std::unique_ptr<Recorder> recorder(new Recorder(options, std::move(file)));
    const uint32_t slots =
        std::clamp(options.staging_slots, StagingRing::kMinSlots, StagingRing::kMaxSlots);
    if (!recorder->staging_.Allocate(std::bit_ceil(slots), error)) return nullptr;
    trace::ClockAnchor anchor = MakeAnchor();
    recorder->Define(trace::RecordType::kClockAnchor, anchor);
    return recorder;
  } catch (const std::exception& failure) {
    error->assign(failure.what());
    return nullptr;
  }
}

Recorder::Recorder(const RecorderOptions& options, std::unique_ptr<TraceFile> file)
    : period_(options.period),
      on_error_(options.on_error),
      generation_(ForkGeneration()),
      pid_(getpid()),
      file_(std::move(file)) {}

Recorder::~Recorder() {
  Stop();
  if (OwnProcess()) thread_.Join();
}

bool Recorder::AddSource(DrainSource* source) noexcept {
  const uint32_t index = sources_added_.fetch_add(1, std::memory_order_relaxed);
  if (index >= kMaxSources) return false;
  sources_[index].store(source, std::memory_order_release);
  return true;
}

void Recorder::CountSnapshotDrops(uint64_t more) noexcept {
  snapshots_dropped_ += more;
  Publish(file_->header().snapshots_dropped, snapshots_dropped_);
}

bool Recorder::Start(std::string* error) noexcept {
  const ErrnoGuard guard;
  if (!Active() || thread_.running()) {
    error->assign(Active() ? "the drain thread runs already" : "the recording has ended");
    return false;
  }
  return thread_.Start(RunRound, this, period_, error);
}

void Recorder::DrainNow() noexcept {
  const ErrnoGuard guard;
  if (Active()) Round();
}

void Recorder::Stop() noexcept {
  const ErrnoGuard guard;
  if (stopped_.exchange(true) || !OwnProcess()) return;
  const bool healthy = open_.exchange(false);
  if (!thread_.Stop(kStopBound) || !healthy) return;
  if (!Round()) return;
  // A producer that died half-way holds back the records behind it.
  Publish(file_->header().events_dropped, staging_.dropped() + staging_.Pending());
  Publish(file_->header().closed_ns, NowNs());
}

void Recorder::Append(trace::RecordHeader* record) noexcept {
  // A process made by a bare clone() has the parent's generation.
  if (!Active() || closing_.load(std::memory_order_acquire) || !OwnProcess()) return;
  const ErrnoGuard guard;
  try {
    std::string error;
    if (const char* lost = file_->Lost()) return Fail(lost);
    if (!file_->AppendDefinition(record, &error)) Report(error.c_str());
  } catch (const std::exception& failure) {
    Fail(failure.what());
  }
}

void Recorder::WriteToRing(trace::RecordHeader* record) noexcept { file_->ring().Write(record); }

bool Recorder::RunRound(void* recorder) noexcept {
  auto* self = static_cast<Recorder*>(recorder);
  const bool last = self->closing_.load(std::memory_order_acquire);
  if (self->Active()) self->Round();
  if (last) self->open_.store(false, std::memory_order_relaxed);
  return self->Active();
}

// Sources before the staging ring: a launch is staged before the GPU can report its snapshot, so a
// finished round leaves no snapshot without its launch.
bool Recorder::Round() noexcept {
  if (const char* lost = file_->Lost()) {
    Fail(lost);
    return false;
  }
  const uint64_t now = NowNs();
  WriteAnchorWhenDue(now);
  DrainSources();
  DrainStaging();
  staging_.TouchAhead(kTouchedAhead);
  Publish(file_->header().events_dropped, staging_.dropped());
  Publish(file_->header().last_drain_ns, now);
  return true;
}

void Recorder::WriteAnchorWhenDue(uint64_t now) noexcept {
  if (now < next_anchor_ns_) return;
  next_anchor_ns_ = now + kAnchorPeriodNs;
  trace::ClockAnchor anchor = MakeAnchor();
  WriteEvent(trace::RecordType::kClockAnchor, anchor);
}

void Recorder::DrainSources() noexcept {
  try {
    for (auto& source : sources_) {
      if (DrainSource* added = source.load(std::memory_order_acquire)) added->Drain(*this);
    }
  } catch (...) {
    Fail("a drain source failed");
  }
}

// No more than was there at first: the sources must have their turn.
void Recorder::DrainStaging() noexcept {
  alignas(trace::RecordHeader) unsigned char record[StagingRing::kMaxRecordBytes];
  for (uint64_t left = staging_.Pending(); left > 0 && staging_.Pop(record); --left) {
    // Before the record: a gap in the file is counted in the file, wherever the process dies.
    Publish(file_->header().events_dropped, staging_.dropped());
    WriteToRing(reinterpret_cast<trace::RecordHeader*>(record));
  }
}

void Recorder::Report(const char* reason) noexcept {
  if (on_error_ != nullptr && !reported_.exchange(true)) on_error_(reason);
}

void Recorder::Fail(const char* reason) noexcept {
  open_.store(false, std::memory_order_relaxed);
  Report(reason);
}

bool Recorder::OwnProcess() const noexcept { return getpid() == pid_; }

}  // namespace lamplight::shim
