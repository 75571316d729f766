// The host's events under ids of our own, because handles are reused, with a serial for each record
// call, so that a wait can be told from which call it waits for.
//
// Thread-safe; wait-free for a handle that was seen before.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "shim/handle_map.h"

namespace lamplight::shim {

// One record call of one event.
struct EventCall {
  uint32_t event_id;
  uint64_t serial;
};

class Events {
 public:
  // A record call; its event gets an id at the first one that is seen.
  EventCall Recorded(const void* handle);
  // The newest record call; nothing where the event that has the handle now was not recorded.
  std::optional<EventCall> Newest(const void* handle) const noexcept;
  // Before the real call: another event may get the handle as soon as it returns.
  void Destroyed(const void* handle) noexcept;

 private:
  // Of a handle. It stays, as the driver uses handles again and readers may hold it: a host that
  // makes events without end needs no memory of ours without end.
  struct Entry {
    std::atomic<uint32_t> id{0};  // of the event that has the handle now, 0: none was recorded
    std::atomic<uint64_t> serial{0};
  };

  HandleMap<Entry> entries_;
  std::atomic<uint32_t> next_id_{1};
};

}  // namespace lamplight::shim
