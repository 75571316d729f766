// Thread-safe: one lock per event; capture state under TopologyMutex().
#include "tests/device_sim/event.h"

#include "tests/device_sim/capture.h"
#include "tests/device_sim/context.h"
#include "tests/device_sim/device.h"
#include "tests/device_sim/submit.h"

namespace device_sim {
namespace {

constexpr unsigned kFlags =
    CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;

Status FindReadable(CUevent handle, EventRef* event) {
  *event = Events().Find(handle);
  if (*event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if ((*event)->captured()) return CUDA_ERROR_CAPTURED_EVENT;
  return CheckUnsafeCall();
}

}  // namespace

EventTable& Events() {
  static EventTable& table = *new EventTable;
  return table;
}

Status CreateEvent(CUevent* out, unsigned flags) {
  if (out == nullptr || (flags & ~kFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  if ((flags & CU_EVENT_INTERPROCESS) != 0 && (flags & CU_EVENT_DISABLE_TIMING) == 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  *out = Events().Add(std::make_shared<Event>(CurrentContext()->memory(), flags));
  return kOk;
}

Status DestroyEvent(CUevent handle) {
  return Events().Remove(handle) == nullptr ? CUDA_ERROR_INVALID_HANDLE : kOk;
}

Status RecordEvent(CUevent handle, Stream& stream, bool external) {
  const EventRef event = Events().Find(handle);
  if (event == nullptr || &event->context != &stream.context().memory()) {
    return CUDA_ERROR_INVALID_HANDLE;
  }
  if (stream.capturing) {
    return external ? Submit(stream, EventRecordCall{event}) : CaptureEventRecord(stream, *event);
  }
  SIM_TRY(CheckLegacyUse(stream));
  event->Record(stream.Submit({}, [] { return kOk; }));
  return kOk;
}

Status WaitEvent(Stream& stream, CUevent handle, bool external) {
  const EventRef event = Events().Find(handle);
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (stream.capturing && external) return Submit(stream, EventWaitCall{event});
  if (event->captured()) return JoinCapture(stream, *event);
  if (stream.capturing) return RefuseIsolatedWait(stream);
  SIM_TRY(CheckLegacyUse(stream));
  if (MarkerRef marker = event->marker()) {
    stream.Submit({std::move(marker)}, [] { return kOk; });
  }
  return kOk;
}

Status QueryEvent(CUevent handle) {
  EventRef event;
  SIM_TRY(FindReadable(handle, &event));
  const MarkerRef marker = event->marker();
  if (marker == nullptr) return kOk;
  return marker->done() ? marker->status() : CUDA_ERROR_NOT_READY;
}

Status SynchronizeEvent(CUevent handle) {
  EventRef event;
  SIM_TRY(FindReadable(handle, &event));
  const MarkerRef marker = event->marker();
  if (marker == nullptr) return kOk;
  marker->Wait();
  return marker->status();
}

Status ElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  const EventRef first = Events().Find(start);
  const EventRef last = Events().Find(end);
  if (first == nullptr || last == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (((first->flags | last->flags) & CU_EVENT_DISABLE_TIMING) != 0) {
    return CUDA_ERROR_INVALID_HANDLE;
  }
  const MarkerRef from = first->marker();
  const MarkerRef to = last->marker();
  if (milliseconds == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (from == nullptr || to == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (!from->done() || !to->done()) return CUDA_ERROR_NOT_READY;
  const auto elapsed = static_cast<int64_t>(to->time_ns() - from->time_ns());
  *milliseconds = static_cast<float>(static_cast<double>(elapsed) / 1e6);
  return kOk;
}

}  // namespace device_sim
