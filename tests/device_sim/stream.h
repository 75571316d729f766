// A stream: work in order on a thread of its own.
//
// Thread-safe. The thread starts with the first work and ends when the stream is closed and empty.
#pragma once

#include <cuda.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/device_sim/capture_tip.h"
#include "tests/device_sim/handle_table.h"
#include "tests/device_sim/marker.h"

namespace device_sim {

inline constexpr int kGreatestStreamPriority = -5;

class Context;
struct Device;
struct Capture;

// Legacy and per-thread streams are the default streams; a non-blocking one ignores the legacy one.
enum class StreamKind { kBlocking, kNonBlocking, kLegacy, kPerThread };
// What stream handle 0 means to the entry that got it.
enum class DefaultStream { kLegacy, kPerThread };

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(Context& context, StreamKind kind, int priority);

  // Appends work that starts after all earlier work of the stream, after `after`, and, by the rules
  // of the legacy stream, after other streams. Blocks while the queue is full, as a real one does.
  MarkerRef Submit(Markers after, std::function<Status()> run);
  // The newest work; null before the first.
  MarkerRef tail() const;
  bool idle() const;
  Status Synchronize() const;
  // No more work will come.
  void Close();

  Context& context() const { return context_; }
  Device& device() const { return device_; }
  StreamKind kind() const { return kind_; }
  int priority() const { return priority_; }
  uint64_t id() const { return id_; }
  unsigned flags() const;

  // Capture state: guarded by TopologyMutex(), but for the flag, which only that lock's holder
  // sets.
  std::atomic<bool> capturing{false};
  std::shared_ptr<Capture> capture;
  std::vector<CaptureTip> tips;
  std::vector<CUgraphNode> reported_tips;  // what StreamGetCaptureInfo last pointed to
  std::vector<CUgraphEdgeData> reported_edges;

 private:
  struct Work {
    Markers after;
    std::function<Status()> run;
    MarkerRef done;
  };

  void WaitForRoom();
  MarkerRef Enqueue(Markers after, std::function<Status()> run);
  void StartThread();
  void Run();

  Context& context_;
  Device& device_;
  const StreamKind kind_;
  const int priority_;
  const uint64_t id_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> queue_;
  MarkerRef tail_;
  bool started_ = false;
  bool closed_ = false;
};

using StreamRef = std::shared_ptr<Stream>;
using StreamTable = HandleTable<Stream, CUstream>;
StreamTable& Streams();

// Null where the handle is not live. Needs a current context for the default streams.
StreamRef FindStream(CUstream handle, DefaultStream default_stream);

Status CreateStream(CUstream* out, Context& context, unsigned flags, int priority);
Status DestroyStream(CUstream handle);
Status StreamQuery(Stream& stream);
Status StreamSynchronize(Stream& stream);

}  // namespace device_sim
