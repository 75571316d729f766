// Event identities. Threads may record a new event at the same time: all of them get the one id.
#include "shim/events.h"

#include <memory>

namespace lamplight::shim {

EventCall Events::Recorded(const void* handle) {
  Entry* entry = entries_.Find(handle);
  if (entry == nullptr) {
    auto added = std::make_unique<Entry>();
    entry = entries_.Add(handle, added.get());
    if (entry == added.get()) static_cast<void>(added.release());
  }
  uint32_t id = entry->id.load(std::memory_order_acquire);
  if (id == 0) {
    const uint32_t own = next_id_.fetch_add(1, std::memory_order_relaxed);
    if (entry->id.compare_exchange_strong(id, own, std::memory_order_acq_rel)) id = own;
  }
  return {id, entry->serial.fetch_add(1, std::memory_order_acq_rel) + 1};
}

std::optional<EventCall> Events::Newest(const void* handle) const noexcept {
  const Entry* entry = entries_.Find(handle);
  const uint32_t id = entry == nullptr ? 0 : entry->id.load(std::memory_order_acquire);
  if (id == 0) return std::nullopt;
  return EventCall{id, entry->serial.load(std::memory_order_acquire)};
}

void Events::Destroyed(const void* handle) noexcept {
  Entry* entry = entries_.Find(handle);
  if (entry == nullptr) return;
  entry->serial.store(0, std::memory_order_relaxed);
  entry->id.store(0, std::memory_order_release);
}

}  // namespace lamplight::shim
