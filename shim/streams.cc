// Stream identities, and what may be asked of the host's streams.
#include "shim/streams.h"

#include <time.h>

#include <memory>
#include <new>

#include "shim/contexts.h"
#include "shim/no_cancel.h"
#include "shim/trace_format.h"

namespace lamplight::shim {
namespace {

// Of a driver that does not tell, or of a green one, it is the one that is current: mostly so.
CUcontext ContextOf(const DriverApi& driver, CUstream stream) noexcept {
  CUcontext context = nullptr;
  CUgreenCtx green = nullptr;
  if (driver.StreamGetCtx != nullptr &&
      driver.StreamGetCtx(stream, &context, &green) == CUDA_SUCCESS && green == nullptr) {
    return context;
  }
  return driver.CtxGetCurrent(&context) == CUDA_SUCCESS ? context : nullptr;
}

}  // namespace

CUstream DriverStream(cudaStream_t stream, bool per_thread) noexcept {
  if (stream != nullptr) return stream;
  return per_thread ? CU_STREAM_PER_THREAD : CU_STREAM_LEGACY;
}

uint32_t Streams::Id(CUstream stream) noexcept {
  const Entry* entry = entries_.Find(stream);
  const uint32_t id = entry == nullptr ? 0 : entry->id.load(std::memory_order_acquire);
  return id != 0 ? id : Learn(stream);
}

uint32_t Streams::Learn(CUstream stream) noexcept try {
  const NoCancel no_cancel;  // a launch comes here without a guard
  Entry& entry = At(stream);
  if (!entry.asked.load(std::memory_order_acquire)) Ask(entry);
  return Define(entry);
} catch (const std::bad_alloc&) {  // it will be asked anew
  return 0;
}

Streams::Entry& Streams::At(CUstream stream) {
  Entry* entry = entries_.Find(stream);
  if (entry != nullptr) return *entry;
  auto added = std::make_unique<Entry>(stream);
  entry = entries_.Add(stream, added.get());
  if (entry == added.get()) static_cast<void>(added.release());
  return *entry;
}

// What can be told of the stream, of which these flags are known.
void Streams::Note(Entry& entry, uint32_t flags) noexcept {
  const CUcontext context = ContextOf(driver_, entry.stream);
  unsigned long long id = 0;
  const bool told = context != nullptr && driver_.CtxGetId(context, &id) == CUDA_SUCCESS;
  entry.context_id.store(id, std::memory_order_relaxed);
  entry.context.store(told ? context : nullptr, std::memory_order_relaxed);
  entry.flags.store(flags, std::memory_order_relaxed);
  entry.share.store(NameGreenContext(driver_, entry.stream), std::memory_order_relaxed);
  entry.asked.store(true, std::memory_order_release);
}

// A stream that was made before the session began, or that is no one's to make. Asking one that is
// being captured for its flags breaks the capture (seen with driver 580).
void Streams::Ask(Entry& entry) noexcept {
  if (entry.stream == CU_STREAM_LEGACY || entry.stream == CU_STREAM_PER_THREAD) {
    const bool legacy = entry.stream == CU_STREAM_LEGACY;
    entry.flags = legacy ? trace::kStreamLegacy : trace::kStreamPerThread;
    entry.asked.store(true, std::memory_order_release);
    return;
  }
  CUstreamCaptureStatus capture = CU_STREAM_CAPTURE_STATUS_ACTIVE;
  unsigned flags = 0;
  if (driver_.StreamIsCapturing(entry.stream, &capture) != CUDA_SUCCESS ||
      capture != CU_STREAM_CAPTURE_STATUS_NONE ||
      driver_.StreamGetFlags(entry.stream, &flags) != CUDA_SUCCESS) {
    entry.flags = trace::kStreamUnknownFlags;
    return;
  }
  Note(entry, (flags & CU_STREAM_NON_BLOCKING) != 0 ? trace::kStreamNonBlocking : 0);
}

void Streams::Created(CUstream stream, unsigned flags) noexcept try {
  Entry& entry = At(stream);
  entry.id.store(0, std::memory_order_release);
  Note(entry, (flags & CU_STREAM_NON_BLOCKING) != 0 ? trace::kStreamNonBlocking : 0);
} catch (const std::bad_alloc&) {  // it will be asked
}

// What is not known yet, of a stream that was first used in a capture, is asked for.
uint32_t Streams::Share(CUstream stream) noexcept {
  Entry* entry = entries_.Find(stream);
  if (entry == nullptr) {
    Id(stream);
    entry = entries_.Find(stream);
  }
  if (entry == nullptr) return 0;
  if (!entry->asked.load(std::memory_order_acquire)) Ask(*entry);
  return entry->share.load(std::memory_order_relaxed);
}

// Of two threads that use it first at the same time, one has defined it once too often.
uint32_t Streams::Define(Entry& entry) noexcept {
  const uint32_t own = next_id_.fetch_add(1, std::memory_order_relaxed);
  trace::Stream record{};
  record.stream_id = own;
  record.flags = entry.flags.load(std::memory_order_relaxed);
  record.handle = reinterpret_cast<uint64_t>(entry.stream);
  recorder_.Define(trace::RecordType::kStream, record);
  uint32_t id = 0;
  return entry.id.compare_exchange_strong(id, own, std::memory_order_acq_rel) ? own : id;
}

void Streams::Destroyed(CUstream stream) noexcept {
  Entry* entry = entries_.Find(stream);
  if (entry == nullptr) return;
  entry->asked.store(false, std::memory_order_relaxed);
  const uint32_t id = entry->id.exchange(0, std::memory_order_acq_rel);
  if (id == 0) return;
  AwaitQuery([entry](const Entry* queried) { return queried == entry; });
  trace::Destroy record{};
  record.kind = static_cast<uint32_t>(trace::Handle::kStream);
  record.id = id;
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
  Entry* entry = nullptr;
  entries_.ForEach([&](Entry& known) {
    if (known.id.load(std::memory_order_acquire) == id) entry = &known;
  });
  if (id == 0 || entry == nullptr || entry->stream == CU_STREAM_PER_THREAD) return std::nullopt;
  queried_.exchange(entry, std::memory_order_acq_rel);
  std::optional<bool> done;
  CUstreamCaptureStatus capture = CU_STREAM_CAPTURE_STATUS_NONE;
  uint32_t now = entry->id.load(std::memory_order_acquire);
  if (now == id && !AnyCapture()) {
    if (!ContextLives(*entry)) {
      entry->asked.store(false, std::memory_order_relaxed);
      entry->id.compare_exchange_strong(now, 0, std::memory_order_acq_rel);
    } else if (driver_.StreamIsCapturing(entry->stream, &capture) == CUDA_SUCCESS &&
               capture == CU_STREAM_CAPTURE_STATUS_NONE) {
      const CUresult result = driver_.StreamQuery(entry->stream);
      if (result == CUDA_SUCCESS) done = true;
      if (result == CUDA_ERROR_NOT_READY) done = false;
    }
  }
  queried_.store(nullptr, std::memory_order_release);
  return done;
}

// With its context a stream goes, too, and its handle is nobody's then.
bool Streams::ContextLives(const Entry& entry) const noexcept {
  const CUcontext context = entry.context.load(std::memory_order_relaxed);
  unsigned long long id = 0;
  return context == nullptr || (driver_.CtxGetId(context, &id) == CUDA_SUCCESS &&
                                id == entry.context_id.load(std::memory_order_relaxed));
}

bool Streams::IsCapturing(CUstream stream) const noexcept {
  if (!AnyCapture()) return false;
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  if (driver_.StreamIsCapturing(stream, &status) != CUDA_SUCCESS) return false;
  return status != CU_STREAM_CAPTURE_STATUS_NONE;
}

}  // namespace lamplight::shim
