// Live handles of one kind: maps a handle to the object that it names, so that stale ones are
// errors.
//
// Thread-safe. The handle is the object's address; objects outlive their handle while work uses
// them.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

namespace device_sim {

template <class T, class Handle>
class HandleTable {
 public:
  Handle Add(std::shared_ptr<T> object) {
    const Handle handle = HandleOf(object.get());
    const std::lock_guard lock(mutex_);
    live_[handle] = std::move(object);
    return handle;
  }
  // Null where the handle is not live.
  std::shared_ptr<T> Find(Handle handle) const {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(handle);
    return found == live_.end() ? nullptr : found->second;
  }
  std::shared_ptr<T> Remove(Handle handle) {
    const std::lock_guard lock(mutex_);
    auto node = live_.extract(handle);
    return node.empty() ? nullptr : std::move(node.mapped());
  }
  static Handle HandleOf(const T* object) {
    return reinterpret_cast<Handle>(const_cast<T*>(object));
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<Handle, std::shared_ptr<T>> live_;
};

}  // namespace device_sim
