// Stream identities. Entries are a few bytes and are never freed: a racing reader may hold one.
#include "shim/streams.h"

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
  // Created before the session began.
  unsigned flags = 0;
  if (driver_.StreamGetFlags(stream, &flags) != CUDA_SUCCESS) {
    return Define(stream, trace::kStreamUnknownFlags)->id;
  }
  return Define(stream, (flags & CU_STREAM_NON_BLOCKING) != 0 ? trace::kStreamNonBlocking : 0)->id;
}

void Streams::Created(CUstream stream, unsigned flags) noexcept {
  Define(stream, (flags & CU_STREAM_NON_BLOCKING) != 0 ? trace::kStreamNonBlocking : 0);
}

Streams::Entry* Streams::Define(CUstream stream, uint32_t flags) noexcept {
  auto* entry = new Entry{next_id_.fetch_add(1, std::memory_order_relaxed)};
  trace::Stream record{};
  record.stream_id = entry->id;
  record.flags = flags;
  record.handle = reinterpret_cast<uint64_t>(stream);
  recorder_.Define(trace::RecordType::kStream, record);
  entries_.Insert(stream, entry);
  return entry;
}

void Streams::Destroyed(CUstream stream) noexcept {
  const Entry* entry = entries_.Erase(stream);
  if (entry == nullptr) return;
  trace::Destroy record{};
  record.kind = static_cast<uint32_t>(trace::Handle::kStream);
  record.id = entry->id;
  recorder_.Emit(trace::RecordType::kDestroy, record);
}

bool Streams::IsCapturing(CUstream stream) const noexcept {
  if (!AnyCapture()) return false;
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  if (driver_.StreamIsCapturing(stream, &status) != CUDA_SUCCESS) return false;
  return status != CU_STREAM_CAPTURE_STATUS_NONE;
}

}  // namespace lamplight::shim
