// Carries event records from the server's threads to the drain thread, through memory alone.
//
// Push is for any thread, also inside a signal handler: no heap, no lock, no system call. Pop is
// for one thread at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace lamplight::shim {

// Invariants: position p lives in slot p % capacity, in lap p / capacity. A slot's state is
// 2 * lap while it is free for that lap and 2 * lap + 1 while it holds that lap's record, so that
// untouched (zero) memory is a free slot of lap 0.
class StagingRing {
 public:
  static constexpr uint32_t kSlotBytes = 256;
  static constexpr uint32_t kMaxRecordBytes = kSlotBytes - sizeof(uint64_t);
  static constexpr uint32_t kMinSlots = 16;
  static constexpr uint32_t kMaxSlots = 1u << 24;

  StagingRing() = default;
  StagingRing(const StagingRing&) = delete;
  StagingRing& operator=(const StagingRing&) = delete;
  ~StagingRing();

  // `slots`: a power of two in [kMinSlots, kMaxSlots]. Once, before any other call.
  bool Allocate(uint32_t slots, std::string* error);

  // False, and one drop counted, where the ring is full or the record does not fit a slot.
  bool Push(const void* record, uint32_t bytes) noexcept {
    if (bytes > kMaxRecordBytes) [[unlikely]]
      return Drop();
    uint64_t position = write_.load(std::memory_order_relaxed);
    for (;;) {
      Slot& slot = slots_[position & mask_];
      const uint64_t state = slot.state.load(std::memory_order_acquire);
      const uint64_t free = 2 * (position >> shift_);
      if (state == free) {
        if (write_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
          std::memcpy(slot.record, record, bytes);
          slot.state.store(free + 1, std::memory_order_release);
          return true;
        }
      } else if (state < free) {
        return Drop();  // still holds the lap before
      } else {
        position = write_.load(std::memory_order_relaxed);
      }
    }
  }

  // Copies the oldest record, a whole slot's worth, into `record` of kMaxRecordBytes. False where
  // there is none, or its producer has not finished it.
  bool Pop(void* record) noexcept;

  // Makes the memory of the next `slots` slots resident, once each, so that producers meet no page
  // fault there. For the thread that pops.
  void TouchAhead(uint64_t slots) noexcept;

  uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }
  // Records pushed, or being pushed, and not popped; an estimate while producers run.
  uint64_t Pending() const noexcept { return write_.load(std::memory_order_relaxed) - read_; }

 private:
  struct alignas(kSlotBytes) Slot {
    std::atomic<uint64_t> state;
    unsigned char record[kMaxRecordBytes];
  };
  static_assert(sizeof(Slot) == kSlotBytes && std::atomic<uint64_t>::is_always_lock_free);
  static constexpr size_t kLine = 64;

  bool Drop() noexcept {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }

  Slot* slots_ = nullptr;
  uint64_t mask_ = 0;
  uint32_t shift_ = 0;
  alignas(kLine) std::atomic<uint64_t> write_{0};
  alignas(kLine) std::atomic<uint64_t> dropped_{0};
  alignas(kLine) uint64_t read_ = 0;
  uint64_t touched_ = 0;  // slots from the start whose memory is resident
};

}  // namespace lamplight::shim
