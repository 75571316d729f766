// Order records. Events get ids of ours, and a serial for each record call.
#include "shim/hooks/order.h"

#include <atomic>
#include <memory>

#include "shim/handle_map.h"
#include "shim/hooks/guard.h"

namespace lamplight::shim::hooks {
namespace {

// Of a handle. It stays, as the driver uses handles again and readers may hold it: a host that
// makes events without end needs no memory of ours without end.
struct Event {
  std::atomic<uint32_t> id{0};      // of the event that has the handle now, 0: none was recorded
  std::atomic<uint64_t> serial{0};  // 0: never recorded while we looked
};

HandleMap<Event>& Events() {
  static auto* events = new HandleMap<Event>();
  return *events;
}

std::atomic<uint32_t> next_event_id{1};

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

// Null: no event that was recorded has the handle.
const Event* FindEvent(cudaEvent_t handle) {
  const Event* event = Events().Find(handle);
  return event == nullptr || event->id.load(std::memory_order_acquire) == 0 ? nullptr : event;
}

Event* FindOrAddEvent(cudaEvent_t handle) {
  Event* event = Events().Find(handle);
  if (event == nullptr) {
    auto added = std::make_unique<Event>();
    event = added.get();
    Events().Insert(handle, event);
    static_cast<void>(added.release());
  }
  if (event->id.load(std::memory_order_acquire) == 0) {
    event->serial.store(0, std::memory_order_relaxed);
    event->id.store(next_event_id.fetch_add(1, std::memory_order_relaxed),
                    std::memory_order_release);
  }
  return event;
}

void Emit(Session& session, trace::OrderKind kind, uint32_t stream_id, const Event* event,
          uint64_t serial) {
  trace::Order record{};
  record.kind = static_cast<uint32_t>(kind);
  record.stream_id = stream_id;
  record.event_id = event == nullptr ? 0 : event->id.load(std::memory_order_relaxed);
  record.serial = serial;
  record.device_id = DeviceOf(session);
  session.recorder().Emit(trace::RecordType::kOrder, record);
}

}  // namespace

void StreamCreated(cudaStream_t stream, unsigned flags) noexcept {
  Guarded([&] {
    if (Session* session = Session::Running()) session->streams().Created(stream, flags);
  });
}

void StreamDestroying(cudaStream_t stream) noexcept {
  Guarded([&] {
    if (Session* session = Session::Running()) session->streams().Destroyed(stream);
  });
}

void EventRecorded(cudaEvent_t event, cudaStream_t stream, bool per_thread) noexcept {
  Guarded([&] {
    Session* session = Recording();
    if (session == nullptr) return;
    Event* known = FindOrAddEvent(event);
    const uint64_t serial = known->serial.fetch_add(1, std::memory_order_acq_rel) + 1;
    const CUstream driver_stream = DriverStream(stream, per_thread);
    if (session->streams().IsCapturing(driver_stream)) return;
    Emit(*session, trace::OrderKind::kEventRecord, session->streams().Id(driver_stream), known,
         serial);
  });
}

void EventDestroying(cudaEvent_t event) noexcept {
  Guarded([&] {
    if (Session::Running() == nullptr) return;  // as in a forked child: the map may be locked
    if (Event* known = Events().Find(event)) known->id.store(0, std::memory_order_release);
  });
}

void StreamWaits(cudaStream_t stream, cudaEvent_t event, bool per_thread) noexcept {
  Guarded([&] {
    Session* session = Recording();
    const Event* known = session == nullptr ? nullptr : FindEvent(event);
    if (known == nullptr) return;
    const CUstream driver_stream = DriverStream(stream, per_thread);
    if (session->streams().IsCapturing(driver_stream)) return;
    Emit(*session, trace::OrderKind::kStreamWait, session->streams().Id(driver_stream), known,
         known->serial.load(std::memory_order_acquire));
  });
}

void StreamDone(cudaStream_t stream, bool per_thread) noexcept {
  Guarded([&] {
    Session* session = Recording();
    if (session == nullptr) return;
    const uint32_t id = session->streams().Id(DriverStream(stream, per_thread));
    Emit(*session, trace::OrderKind::kStreamSync, id, nullptr, 0);
  });
}

void EventDone(cudaEvent_t event) noexcept {
  Guarded([&] {
    Session* session = Recording();
    const Event* known = session == nullptr ? nullptr : FindEvent(event);
    if (known == nullptr) return;
    Emit(*session, trace::OrderKind::kEventSync, 0, known,
         known->serial.load(std::memory_order_acquire));
  });
}

void DeviceDone() noexcept {
  Guarded([] {
    if (Session* session = Recording()) {
      Emit(*session, trace::OrderKind::kDeviceSync, 0, nullptr, 0);
    }
  });
}

}  // namespace lamplight::shim::hooks
