// Record by record; resynchronises by CRC. Thread-safe: see the header.
#include "analyzer/record_scan.h"

#include <algorithm>
#include <cstring>

#include "analyzer/crc32c.h"

namespace lamplight {
namespace {

constexpr uint64_t kSearchBudget = uint64_t{4} << 30;

bool PlausibleHeader(const trace::RecordHeader& header, uint64_t room) {
  return header.crc != 0 && header.bytes >= sizeof(trace::RecordHeader) && header.bytes <= room &&
         header.bytes % trace::kRecordAlign == 0 && header.bytes <= trace::kMaxRecordBytes &&
         header.type != 0;
}

}  // namespace

RecordScanner::RecordScanner(std::span<const std::byte> file)
    : file_(file), budget_(kSearchBudget) {}

uint32_t RecordScanner::ValidRecord(uint64_t offset, uint64_t end) {
  end = std::min<uint64_t>(end, file_.size());
  if (offset > end || end - offset < sizeof(trace::RecordHeader)) return 0;
  trace::RecordHeader header;
  std::memcpy(&header, file_.data() + offset, sizeof(header));
  if (!PlausibleHeader(header, end - offset)) return 0;
  const auto covered =
      file_.subspan(offset + sizeof(header.crc), header.bytes - sizeof(header.crc));
  if (Crc32c(covered) == header.crc) return header.bytes;
  budget_ -= std::min<uint64_t>(budget_, header.bytes);  // only wrong guesses cost
  return 0;
}

uint64_t RecordScanner::NextRecord(uint64_t offset, uint64_t end) {
  while (offset < end && budget_ > 0 && ValidRecord(offset, end) == 0) {
    offset += trace::kRecordAlign;
  }
  return budget_ > 0 ? std::min(offset, end) : end;
}

void RecordScanner::Walk(uint64_t begin, uint64_t end,
                         const std::function<void(const RecordView&)>& found,
                         const std::function<void(Stretch)>& damaged) {
  end = std::min<uint64_t>(end, file_.size());
  while (begin < end) {
    if (const uint32_t bytes = ValidRecord(begin, end)) {
      found(RecordView(file_.subspan(begin, bytes), begin));
      begin += bytes;
      continue;
    }
    const uint64_t next = NextRecord(begin + trace::kRecordAlign, end);
    damaged({begin, next - begin});
    begin = next;
  }
}

}  // namespace lamplight
