// Builds one definition of variable size: a trace struct, an array behind it, strings behind that.
//
// For one thread, off the hot path: allocates, and may throw std::bad_alloc.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <vector>

#include "shim/trace_format.h"

namespace lamplight::shim {

// Invariants: the buffer starts with a T whose header has the type; the record never outgrows
// trace::kMaxRecordBytes, strings and arrays are cut instead.
//
//   RecordBuilder<trace::Site> site(trace::RecordType::kSite);
//   site->site_id = 7;
//   site->frames = site.AddArray<trace::Frame>(count);      // before the first string
//   site.Element<trace::Frame>(0).address = pc;
//   site.SetString(0, &trace::Frame::symbol, "main");
//   recorder.Define(site);
template <class T>
class RecordBuilder {
 public:
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % trace::kRecordAlign == 0);
  static constexpr size_t kMaxStringBytes = 16 << 10;

  explicit RecordBuilder(trace::RecordType type) : buffer_(sizeof(T)) {
    (*this)->header.type = static_cast<uint16_t>(type);
  }

  // Valid until the next Add or Set.
  T* operator->() { return reinterpret_cast<T*>(buffer_.data()); }
  T& operator*() { return *operator->(); }

  void SetString(trace::Str T::*field, std::string_view text) {
    const trace::Str stored = AddString(text);
    this->operator*().*field = stored;
  }

  template <class E>
  void SetString(size_t index, trace::Str E::*field, std::string_view text) {
    const trace::Str stored = AddString(text);
    Element<E>(index).*field = stored;
  }

  // Appends zeroed elements; returns how many there was room for. Only before the first string: the
  // array follows the struct.
  template <class E>
  uint32_t AddArray(size_t count) {
    static_assert(std::is_trivially_copyable_v<E> && sizeof(E) % trace::kRecordAlign == 0);
    if (buffer_.size() != sizeof(T)) return 0;
    const size_t fitting = std::min(count, Room() / sizeof(E));
    buffer_.resize(buffer_.size() + fitting * sizeof(E));
    return static_cast<uint32_t>(fitting);
  }

  // Valid until the next Add or Set.
  template <class E>
  E& Element(size_t index) {
    return reinterpret_cast<E*>(buffer_.data() + sizeof(T))[index];
  }

  // Longer strings end in "…", and never in half a UTF-8 sequence.
  trace::Str AddString(std::string_view text) {
    constexpr std::string_view kEllipsis = "\xe2\x80\xa6";
    const size_t limit = std::min(kMaxStringBytes, Room());
    const trace::Str stored{static_cast<uint32_t>(buffer_.size()), 0};
    if (text.size() <= limit) return Append(stored, text, {});
    if (limit < kEllipsis.size()) return stored;
    size_t kept = limit - kEllipsis.size();
    while (kept > 0 && (static_cast<unsigned char>(text[kept]) & 0xc0) == 0x80) --kept;
    return Append(stored, text.substr(0, kept), kEllipsis);
  }

  // The whole record, its length set and rounded up; valid until the next Add or Set.
  trace::RecordHeader* Finish() {
    buffer_.resize((buffer_.size() + trace::kRecordAlign - 1) & ~size_t{trace::kRecordAlign - 1});
    (*this)->header.bytes = static_cast<uint32_t>(buffer_.size());
    return &(*this)->header;
  }

 private:
  size_t Room() const { return trace::kMaxRecordBytes - buffer_.size(); }

  trace::Str Append(trace::Str at, std::string_view text, std::string_view end) {
    buffer_.resize(buffer_.size() + text.size() + end.size());
    std::copy(text.begin(), text.end(), reinterpret_cast<char*>(buffer_.data()) + at.offset);
    std::copy(end.begin(), end.end(),
              reinterpret_cast<char*>(buffer_.data()) + at.offset + text.size());
    at.bytes = static_cast<uint32_t>(text.size() + end.size());
    return at;
  }

  std::vector<std::byte> buffer_;
};

}  // namespace lamplight::shim
