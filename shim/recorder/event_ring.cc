// Stores in the order that leaves a readable ring behind at every instruction.
#include "shim/recorder/event_ring.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "shim/recorder/crc32c.h"

namespace lamplight::shim {
namespace {

using trace::RecordHeader;

void Publish(uint64_t& field, uint64_t value) noexcept {
  std::atomic_ref(field).store(value, std::memory_order_release);
}

uint32_t ContentCrc(const RecordHeader* record) noexcept {
  const auto* bytes = reinterpret_cast<const unsigned char*>(record);
  return Crc32c(bytes + sizeof(record->crc), record->bytes - sizeof(record->crc));
}

bool Aligned(uint64_t bytes) { return bytes % trace::kRecordAlign == 0; }

}  // namespace

void SealRecord(RecordHeader* record) noexcept {
  uint32_t crc = ContentCrc(record);
  while (crc == 0) {  // zero would say "not committed"
    ++record->time_ns;
    crc = ContentCrc(record);
  }
  std::atomic_ref(record->crc).store(crc, std::memory_order_release);
}

EventRing::EventRing(trace::FileHeader* header, unsigned char* ring)
    : header_(header), ring_(ring), bytes_(header->ring_bytes) {}

bool EventRing::Write(const RecordHeader* record) noexcept {
  const uint64_t bytes = record->bytes;
  const uint64_t longest = std::min<uint64_t>(trace::kMaxRecordBytes, bytes_ / 2);
  if (bytes < sizeof(RecordHeader) || bytes > longest || !Aligned(bytes)) return false;
  if (bytes > RoomBeforeEnd()) Pad(RoomBeforeEnd());
  const uint64_t rest = RoomBeforeEnd() - bytes;
  Place(record, rest < sizeof(RecordHeader) ? bytes + rest : bytes);
  return true;
}

void EventRing::Pad(uint64_t bytes) noexcept {
  RecordHeader pad{};
  pad.bytes = sizeof(pad);
  pad.type = static_cast<uint16_t>(trace::RecordType::kPad);
  Place(&pad, bytes);
}

void EventRing::Place(const RecordHeader* record, uint64_t bytes) noexcept {
  FreeSpace(bytes);
  unsigned char* place = ring_ + head_ % bytes_;
  auto* placed = reinterpret_cast<RecordHeader*>(place);
  // After the new tail and before the new bytes.
  std::atomic_ref(placed->crc).exchange(0, std::memory_order_acq_rel);
  constexpr size_t kCrc = sizeof(record->crc);
  std::memcpy(place + kCrc, reinterpret_cast<const unsigned char*>(record) + kCrc,
              record->bytes - kCrc);
  std::memset(place + record->bytes, 0, bytes - record->bytes);
  placed->bytes = static_cast<uint32_t>(bytes);
  SealRecord(placed);
  head_ += bytes;
  Publish(header_->ring_head, head_);
}

void EventRing::FreeSpace(uint64_t bytes) noexcept {
  while (head_ + bytes - tail_ > bytes_) DropOldest();
}

void EventRing::DropOldest() noexcept {
  RecordHeader oldest;
  std::memcpy(&oldest, ring_ + tail_ % bytes_, sizeof(oldest));
  const uint64_t to_end = std::min(bytes_ - tail_ % bytes_, head_ - tail_);
  const bool sound =
      oldest.bytes >= sizeof(oldest) && oldest.bytes <= to_end && Aligned(oldest.bytes);
  // Somebody else wrote into the file: nothing before head can be told apart any more.
  tail_ = sound ? tail_ + oldest.bytes : head_;
  if (!sound || oldest.type != static_cast<uint16_t>(trace::RecordType::kPad)) ++overwritten_;
  Publish(header_->events_overwritten, overwritten_);
  Publish(header_->ring_tail, tail_);
}

}  // namespace lamplight::shim
