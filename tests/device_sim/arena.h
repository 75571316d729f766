// Device memory of one device: a sparse memory file, mapped whole, with a first-fit allocator.
//
// Thread-safe. The file has no name, so a killed process leaks nothing; other processes reach it
// through /proc/<pid>/fd. Freed ranges give their pages back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace device_sim {

class Arena {
 public:
  // Null mapping (base() == nullptr) where the system refuses; errno then says why.
  Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  std::byte* base() const { return base_; }
  size_t size() const { return size_; }
  int file() const { return file_; }
  uint64_t identity() const { return identity_; }
  size_t free_bytes() const;

  // Null where no range is long enough. Zero-length requests are the caller's to refuse.
  std::byte* Allocate(size_t bytes);
  void Free(std::byte* start, size_t bytes);

  static constexpr size_t kGranularity = 4096;
  static size_t RoundUp(size_t bytes) {
    return (bytes + kGranularity - 1) / kGranularity * kGranularity;
  }

 private:
  std::byte* base_ = nullptr;
  size_t size_ = 0;
  int file_ = -1;
  uint64_t identity_ = 0;
  mutable std::mutex mutex_;
  std::map<size_t, size_t> free_;  // offset → bytes, never adjacent
  size_t free_bytes_ = 0;
};

// The first page of every arena, so that a stale handle is told from a live one.
struct ArenaHeader {
  uint64_t magic;
  uint64_t identity;
};
inline constexpr uint64_t kArenaMagic = 0x4c414d504152454eu;

}  // namespace device_sim
