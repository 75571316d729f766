// Reads header, definitions and ring, and complains about all that is not as the format says.
#include "tests/unit/recorder/parsed_trace.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>

namespace lamplight::test {
namespace {

std::vector<ParsedRecord> OfType(const std::vector<ParsedRecord>& records, trace::RecordType type) {
  std::vector<ParsedRecord> found;
  std::copy_if(records.begin(), records.end(), std::back_inserter(found),
               [type](const ParsedRecord& record) { return record.type() == type; });
  return found;
}

std::optional<ParsedRecord> RecordAt(const unsigned char* at, uint64_t room) {
  ParsedRecord record;
  if (room < sizeof(record.header)) return std::nullopt;
  std::memcpy(&record.header, at, sizeof(record.header));
  const uint32_t bytes = record.header.bytes;
  if (bytes < sizeof(record.header) || bytes > room || bytes % 8 != 0) return std::nullopt;
  if (bytes > trace::kMaxRecordBytes || record.header.crc == 0) return std::nullopt;
  if (PlainCrc32c(at + 4, bytes - 4) != record.header.crc) return std::nullopt;
  record.bytes.assign(at, at + bytes);
  return record;
}

bool ParseHeader(std::span<const unsigned char> file, ParsedTrace* trace) {
  trace::FileHeader& header = trace->header;
  if (file.size() < trace::kHeaderBytes) {
    trace->errors.push_back("shorter than a header");
    return false;
  }
  std::memcpy(&header, file.data(), sizeof(header));
  if (std::memcmp(header.magic, trace::kMagic, 8) != 0) trace->errors.push_back("magic");
  if (PlainCrc32c(file.data(), 60) != header.static_crc) trace->errors.push_back("static_crc");
  if (header.ring_offset != 4096 || header.defs_offset != 4096 + header.ring_bytes) {
    trace->errors.push_back("offsets");
  }
  if (header.defs_offset + header.defs_bytes > file.size()) trace->errors.push_back("defs_bytes");
  if (header.ring_head - header.ring_tail > header.ring_bytes) trace->errors.push_back("ring_tail");
  return trace->errors.empty();
}

void ParseDefinitions(std::span<const unsigned char> file, ParsedTrace* trace) {
  uint64_t at = trace->header.defs_offset;
  const uint64_t end = at + trace->header.defs_bytes;
  while (at < end) {
    auto record = RecordAt(file.data() + at, end - at);
    if (!record) return trace->errors.push_back("definition at " + std::to_string(at));
    at += record->header.bytes;
    trace->definitions.push_back(*std::move(record));
  }
}

void ParseRing(std::span<const unsigned char> file, ParsedTrace* trace) {
  const trace::FileHeader& header = trace->header;
  uint64_t at = header.ring_tail;
  while (at < header.ring_head) {
    const uint64_t place = at % header.ring_bytes;
    const uint64_t room = std::min(header.ring_bytes - place, header.ring_head - at);
    auto record = RecordAt(file.data() + header.ring_offset + place, room);
    if (!record) return trace->errors.push_back("event at position " + std::to_string(at));
    at += record->header.bytes;
    if (record->type() != trace::RecordType::kPad) trace->events.push_back(*std::move(record));
  }
}

}  // namespace

std::vector<ParsedRecord> ParsedTrace::Events(trace::RecordType type) const {
  return OfType(events, type);
}

std::vector<ParsedRecord> ParsedTrace::Definitions(trace::RecordType type) const {
  return OfType(definitions, type);
}

uint32_t PlainCrc32c(const void* bytes, size_t size) {
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < size; ++i) {
    crc ^= static_cast<const unsigned char*>(bytes)[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
  }
  return ~crc;
}

ParsedTrace ParseTrace(std::span<const unsigned char> file) {
  ParsedTrace trace;
  if (!ParseHeader(file, &trace)) return trace;
  ParseDefinitions(file, &trace);
  ParseRing(file, &trace);
  return trace;
}

std::vector<unsigned char> ReadFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  stream.seekg(0, std::ios::end);
  if (!stream) return {};
  std::vector<unsigned char> bytes(static_cast<size_t>(stream.tellg()));
  stream.seekg(0);
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

ParsedTrace ParseTraceFile(const std::string& path) { return ParseTrace(ReadFile(path)); }

}  // namespace lamplight::test
