// The trace file of this process: its header, its definitions, and the event ring in it.
//
// AppendDefinition is for any thread, the ring for the drain thread alone.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "shim/recorder/event_ring.h"
#include "shim/trace_format.h"

namespace lamplight::shim {

// Invariants: the file appears under its name with a complete header or not at all. Header and ring
// are mapped and have their blocks, so that a full disk cannot fault a store. Bytes beyond
// defs_bytes are no part of the trace until defs_bytes says so.
class TraceFile {
 public:
  static std::unique_ptr<TraceFile> Create(const std::string& directory, uint64_t ring_bytes,
                                           std::string* error);
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;
  ~TraceFile();

  // Sets the record's crc and writes it; false, with the reason in `error`, where there is no room.
  // A loss is counted in the header.
  bool AppendDefinition(trace::RecordHeader* record, std::string* error);

  // From then on definitions beyond so many bytes are lost.
  void LimitDefinitions(uint64_t bytes) { max_definition_bytes_ = bytes; }

  EventRing& ring() { return ring_; }
  trace::FileHeader& header() { return *header_; }
  const std::string& path() const { return path_; }
  // Null: all is well. Otherwise why nothing may be written any more: somebody cut the file, and
  // another store into the mapping could fault, or the descriptor means another file by now.
  const char* Lost() const noexcept;

 private:
  // A file, whatever it is called.
  struct Identity {
    dev_t device;
    ino_t inode;
    bool operator==(const Identity&) const = default;
  };

  TraceFile(int fd, const Identity& identity, void* mapping, uint64_t mapped_bytes,
            std::string path);
  // Owns `fd` from its call on.
  static std::unique_ptr<TraceFile> Fill(int fd, const trace::FileHeader& header,
                                         const std::string& path, std::string* error);

  // 0 or an errno value.
  int Reserve(uint64_t end) noexcept;
  int Write(const void* bytes, size_t size, uint64_t offset) noexcept;

  const int fd_;
  const Identity identity_;
  const uint64_t mapped_bytes_;
  const std::string path_;
  trace::FileHeader* const header_;
  EventRing ring_;
  std::mutex definitions_mutex_;
  uint64_t definitions_bytes_ = 0;
  uint64_t definitions_dropped_ = 0;
  uint64_t max_definition_bytes_ = ~uint64_t{0};
  uint64_t reserved_end_ = 0;  // the file has blocks up to here
};

}  // namespace lamplight::shim
