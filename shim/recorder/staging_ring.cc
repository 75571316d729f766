// The reading end of the staging ring, and its memory: anonymous, so that only slots in use cost
// any.
#include "shim/recorder/staging_ring.h"

#include <sys/mman.h>

#include <bit>
#include <cerrno>

namespace lamplight::shim {
namespace {

constexpr uint64_t kPageSlots = 4096 / StagingRing::kSlotBytes;

}  // namespace

StagingRing::~StagingRing() {
  if (slots_ != nullptr) munmap(slots_, (mask_ + 1) * sizeof(Slot));
}

bool StagingRing::Allocate(uint32_t slots, std::string* error) {
  if (!std::has_single_bit(slots) || slots < kMinSlots || slots > kMaxSlots) {
    *error = "staging ring of " + std::to_string(slots) + " slots: use a power of two between " +
             std::to_string(kMinSlots) + " and " + std::to_string(kMaxSlots);
    return false;
  }
  const size_t bytes = size_t{slots} * sizeof(Slot);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    *error = "no memory for a staging ring of " + std::to_string(bytes) +
             " bytes: " + std::strerror(errno);
    return false;
  }
  // A forked child has no use for it, and the server's threads no use for copy-on-write faults.
  madvise(memory, bytes, MADV_WIPEONFORK);
  slots_ = static_cast<Slot*>(memory);
  mask_ = slots - 1;
  shift_ = static_cast<uint32_t>(std::countr_zero(slots));
  return true;
}

void StagingRing::TouchAhead(uint64_t slots) noexcept {
  const uint64_t wanted = write_.load(std::memory_order_relaxed) + slots;
  const uint64_t end = wanted < mask_ + 1 ? wanted : mask_ + 1;
  for (; touched_ < end; touched_ += kPageSlots) {
    slots_[touched_].state.fetch_or(0, std::memory_order_relaxed);  // a write that changes nothing
  }
}

bool StagingRing::Pop(void* record) noexcept {
  Slot& slot = slots_[read_ & mask_];
  const uint64_t full = 2 * (read_ >> shift_) + 1;
  if (slot.state.load(std::memory_order_acquire) != full) return false;
  std::memcpy(record, slot.record, kMaxRecordBytes);
  slot.state.store(full + 1, std::memory_order_release);
  ++read_;
  return true;
}

}  // namespace lamplight::shim
