// A map from raw handles to objects of ours, read without a lock on the hot path.
//
// Find is wait-free and may run in any hook; Insert and Erase take a mutex and are for cold paths.
// Values are not owned: the caller keeps a removed value alive while a reader may still hold it.
// Tables only grow; an outgrown table is kept, as a reader may still be inside it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace lamplight::shim {

template <class T>
class HandleMap {
 public:
  HandleMap() { Publish(std::make_unique<Table>(kFirstCapacity)); }

  T* Find(const void* handle) const noexcept {
    const Table* table = table_.load(std::memory_order_acquire);
    for (size_t i = Start(handle, *table);; i = (i + 1) & table->mask) {
      const Slot& slot = table->slots[i];
      const uintptr_t key = slot.key.load(std::memory_order_acquire);
      if (key == Key(handle)) return slot.value.load(std::memory_order_acquire);
      if (key == kEmpty) return nullptr;
    }
  }

  // Sets the value of `handle`; returns the one it had.
  T* Insert(const void* handle, T* value) {
    std::lock_guard lock(mutex_);
    return Set(FindSlot(handle), handle, value);
  }

  // The value of `handle`, which becomes `value` where it had none.
  T* Add(const void* handle, T* value) {
    std::lock_guard lock(mutex_);
    Slot* slot = FindSlot(handle);
    T* known = slot == nullptr ? nullptr : slot->value.load(std::memory_order_acquire);
    if (known != nullptr) return known;
    Set(slot, handle, value);
    return value;
  }

  // Forgets `handle`; returns its value, null where it had none. The key's slot stays for reuse.
  T* Erase(const void* handle) {
    std::lock_guard lock(mutex_);
    Slot* slot = FindSlot(handle);
    return slot == nullptr ? nullptr : slot->value.exchange(nullptr, std::memory_order_acq_rel);
  }

  // Forgets every handle.
  void Clear() {
    std::lock_guard lock(mutex_);
    Table& table = *tables_.back();
    for (size_t i = 0; i <= table.mask; ++i) {
      table.slots[i].value.store(nullptr, std::memory_order_release);
    }
  }

  template <class F>
  void ForEach(F visit) const {
    const Table* table = table_.load(std::memory_order_acquire);
    for (size_t i = 0; i <= table->mask; ++i) {
      if (T* value = table->slots[i].value.load(std::memory_order_acquire)) visit(*value);
    }
  }

 private:
  static constexpr size_t kFirstCapacity = 1024;
  static constexpr uintptr_t kEmpty = 0;

  struct Slot {
    std::atomic<uintptr_t> key{kEmpty};
    std::atomic<T*> value{nullptr};
  };
  struct Table {
    explicit Table(size_t capacity) : mask(capacity - 1), slots(new Slot[capacity]) {}
    size_t mask;
    std::unique_ptr<Slot[]> slots;
  };

  // Null is a valid handle (the default stream), so keys are shifted off zero.
  static uintptr_t Key(const void* handle) { return reinterpret_cast<uintptr_t>(handle) + 1; }
  static size_t Start(const void* handle, const Table& table) {
    return static_cast<size_t>((Key(handle) * 0x9e3779b97f4a7c15ull) >> 20) & table.mask;
  }

  Slot* FindSlot(const void* handle) {
    Table& table = *tables_.back();
    for (size_t i = Start(handle, table);; i = (i + 1) & table.mask) {
      const uintptr_t key = table.slots[i].key.load(std::memory_order_relaxed);
      if (key == Key(handle)) return &table.slots[i];
      if (key == kEmpty) return nullptr;
    }
  }

  // `slot`: the handle's own, null where it has none.
  T* Set(Slot* slot, const void* handle, T* value) {
    if (slot != nullptr) return slot->value.exchange(value, std::memory_order_acq_rel);
    if ((used_ + 1) * 2 > tables_.back()->mask + 1) Grow();
    InsertNew(*tables_.back(), Key(handle), value);
    ++used_;
    return nullptr;
  }

  static void InsertNew(Table& table, uintptr_t key, T* value) {
    const void* handle = reinterpret_cast<const void*>(key - 1);
    size_t i = Start(handle, table);
    while (table.slots[i].key.load(std::memory_order_relaxed) != kEmpty) i = (i + 1) & table.mask;
    table.slots[i].value.store(value, std::memory_order_release);
    table.slots[i].key.store(key, std::memory_order_release);
  }

  void Grow() {
    const Table& old = *tables_.back();
    auto grown = std::make_unique<Table>((old.mask + 1) * 2);
    used_ = 0;
    for (size_t i = 0; i <= old.mask; ++i) {
      T* value = old.slots[i].value.load(std::memory_order_relaxed);
      if (value == nullptr) continue;
      InsertNew(*grown, old.slots[i].key.load(std::memory_order_relaxed), value);
      ++used_;
    }
    Publish(std::move(grown));
  }

  void Publish(std::unique_ptr<Table> table) {
    tables_.push_back(std::move(table));
    table_.store(tables_.back().get(), std::memory_order_release);
  }

  std::atomic<Table*> table_{nullptr};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Table>> tables_;
  size_t used_ = 0;
};

}  // namespace lamplight::shim
