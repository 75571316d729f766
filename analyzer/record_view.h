// One record of a trace that was read into memory: typed copies, bounds-checked strings.
//
// A view owns nothing; it lives as long as its TraceFile. Thread-safe: immutable.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shim/trace_format.h"

namespace lamplight {

// Control characters and bytes that are not UTF-8 become \xNN (newlines stay where asked): what
// comes out of a trace may be printed on a terminal or written as JSON.
std::string Sanitized(std::string_view text, bool keep_newlines = false);

// Bytes of T in the version that brought it. Records of older versions end there; the fields that
// were appended since read as all ones, kNoId.
template <class T>
inline constexpr size_t kFirstBytes = sizeof(T);
template <>
inline constexpr size_t kFirstBytes<trace::SlotState> = offsetof(trace::SlotState, stored_sentinel);

// Invariant: the record's CRC held, and `bytes` is exactly the record.
class RecordView {
 public:
  RecordView(std::span<const std::byte> bytes, uint64_t file_offset)
      : bytes_(bytes), file_offset_(file_offset) {}

  trace::RecordHeader header() const { return *As<trace::RecordHeader>(); }
  trace::RecordType type() const { return static_cast<trace::RecordType>(header().type); }
  uint64_t time_ns() const { return header().time_ns; }
  uint64_t file_offset() const { return file_offset_; }

  // A copy, since nothing says that a hostile record is aligned; nullopt: too short for T.
  template <class T>
  std::optional<T> As() const {
    return At<T>(0);
  }

  template <class T>
  std::optional<T> At(size_t offset) const {
    if (offset > bytes_.size() || bytes_.size() - offset < kFirstBytes<T>) return std::nullopt;
    std::optional<T> value(std::in_place);
    const size_t known = std::min(sizeof(T), bytes_.size() - offset);
    std::memcpy(&*value, bytes_.data() + offset, known);
    std::memset(reinterpret_cast<std::byte*>(&*value) + known, 0xff, sizeof(T) - known);
    return value;
  }

  bool Holds(trace::Str string) const {
    return string.bytes == 0 ||
           (string.offset <= bytes_.size() && string.bytes <= bytes_.size() - string.offset);
  }

  // As it stands in the file; empty where the reference leaves the record.
  std::string_view RawText(trace::Str string) const;
  std::string Text(trace::Str string, bool keep_newlines = false) const {
    return Sanitized(RawText(string), keep_newlines);
  }

  // The frames behind a Site, as many as the record really holds.
  std::vector<trace::Frame> Frames(const trace::Site& site) const;
  std::vector<trace::PythonFrame> Frames(const trace::PythonSite& site) const;

  // Why the record is not what its type promises; empty: nothing wrong.
  std::string Defect() const;

 private:
  std::span<const std::byte> bytes_;
  uint64_t file_offset_;
};

// "GraphLaunch", or "type 99" for a type that this version does not know.
std::string RecordTypeName(trace::RecordType type);

}  // namespace lamplight
