// The ring of events inside the trace file. One writer at a time; readers look at any moment, also
// after the writer was killed between any two instructions.
#pragma once

#include <cstdint>

#include "shim/trace_format.h"

namespace lamplight::shim {

// Computes and stores the record's crc, which makes it a committed one.
void SealRecord(trace::RecordHeader* record) noexcept;

// Invariants: [tail, head) is a sequence of whole records, as seen in the file too: tail moves on
// before the bytes behind it are overwritten, head after its record is sealed. No record straddles
// the end of the ring; one that would leave less than a pad's header there is lengthened to the
// end. Own copies of the positions are kept: the file is never believed.
class EventRing {
 public:
  // `ring` has header->ring_bytes bytes, all zero.
  EventRing(trace::FileHeader* header, unsigned char* ring);

  // Copies the record (all but the crc set) into the ring. False: its length is impossible.
  bool Write(const trace::RecordHeader* record) noexcept;

 private:
  uint64_t RoomBeforeEnd() const { return bytes_ - head_ % bytes_; }
  void Pad(uint64_t bytes) noexcept;
  void Place(const trace::RecordHeader* record, uint64_t bytes) noexcept;
  void FreeSpace(uint64_t bytes) noexcept;
  void DropOldest() noexcept;

  trace::FileHeader* const header_;
  unsigned char* const ring_;
  const uint64_t bytes_;
  uint64_t head_ = 0;
  uint64_t tail_ = 0;
  uint64_t overwritten_ = 0;
};

}  // namespace lamplight::shim
