// Order records.
#include "shim/hooks/order.h"

#include <optional>

#include "shim/hooks/guard.h"

namespace lamplight::shim::hooks {
namespace {

constexpr EventCall kNoEvent{0, 0};

Session* Recording() {
  Session* session = Session::Running();
  return session != nullptr && session->workspaces().any() ? session : nullptr;
}

// The current device's ordinal; a sync concerns it alone.
uint32_t DeviceOf(const Session& session) {
  CUdevice device = 0;
  const bool told = session.driver().CtxGetDevice(&device) == CUDA_SUCCESS;
  return told ? static_cast<uint32_t>(device) : trace::kNoId;
}

void Emit(Session& session, trace::OrderKind kind, uint32_t stream_id, EventCall event) {
  trace::Order record{};
  record.kind = static_cast<uint32_t>(kind);
  record.stream_id = stream_id;
  record.event_id = event.event_id;
  record.serial = event.serial;
  record.device_id = DeviceOf(session);
  session.recorder().Emit(trace::RecordType::kOrder, record);
}

}  // namespace

void StreamCreated(cudaStream_t stream, unsigned flags) noexcept {
  Guarded([&] {
    Session* session = Session::Standing();
    if (session == nullptr) return;
    session->streams().Created(stream, flags);
    // Ahead of the device's first collective, which may have to wait for it.
    if (session == Session::Running()) session->CurrentDevice();
  });
}

void StreamDestroying(cudaStream_t stream) noexcept {
  Guarded([&] {
    if (Session* session = Session::Standing()) session->streams().Destroyed(stream);
  });
}

void EventRecorded(cudaEvent_t event, cudaStream_t stream, bool per_thread) noexcept {
  Guarded([&] {
    Session* session = Recording();
    if (session == nullptr) return;
    const EventCall call = session->events().Recorded(event);
    const CUstream driver_stream = DriverStream(stream, per_thread);
    if (session->streams().IsCapturing(driver_stream)) return;
    Emit(*session, trace::OrderKind::kEventRecord, session->streams().Id(driver_stream), call);
  });
}

void EventDestroying(cudaEvent_t event) noexcept {
  Guarded([&] {
    if (Session* session = Session::Running()) session->events().Destroyed(event);
  });
}

void StreamWaits(cudaStream_t stream, cudaEvent_t event, bool per_thread) noexcept {
  Guarded([&] {
    Session* session = Recording();
    if (session == nullptr) return;
    const std::optional<EventCall> call = session->events().Newest(event);
    if (!call) return;
    const CUstream driver_stream = DriverStream(stream, per_thread);
    if (session->streams().IsCapturing(driver_stream)) return;
    Emit(*session, trace::OrderKind::kStreamWait, session->streams().Id(driver_stream), *call);
  });
}

void StreamDone(cudaStream_t stream, bool per_thread) noexcept {
  Guarded([&] {
    Session* session = Recording();
    if (session == nullptr) return;
    const uint32_t id = session->streams().Id(DriverStream(stream, per_thread));
    Emit(*session, trace::OrderKind::kStreamSync, id, kNoEvent);
  });
}

void EventDone(cudaEvent_t event) noexcept {
  Guarded([&] {
    Session* session = Recording();
    if (session == nullptr) return;
    const std::optional<EventCall> call = session->events().Newest(event);
    if (call) Emit(*session, trace::OrderKind::kEventSync, 0, *call);
  });
}

void DeviceDone() noexcept {
  Guarded([] {
    if (Session* session = Recording()) {
      Emit(*session, trace::OrderKind::kDeviceSync, 0, kNoEvent);
    }
  });
}

}  // namespace lamplight::shim::hooks
