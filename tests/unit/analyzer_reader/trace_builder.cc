// The writer's rules, restated: append definitions, go round the ring, count.
#include "tests/unit/analyzer_reader/trace_builder.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>

#include "analyzer/crc32c.h"

namespace lamplight::testing {

using trace::RecordHeader;

void Seal(Bytes* record) {
  const uint32_t crc = Crc32c(std::span(*record).subspan(sizeof(uint32_t)));
  std::memcpy(record->data(), &crc, sizeof(crc));
}

TraceBuilder::TraceBuilder(uint64_t ring_bytes) : ring_(ring_bytes) {
  std::copy(std::begin(trace::kMagic), std::end(trace::kMagic), header_.magic);
  header_.major = trace::kMajor;
  header_.minor = trace::kMinor;
  header_.header_bytes = trace::kHeaderBytes;
  header_.pid = 4242;
  header_.start_ns = now_ns_;
}

TraceBuilder& TraceBuilder::DefineRaw(const Bytes& record) {
  definitions_.insert(definitions_.end(), record.begin(), record.end());
  header_.defs_bytes = definitions_.size();
  return *this;
}

TraceBuilder& TraceBuilder::EventRaw(const Bytes& record) {
  const uint64_t room = ring_.size() - header_.ring_head % ring_.size();
  if (record.size() > room) {
    Bytes pad(room);
    RecordHeader header = {};
    header.bytes = static_cast<uint32_t>(room);
    header.type = static_cast<uint16_t>(trace::RecordType::kPad);
    std::memcpy(pad.data(), &header, sizeof(header));
    Seal(&pad);
    Place(pad);
    return EventRaw(record);
  }
  const uint64_t rest = room - record.size();
  if (rest == 0 || rest >= sizeof(RecordHeader)) {
    Place(record);
    return *this;
  }
  Bytes longer = record;  // a pad would not fit behind it
  longer.resize(room);
  RecordHeader header;
  std::memcpy(&header, longer.data(), sizeof(header));
  header.bytes = static_cast<uint32_t>(room);
  std::memcpy(longer.data(), &header, sizeof(header));
  Seal(&longer);
  Place(longer);
  return *this;
}

void TraceBuilder::Place(const Bytes& record) {
  while (header_.ring_head + record.size() - header_.ring_tail > ring_.size()) DropOldest();
  std::copy(record.begin(), record.end(),
            ring_.begin() + static_cast<std::ptrdiff_t>(header_.ring_head % ring_.size()));
  header_.ring_head += record.size();
}

void TraceBuilder::DropOldest() {
  RecordHeader oldest;
  std::memcpy(&oldest, ring_.data() + header_.ring_tail % ring_.size(), sizeof(oldest));
  header_.ring_tail += oldest.bytes;
  if (oldest.type != static_cast<uint16_t>(trace::RecordType::kPad)) ++header_.events_overwritten;
}

Bytes TraceBuilder::File() const {
  trace::FileHeader header = header_;
  header.ring_offset = trace::kHeaderBytes;
  header.ring_bytes = ring_.size();
  header.defs_offset = header.ring_offset + header.ring_bytes;
  const auto* begin = reinterpret_cast<const std::byte*>(&header);
  header.static_crc = Crc32c({begin, offsetof(trace::FileHeader, static_crc)});
  Bytes file(trace::kHeaderBytes);
  std::memcpy(file.data(), &header, sizeof(header));
  file.insert(file.end(), ring_.begin(), ring_.end());
  file.insert(file.end(), definitions_.begin(), definitions_.end());
  return file;
}

void WriteFile(const std::string& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "lamplight-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace lamplight::testing
