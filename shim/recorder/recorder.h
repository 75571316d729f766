// The facade through which the shim writes its process's trace file.
//
// Emit and Define are for any thread; WriteEvent and CountSnapshotDrops for drain sources while
// they are drained; the rest for the thread that opened the Recorder. Nothing throws to the caller,
// and errno is kept. After an internal failure, after Stop and in a forked child everything is a
// no-op.
#pragma once

#include <time.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

#include "shim/recorder/drain_thread.h"
#include "shim/recorder/fork_generation.h"
#include "shim/recorder/origin.h"
#include "shim/recorder/record_builder.h"
#include "shim/recorder/staging_ring.h"
#include "shim/recorder/thread_id.h"
#include "shim/recorder/trace_file.h"
#include "shim/trace_format.h"

namespace lamplight::shim {

class Recorder;

// Another source of events, polled by the drain thread. Outlives the Recorder.
class DrainSource {
 public:
  // Hands over what there is, by WriteEvent. Must not block.
  virtual void Drain(Recorder& recorder) = 0;

 protected:
  ~DrainSource() = default;
};

struct RecorderOptions {
  std::string directory;                   // created where missing
  uint64_t ring_bytes = 64ull << 20;       // rounded up to whole pages
  uint32_t staging_slots = 1u << 16;       // rounded up to a power of two
  std::chrono::microseconds period{5000};  // of the drain thread
  // The recording ends where the definitions, which are kept for ever, grow beyond it.
  uint64_t max_definition_bytes = 1ull << 30;
  // Told at most once, by any thread, why the trace is incomplete from here on.
  void (*on_error)(const char* reason) = nullptr;
};

// Invariants: one writer of the file's ring at a time (the drain thread while it runs, else the
// thread in Stop or DrainNow); only the process that opened the file writes to it.
class Recorder {
 public:
  static std::unique_ptr<Recorder> Open(const RecorderOptions& options,
                                        std::string* error) noexcept;
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  // Waits for the drain thread without a bound; a process about to exit calls Stop instead.
  ~Recorder();

  static uint64_t NowNs() noexcept {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
  }

  // An event, on its way through the staging ring. Sets the header; a time that is set is kept.
  template <class T>
  void Emit(trace::RecordType type, T& record) noexcept {
    static_assert(sizeof(T) <= StagingRing::kMaxRecordBytes);
    if (!Active()) return;
    FillHeader(type, record, CurrentThreadId());
    staging_.Push(&record, sizeof(T));
  }

  // A definition, in the file when this returns. Sets the header; a time that is set is kept.
  template <class T>
  void Define(trace::RecordType type, T& record) noexcept {
    FillHeader(type, record, CurrentThreadId());
    Append(&record.header);
  }
  template <class T>
  void Define(RecordBuilder<T>& builder) noexcept {
    trace::RecordHeader* header = builder.Finish();
    CompleteHeader(*header, CurrentThreadId());
    Append(header);
  }

  // False: there are too many sources.
  bool AddSource(DrainSource* source) noexcept;
  // From inside DrainSource::Drain: an event of no thread, straight into the file's ring.
  template <class T>
  void WriteEvent(trace::RecordType type, T& record) noexcept {
    FillHeader(type, record, record.header.tid);
    WriteToRing(&record.header);
  }
  // From inside DrainSource::Drain: so many snapshots more were lost.
  void CountSnapshotDrops(uint64_t more) noexcept;

  // Starts the drain thread.
  bool Start(std::string* error) noexcept;
  // One round of the drain on the calling thread, where Start was not called.
  void DrainNow() noexcept;
  // Drains once more, marks the trace as closed and ends the thread, within a bounded time. What
  // other threads record meanwhile may be lost.
  void Stop() noexcept;

  // From any thread: nothing is taken any more. What was staged is drained yet, by the thread.
  void Close() noexcept { closing_.store(true, std::memory_order_release); }

  // False after a failure, after Stop and in a forked child.
  bool Active() const noexcept {
    return open_.load(std::memory_order_relaxed) && generation_ == ForkGeneration();
  }
  const std::string& path() const { return file_->path(); }
  uint64_t dropped_events() const noexcept { return staging_.dropped(); }

 private:
  static constexpr size_t kMaxSources = 64;

  Recorder(const RecorderOptions& options, std::unique_ptr<TraceFile> file);

  template <class T>
  static void FillHeader(trace::RecordType type, T& record, uint32_t tid) noexcept {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % trace::kRecordAlign == 0 &&
                  sizeof(T) <= trace::kMaxRecordBytes);
    record.header.bytes = sizeof(T);
    record.header.type = static_cast<uint16_t>(type);
    CompleteHeader(record.header, tid);
  }
  static void CompleteHeader(trace::RecordHeader& header, uint32_t tid) noexcept {
    header.crc = 0;
    header.flags = Through::Flags();
    header.tid = tid;
    if (header.time_ns == 0) header.time_ns = NowNs();
  }

  void Append(trace::RecordHeader* record) noexcept;
  void WriteToRing(trace::RecordHeader* record) noexcept;
  static bool RunRound(void* recorder) noexcept;
  bool Round() noexcept;  // false: the file is lost
  void DrainStaging() noexcept;
  void DrainSources() noexcept;
  void WriteAnchorWhenDue(uint64_t now) noexcept;
  void Report(const char* reason) noexcept;
  void Fail(const char* reason) noexcept;
  bool OwnProcess() const noexcept;

  const std::chrono::microseconds period_;
  void (*const on_error_)(const char*);
  const uint32_t generation_;
  const int pid_;
  std::atomic<bool> open_{true};
  std::atomic<bool> closing_{false};
  std::atomic<bool> stopped_{false};
  std::atomic<bool> reported_{false};
  std::unique_ptr<TraceFile> file_;
  DrainThread thread_;
  StagingRing staging_;
  uint64_t next_anchor_ns_ = 0;
  uint64_t snapshots_dropped_ = 0;
  std::atomic<uint32_t> sources_added_{0};
  std::array<std::atomic<DrainSource*>, kMaxSources> sources_{};
};

}  // namespace lamplight::shim
