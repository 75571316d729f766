// Header, definitions, ring, in this order; each has its own way back from damage.
// Thread-safe: one reader per call, no shared state.
#include "analyzer/trace_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "analyzer/crc32c.h"
#include "analyzer/record_scan.h"

namespace lamplight {
namespace {

using trace::FileHeader;
using Kind = TraceLoss::Kind;

std::string Count(uint64_t count, const char* one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

// Stretches of one kind, added up.
struct Damage {
  uint64_t stretches = 0;
  uint64_t bytes = 0;
  uint64_t first = 0;

  void Add(Stretch stretch) {
    if (stretches++ == 0) first = stretch.offset;
    bytes += stretch.bytes;
  }
  void Add(const Damage& other) {
    if (stretches == 0) first = other.first;
    stretches += other.stretches;
    bytes += other.bytes;
  }
};

class Reader {
 public:
  explicit Reader(TraceFile* file)
      : file_(*file), bytes_(file->content.bytes()), scanner_(bytes_) {}

  void ReadIntact() {
    ReadCounters();
    ReadDefinitions();
    ReadRing();
    ReportBadRecords();
  }

  // The header does not say where anything is: whatever has a right CRC is a record.
  void Salvage(const std::string& reason) {
    Lose(Kind::kHeaderDamaged, 0, 0, 0, reason + "; records were found by scanning the file");
    file_.header = FileHeader{};
    Damage damage;
    scanner_.Walk(
        trace::kHeaderBytes, bytes_.size(), [&](const RecordView& view) { Keep(view); },
        [&](Stretch stretch) {
          if (!Zero(stretch)) damage.Add(stretch);
        });
    LoseDamage(Kind::kDamagedEvents, damage, "in the file");
    OrderEventsByTime();
    ReportBadRecords();
  }

 private:
  void Lose(Kind kind, uint64_t count, uint64_t bytes, uint64_t offset, std::string text) {
    file_.losses.push_back({kind, count, bytes, offset, std::move(text)});
  }

  void LoseDamage(Kind kind, const Damage& damage, const std::string& where) {
    if (damage.stretches == 0) return;
    std::string text = Count(damage.bytes, "byte") + " " + where + " hold no valid record (" +
                       Count(damage.stretches, "place") + ", the first at offset " +
                       std::to_string(damage.first) + ")";
    if (scanner_.exhausted()) text += "; the search for more records was given up";
    Lose(kind, damage.stretches, damage.bytes, damage.first, std::move(text));
  }

  bool Zero(Stretch stretch) const { return EndOfContent(stretch.offset, stretch.bytes) == 0; }

  // Bytes of [offset, offset + bytes) up to the last one that is not zero.
  uint64_t EndOfContent(uint64_t offset, uint64_t bytes) const {
    const auto range = bytes_.subspan(offset, bytes);
    const auto last = std::find_if(range.rbegin(), range.rend(),
                                   [](std::byte byte) { return byte != std::byte{0}; });
    return static_cast<uint64_t>(range.rend() - last);
  }

  void Keep(const RecordView& view) {
    if (view.type() == trace::RecordType::kPad) return;
    if (std::string defect = view.Defect(); !defect.empty()) {
      if (bad_records_++ == 0) first_bad_ = {view.file_offset(), 0};
      bad_reason_ = RecordTypeName(view.type()) + " " + defect;
      return;
    }
    if (RecordTypeName(view.type()).starts_with("type ")) {
      ++file_.unknown_records[view.header().type];
      return;
    }
    const bool event = view.type() >= trace::RecordType::kCaptureBegin;
    (event ? file_.events : file_.definitions).push_back(view);
  }

  void ReportBadRecords() {
    if (bad_records_ == 0) return;
    Lose(Kind::kBadRecord, bad_records_, 0, first_bad_.offset,
         Count(bad_records_, "record") + " with a right checksum and impossible content (" +
             bad_reason_ + "), the first at offset " + std::to_string(first_bad_.offset));
  }

  void ReadCounters() {
    const FileHeader& header = file_.header;
    const auto count = [&](Kind kind, uint64_t lost, const char* what, const char* why) {
      if (lost != 0) Lose(kind, lost, 0, 0, Count(lost, what) + " " + why);
    };
    count(Kind::kEventsOverwritten, header.events_overwritten, "old event",
          "overwritten: the ring went round (LAMPLIGHT_RING_MB sets its size)");
    count(Kind::kEventsDropped, header.events_dropped, "event",
          "dropped: they came faster than they could be written");
    count(Kind::kSnapshotsDropped, header.snapshots_dropped, "flag snapshot",
          "dropped: the GPU wrote them faster than they were drained");
    count(Kind::kDefinitionsDropped, header.definitions_dropped, "definition",
          "dropped: the disk had no room");
    file_.closed = header.closed_ns != 0;
  }

  void ReadDefinitions() {
    const uint64_t begin = file_.header.defs_offset;
    const uint64_t committed = file_.header.defs_bytes;
    const uint64_t room = begin < bytes_.size() ? bytes_.size() - begin : 0;
    if (committed > room) {
      Lose(Kind::kTruncated, 0, committed - room, bytes_.size(),
           "the file ends " + Count(committed - room, "byte") + " before its definitions do");
    }
    if (room == 0) return;
    // Not only the committed part: its length is a counter that damage can reach as well.
    uint64_t content = std::max(EndOfContent(begin, room), std::min(committed, room));
    content = std::min(room, (content + 7) & ~uint64_t{7});
    Damage damage;
    Damage unfinished;
    scanner_.Walk(
        begin, begin + content, [&](const RecordView& view) { Keep(view); },
        [&](Stretch stretch) {
          (stretch.offset - begin < committed ? damage : unfinished).Add(stretch);
        });
    const bool one_record = unfinished.stretches == 1 && unfinished.bytes <= trace::kMaxRecordBytes;
    if (!one_record) damage.Add(unfinished);
    LoseDamage(Kind::kDamagedDefinitions, damage, "of the definitions");
    if (one_record) {
      Lose(Kind::kUnfinishedRecord, unfinished.stretches, unfinished.bytes, unfinished.first,
           "a definition was being written when the process stopped (" +
               Count(unfinished.bytes, "byte") + " at offset " + std::to_string(unfinished.first) +
               ")");
    }
  }

  bool PlausiblePositions() const {
    const FileHeader& header = file_.header;
    const uint64_t head = header.ring_head;
    const uint64_t tail = header.ring_tail;
    const uint64_t longest = std::min<uint64_t>(trace::kMaxRecordBytes, header.ring_bytes / 2);
    if (head % 8 != 0 || tail % 8 != 0 || tail > head || head - tail > header.ring_bytes) {
      return false;
    }
    if (tail == 0) return true;
    // The tail only moves to make room for one record.
    return header.events_overwritten != 0 && head - tail + 2 * longest >= header.ring_bytes;
  }

  void ReadRing() {
    const FileHeader& header = file_.header;
    const uint64_t end = header.ring_offset + header.ring_bytes;
    if (end > bytes_.size()) {
      Lose(Kind::kTruncated, 0, end - bytes_.size(), bytes_.size(),
           "the file ends " + Count(end - bytes_.size(), "byte") + " before its event ring does");
    }
    Damage damage;
    if (PlausiblePositions()) {
      WalkRing(header.ring_tail, header.ring_head, &damage);
    } else {
      Lose(Kind::kRingOrderLost, 0, 0, 64,
           "the counters of the event ring are damaged; events are ordered by their times");
      WalkPart(0, header.ring_bytes, &damage);
      OrderEventsByTime();
    }
    LoseDamage(Kind::kDamagedEvents, damage, "of the event ring");
  }

  // Ring positions [tail, head): at most two stretches of the file.
  void WalkRing(uint64_t tail, uint64_t head, Damage* damage) {
    const uint64_t ring = file_.header.ring_bytes;
    if (ring == 0 || tail == head) return WalkBeyond(tail, head);
    const uint64_t from = tail % ring;
    const uint64_t to = (head - 1) % ring + 1;
    if (from < to) {
      WalkPart(from, to, damage);
    } else {
      WalkPart(from, ring, damage);
      WalkPart(0, to, damage);
    }
    WalkBeyond(tail, head);
  }

  // Records that were sealed and not yet counted when the process was killed. Once the ring has
  // gone round, old records stand there, and none is taken.
  void WalkBeyond(uint64_t tail, uint64_t head) {
    if (tail != 0) return;
    const uint64_t end = file_.header.ring_offset + file_.header.ring_bytes;
    uint64_t at = file_.header.ring_offset + head;
    while (const uint32_t bytes = scanner_.ValidRecord(at, end)) {
      Keep(RecordView(bytes_.subspan(at, bytes), at));
      at += bytes;
    }
  }

  void WalkPart(uint64_t from, uint64_t to, Damage* damage) {
    const uint64_t base = file_.header.ring_offset;
    const bool counted = PlausiblePositions();
    scanner_.Walk(
        base + from, base + to, [&](const RecordView& view) { Keep(view); },
        [&](Stretch stretch) {
          if (counted || !Zero(stretch)) damage->Add(stretch);
        });
  }

  void OrderEventsByTime() {
    std::stable_sort(
        file_.events.begin(), file_.events.end(),
        [](const RecordView& a, const RecordView& b) { return a.time_ns() < b.time_ns(); });
  }

  TraceFile& file_;
  std::span<const std::byte> bytes_;
  RecordScanner scanner_;
  uint64_t bad_records_ = 0;
  Stretch first_bad_ = {};
  std::string bad_reason_;
};

// Empty: the header is what its checksum says and its offsets make sense.
std::string HeaderDefect(const FileHeader& header) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&header);
  if (Crc32c({bytes, offsetof(FileHeader, static_crc)}) != header.static_crc) {
    return "the header's checksum is wrong";
  }
  const uint64_t ring_end = header.ring_offset + header.ring_bytes;
  const bool overflow = ring_end < header.ring_offset;
  const bool aligned =
      header.ring_offset % 8 == 0 && header.ring_bytes % 8 == 0 && header.defs_offset % 8 == 0;
  if (overflow || !aligned || header.ring_offset < sizeof(FileHeader) ||
      header.defs_offset < ring_end) {
    return "the header's offsets are impossible";
  }
  return {};
}

std::string RefusalOf(const FileHeader& header, uint64_t file_bytes) {
  if (file_bytes < sizeof(FileHeader) ||
      std::memcmp(header.magic, trace::kMagic, sizeof(trace::kMagic)) != 0) {
    return "not a Lamplight trace (it has " + std::to_string(file_bytes) +
           " bytes and does not begin with LAMPTRC); give files that end in " +
           std::string(trace::kFileSuffix);
  }
  if (HeaderDefect(header).empty() && header.major != trace::kMajor) {
    return "trace format " + std::to_string(header.major) + "." + std::to_string(header.minor) +
           ", but this lamplight reads " + std::to_string(trace::kMajor) +
           ".x; use the lamplight that belongs to the shim, or a newer one";
  }
  return {};
}

}  // namespace

std::optional<TraceFile> ReadTrace(const std::string& path, std::string* error) {
  TraceFile file;
  file.path = path;
  FileHeader now = {};  // the counters after everything was read
  auto content = FileBytes::Read(path, std::as_writable_bytes(std::span(&now, 1)), error);
  if (!content) return std::nullopt;
  file.content = *std::move(content);
  const auto bytes = file.content.bytes();
  std::memcpy(&file.header, bytes.data(), std::min(bytes.size(), sizeof(FileHeader)));
  if (std::string refusal = RefusalOf(file.header, bytes.size()); !refusal.empty()) {
    *error = path + ": " + refusal;
    return std::nullopt;
  }
  Reader reader(&file);
  if (const std::string defect = HeaderDefect(file.header); !defect.empty()) {
    reader.Salvage(defect);
  } else {
    // What a live process overwrote while we read is behind its newest tail.
    file.header.ring_tail = std::max(file.header.ring_tail, now.ring_tail);
    file.header.events_overwritten =
        std::max(file.header.events_overwritten, now.events_overwritten);
    reader.ReadIntact();
  }
  if (file.definitions.empty() && file.events.empty() && !file.losses.empty()) {
    *error = path + ": nothing in it can be read: " + file.losses.back().text;
    return std::nullopt;
  }
  return file;
}

}  // namespace lamplight
