// The host's streams under ids of our own, because handles are reused.
//
// Id is wait-free for a known stream. A stream is defined in the trace when first used: some hosts
// make streams without end.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <optional>

#include "shim/driver_api.h"
#include "shim/handle_map.h"
#include "shim/recorder/recorder.h"

namespace lamplight::shim {

// The driver's name for a stream argument of the runtime: null means the legacy stream, or the
// per-thread one in the runtime's `_ptsz` entry points.
CUstream DriverStream(cudaStream_t stream, bool per_thread) noexcept;

class Streams {
 public:
  Streams(const DriverApi& driver, Recorder& recorder) : driver_(driver), recorder_(recorder) {}

  uint32_t Id(CUstream stream) noexcept;
  // Created with these cudaStreamCreate flags, in the current context.
  void Created(CUstream stream, unsigned flags) noexcept;
  void Destroyed(CUstream stream) noexcept;
  // Multiprocessors of the green context that the stream is of; 0: it is of none, or not known.
  uint32_t Share(CUstream stream) noexcept;

  // Whether all work on the stream is complete; nothing where it cannot be asked: it is gone, a
  // thread's own default stream, or something is being captured. For the probe thread alone.
  std::optional<bool> Done(uint32_t id) noexcept;

  // Captures in progress, so that launches look up capture state only when there are any. Called
  // ahead of the host's own call: a query of a stream that is captured would break the capture.
  void CaptureBegins() noexcept;
  void CaptureEnded() noexcept { captures_.fetch_sub(1, std::memory_order_relaxed); }
  // The same for calls that may take contexts away, and the streams in them.
  void HoldQueries() noexcept { CaptureBegins(); }
  void ReleaseQueries() noexcept { CaptureEnded(); }
  bool AnyCapture() const noexcept { return captures_.load(std::memory_order_relaxed) > 0; }
  bool IsCapturing(CUstream stream) const noexcept;

 private:
  // Of a handle. It stays, as the driver uses handles again and readers may hold it: a host that
  // makes streams without end needs no memory of ours without end.
  struct Entry {
    explicit Entry(CUstream handle) : stream(handle) {}
    const CUstream stream;
    std::atomic<uint32_t> id{0};     // of the stream that has the handle now, 0: not used yet
    std::atomic<bool> asked{false};  // what follows is known
    std::atomic<uint32_t> flags{0};  // trace::kStream…
    std::atomic<uint32_t> share{0};
    std::atomic<CUcontext> context{nullptr};  // null: not known
    std::atomic<unsigned long long> context_id{0};
  };
  // Waits, bounded, until Done no longer asks for a stream that `concerns` holds for.
  template <class F>
  void AwaitQuery(F concerns) noexcept;
  Entry& At(CUstream stream);
  void Note(Entry& entry, uint32_t flags) noexcept;
  void Ask(Entry& entry) noexcept;
  uint32_t Learn(CUstream stream) noexcept;
  uint32_t Define(Entry& entry) noexcept;
  bool ContextLives(const Entry& entry) const noexcept;

  const DriverApi& driver_;
  Recorder& recorder_;
  HandleMap<Entry> entries_;
  std::atomic<uint32_t> next_id_{1};
  std::atomic<int> captures_{0};
  std::atomic<const Entry*> queried_{nullptr};  // by Done, right now
};

}  // namespace lamplight::shim
