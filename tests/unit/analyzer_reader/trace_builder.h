// Writes valid trace files record by record, for tests: a writer that shares no code with the
// shim's.
//
//   TraceBuilder trace;
//   trace.Define(Draft<trace::Kernel>().Set([](auto& k) { k.kernel_id = 1; })
//                    .String(&trace::Kernel::symbol, "_Z6kernelv"));
//   trace.Event(launch);
//   WriteFile(path, trace.File());
//
// For one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "analyzer/record_fields.h"
#include "shim/trace_format.h"

namespace lamplight::testing {

using Bytes = std::vector<std::byte>;

template <class T>
trace::RecordType TypeOf() {
  trace::RecordType found = trace::RecordType::kNone;
  for (uint16_t type = 0; type < 128; ++type) {
    Dispatch(static_cast<trace::RecordType>(type),
             [&]<class R>(std::type_identity<R>, const char*) {
               if constexpr (std::is_same_v<R, T>) found = static_cast<trace::RecordType>(type);
             });
  }
  return found;
}

// Computes and stores the CRC of a whole record.
void Seal(Bytes* record);

// One record being put together: a T, arrays and strings behind it.
template <class T>
class Draft {
 public:
  explicit Draft(const T& record = {}) : bytes_(sizeof(T)) {
    std::memcpy(bytes_.data(), &record, sizeof(T));
  }

  template <class F>
  Draft& Set(F change) {
    return ChangeAt<T>(0, change);
  }

  Draft& String(trace::Str T::*field, std::string_view text) {
    const trace::Str at = Append(text);
    return Set([&](T& record) { record.*field = at; });
  }

  // Behind a Site, before its first string; all frames first.
  Draft& Frames(size_t count) {
    bytes_.resize(bytes_.size() + count * sizeof(trace::Frame));
    return *this;
  }

  Draft& FrameSymbol(size_t frame, std::string_view symbol) {
    const trace::Str at = Append(symbol);
    return ChangeAt<trace::Frame>(sizeof(T) + frame * sizeof(trace::Frame),
                                  [&](trace::Frame& f) { f.symbol = at; });
  }

  // The same behind a PythonSite.
  Draft& PythonFrames(size_t count) {
    bytes_.resize(bytes_.size() + count * sizeof(trace::PythonFrame));
    return *this;
  }

  Draft& PythonFrame(size_t frame, std::string_view file, std::string_view function,
                     uint32_t line) {
    const trace::PythonFrame filled{Append(file), Append(function), line, 0};
    return ChangeAt<trace::PythonFrame>(sizeof(T) + frame * sizeof(trace::PythonFrame),
                                        [&](trace::PythonFrame& f) { f = filled; });
  }

  // The sealed record; `time_ns` where the draft has none.
  Bytes Finish(uint64_t time_ns) const {
    Bytes record = bytes_;
    record.resize((record.size() + 7) / 8 * 8);
    trace::RecordHeader header;
    std::memcpy(&header, record.data(), sizeof(header));
    header.bytes = static_cast<uint32_t>(record.size());
    if (header.type == 0) header.type = static_cast<uint16_t>(TypeOf<T>());
    if (header.time_ns == 0) header.time_ns = time_ns;
    if (header.tid == 0) header.tid = 100;
    std::memcpy(record.data(), &header, sizeof(header));
    Seal(&record);
    return record;
  }

 private:
  template <class E, class F>
  Draft& ChangeAt(size_t offset, F change) {
    E element;
    std::memcpy(&element, bytes_.data() + offset, sizeof(E));
    change(element);
    std::memcpy(bytes_.data() + offset, &element, sizeof(E));
    return *this;
  }

  trace::Str Append(std::string_view text) {
    const trace::Str at{static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(text.size())};
    bytes_.resize(bytes_.size() + text.size());
    std::memcpy(bytes_.data() + at.offset, text.data(), text.size());
    return at;
  }

  Bytes bytes_;
};

// Invariant: File() is a valid trace after every call, with the ring as the writer leaves it.
class TraceBuilder {
 public:
  explicit TraceBuilder(uint64_t ring_bytes = 32768);

  // Counters and identity; ring and section offsets are set by File().
  trace::FileHeader& header() { return header_; }

  // Each record without a time gets the next one: 1 ms apart.
  template <class T>
  TraceBuilder& Define(const Draft<T>& draft) {
    return DefineRaw(draft.Finish(NextTime()));
  }
  template <class T>
  TraceBuilder& Define(const T& record) {
    return Define(Draft<T>(record));
  }
  template <class T>
  TraceBuilder& Event(const Draft<T>& draft) {
    return EventRaw(draft.Finish(NextTime()));
  }
  template <class T>
  TraceBuilder& Event(const T& record) {
    return Event(Draft<T>(record));
  }
  TraceBuilder& DefineRaw(const Bytes& record);
  TraceBuilder& EventRaw(const Bytes& record);

  uint64_t now_ns() const { return now_ns_; }
  void SetTime(uint64_t now_ns) { now_ns_ = now_ns; }

  Bytes File() const;

 private:
  uint64_t NextTime() { return now_ns_ += 1'000'000; }
  void Place(const Bytes& record);
  void DropOldest();

  trace::FileHeader header_ = {};
  Bytes ring_;
  Bytes definitions_;
  uint64_t now_ns_ = 1'000'000'000;
};

void WriteFile(const std::string& path, const Bytes& bytes);

// A folder that is removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace lamplight::testing
