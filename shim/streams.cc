// Stream identities. Entries are a few bytes and are never freed: a racing reader may hold one.
#include "shim/streams.h"

#include <time.h>

#include <new>

#include "shim/contexts.h"
#include "shim/trace_format.h"

namespace lamplight::shim {

CUstream DriverStream(cudaStream_t stream, bool per_thread) noexcept {
  if (stream != nullptr) return stream;
  return per_thread ? CU_STREAM_PER_THREAD : CU_STREAM_LEGACY;
}

uint32_t Streams::Id(CUstream stream) noexcept {
  if (const Entry* entry = entries_.Find(stream)) return entry->id;
  if (stream == CU_STREAM_LEGACY) return Define(stream, trace::kStreamLegacy)->id;
  if (stream == CU_STREAM_PER_THREAD) return Define(stream, trace::kStreamPerThread)->id;
  // Created before the session began. Asking a stream that is being captured for its flags breaks
  // the capture (seen with driver 580).
  CUstreamCaptureStatus capture = CU_STREAM_CAPTURE_STATUS_ACTIVE;
  unsigned flags = 0;
  if (driver_.StreamIsCapturing(stream, &capture) != CUDA_SUCCESS ||
      capture != CU_STREAM_CAPTURE_STATUS_NONE ||
      driver_.StreamGetFlags(stream, &flags) != CUDA_SUCCESS) {
    return Define(stream, trace::kStreamUnknownFlags)->id;
  }
  const uint32_t kind = (flags & CU_STREAM_NON_BLOCKING) != 0 ? trace::kStreamNonBlocking : 0;
  return Define(stream, kind, NameGreenContext(driver_, stream))->id;
}

void Streams::Created(CUstream stream, unsigned flags) noexcept {
  const uint32_t kind = (flags & CU_STREAM_NON_BLOCKING) != 0 ? trace::kStreamNonBlocking : 0;
  Define(stream, kind, NameGreenContext(driver_, stream));
}

uint32_t Streams::Share(CUstream stream) noexcept {
  const Entry* entry = entries_.Find(stream);
  // The host may have made it by the driver. In a capture it cannot be asked for what it is, and
  // what is not known then would be so for good.
  if (entry == nullptr && !IsCapturing(stream)) {
    Id(stream);
    entry = entries_.Find(stream);
  }
  return entry == nullptr ? 0 : entry->share;
}

Streams::Entry* Streams::Define(CUstream stream, uint32_t flags, uint32_t share) noexcept {
  static Entry none{0, nullptr, 0};
  auto* entry =
      new (std::nothrow) Entry{next_id_.fetch_add(1, std::memory_order_relaxed), stream, share};
  if (entry == nullptr) return &none;
  trace::Stream record{};
  record.stream_id = entry->id;
  record.flags = flags;
  record.handle = reinterpret_cast<uint64_t>(stream);
  recorder_.Define(trace::RecordType::kStream, record);
  try {
    entries_.Insert(stream, entry);
  } catch (const std::bad_alloc&) {  // it will be defined anew
  }
  return entry;
}

void Streams::Destroyed(CUstream stream) noexcept {
  const Entry* entry = entries_.Erase(stream);
  if (entry == nullptr) return;
  AwaitQuery([entry](const Entry* queried) { return queried == entry; });
  trace::Destroy record{};
  record.kind = static_cast<uint32_t>(trace::Handle::kStream);
  record.id = entry->id;
  recorder_.Emit(trace::RecordType::kDestroy, record);
}

template <class F>
void Streams::AwaitQuery(F concerns) noexcept {
  // A query that takes longer is stuck in the driver, and so would the host's own call be.
  constexpr timespec kPause{0, 100'000};
  constexpr int kPauses = 200;
  for (int i = 0; i < kPauses; ++i) {
    // An exchange with itself, so that a later one in Done comes after what this thread has erased.
    const Entry* queried = queried_.fetch_add(0, std::memory_order_acq_rel);
    if (queried == nullptr || !concerns(queried)) return;
    nanosleep(&kPause, nullptr);
  }
}

void Streams::CaptureBegins() noexcept {
  captures_.fetch_add(1, std::memory_order_relaxed);
  AwaitQuery([](const Entry*) { return true; });
}

// The host's side erases (or counts) first and looks for a query then; this side the other way
// round. Both look by an exchange of one variable: the one that is later sees the other.
std::optional<bool> Streams::Done(uint32_t id) noexcept {
  const Entry* entry = nullptr;
  entries_.ForEach([&](const Entry& known) {
    if (known.id == id) entry = &known;
  });
  if (entry == nullptr || entry->stream == CU_STREAM_PER_THREAD) return std::nullopt;
  queried_.exchange(entry, std::memory_order_acq_rel);
  std::optional<bool> done;
  CUstreamCaptureStatus capture = CU_STREAM_CAPTURE_STATUS_NONE;
  if (entries_.Find(entry->stream) == entry && !AnyCapture() &&
      driver_.StreamIsCapturing(entry->stream, &capture) == CUDA_SUCCESS &&
      capture == CU_STREAM_CAPTURE_STATUS_NONE) {
    const CUresult result = driver_.StreamQuery(entry->stream);
    if (result == CUDA_SUCCESS) done = true;
    if (result == CUDA_ERROR_NOT_READY) done = false;
  }
  queried_.store(nullptr, std::memory_order_release);
  return done;
}

bool Streams::IsCapturing(CUstream stream) const noexcept {
  if (!AnyCapture()) return false;
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  if (driver_.StreamIsCapturing(stream, &status) != CUDA_SUCCESS) return false;
  return status != CU_STREAM_CAPTURE_STATUS_NONE;
}

}  // namespace lamplight::shim
