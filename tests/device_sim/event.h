// Events. Thread-safe.
//
// An event names the marker of its newest record; one never recorded counts as complete. Recorded
// in a capturing stream, it names places in the graph instead, until the next record elsewhere.
#pragma once

#include <cuda.h>

#include <memory>
#include <mutex>
#include <vector>

#include "tests/device_sim/capture_tip.h"
#include "tests/device_sim/handle_table.h"
#include "tests/device_sim/marker.h"

namespace device_sim {

class Context;
class Stream;
struct Capture;

struct Event {
  Event(const Context& context_in, unsigned flags_in) : context(context_in), flags(flags_in) {}

  MarkerRef marker() const {
    const std::lock_guard lock(mutex);
    return newest;
  }
  void Record(MarkerRef record) {
    const std::lock_guard lock(mutex);
    newest = std::move(record);
    capture.reset();
    tips.clear();
  }
  // Makes a new record that is pending until the caller sets it.
  MarkerRef RecordPending() {
    auto pending = std::make_shared<Marker>();
    Record(pending);
    return pending;
  }
  bool captured() const {
    const std::lock_guard lock(mutex);
    return capture.lock() != nullptr;
  }

  const Context& context;  // whose streams record it; green ones count as their primary one
  const unsigned flags;
  mutable std::mutex mutex;
  MarkerRef newest;
  std::weak_ptr<Capture> capture;
  std::vector<CaptureTip> tips;
};

using EventRef = std::shared_ptr<Event>;
using EventTable = HandleTable<Event, CUevent>;
EventTable& Events();

Status CreateEvent(CUevent* out, unsigned flags);
Status DestroyEvent(CUevent handle);
// `external`: the record becomes a node of the graph where the stream captures.
Status RecordEvent(CUevent handle, Stream& stream, bool external);
Status WaitEvent(Stream& stream, CUevent handle, bool external);
Status QueryEvent(CUevent handle);
Status SynchronizeEvent(CUevent handle);
Status ElapsedTime(float* milliseconds, CUevent start, CUevent end);

}  // namespace device_sim
