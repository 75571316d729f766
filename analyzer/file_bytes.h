// A file's content in memory, holes left untouched. Not a mapping of the file: a trace may be cut
// by its owner while it is read, and a mapping would end in SIGBUS. Thread-safe: immutable once
// read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace lamplight {

struct Unmapper {
  size_t size = 0;
  void operator()(std::byte* memory) const;
};

class FileBytes {
 public:
  // nullopt: `*error` says why and what to do. `head_again` receives the first bytes as they are
  // after everything else was read: counters that move while the file grows.
  static std::optional<FileBytes> Read(const std::string& path, std::span<std::byte> head_again,
                                       std::string* error);

  std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }

 private:
  std::unique_ptr<std::byte, Unmapper> memory_;
  size_t size_ = 0;
};

}  // namespace lamplight
