// A second, deliberately plain reading of the trace format, to judge what the recorder wrote.
//
// Shares nothing with the recorder but the structs. Not thread-safe.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "shim/trace_format.h"

namespace lamplight::test {

struct ParsedRecord {
  trace::RecordHeader header;
  std::vector<unsigned char> bytes;

  trace::RecordType type() const { return static_cast<trace::RecordType>(header.type); }
  template <class T>
  T As() const {
    T record{};
    std::memcpy(&record, bytes.data(), sizeof(T));
    return record;
  }
  std::string Text(trace::Str at) const {
    return {reinterpret_cast<const char*>(bytes.data()) + at.offset, at.bytes};
  }
};

struct ParsedTrace {
  trace::FileHeader header{};
  std::vector<ParsedRecord> definitions;
  std::vector<ParsedRecord> events;  // pads left out
  std::vector<std::string> errors;   // everything that the format forbids

  std::vector<ParsedRecord> Events(trace::RecordType type) const;
  std::vector<ParsedRecord> Definitions(trace::RecordType type) const;
};

// One bit after the other.
uint32_t PlainCrc32c(const void* bytes, size_t size);

ParsedTrace ParseTrace(std::span<const unsigned char> file);
ParsedTrace ParseTraceFile(const std::string& path);
std::vector<unsigned char> ReadFile(const std::string& path);

}  // namespace lamplight::test
