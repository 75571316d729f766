// Walks a stretch of bytes record by record and finds its way again behind damage.
// Thread-safe: one scanner per file, no shared state.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "analyzer/record_view.h"

namespace lamplight {

struct Stretch {
  uint64_t offset;
  uint64_t bytes;
};

// Invariant: the CRC work of one scanner is bounded, whatever the bytes are. Hostile content can
// make every eighth byte look like the start of a megabyte record; past the budget, the search for
// a next record gives up and the rest counts as damaged.
class RecordScanner {
 public:
  explicit RecordScanner(std::span<const std::byte> file);

  // Calls `found` for each valid record in [begin, end), in order (pads too), and `damaged` for
  // each stretch that holds none. `begin` must be a multiple of 8.
  void Walk(uint64_t begin, uint64_t end, const std::function<void(const RecordView&)>& found,
            const std::function<void(Stretch)>& damaged);

  // Length of the valid record at `offset`, wholly before `end`; 0: there is none.
  uint32_t ValidRecord(uint64_t offset, uint64_t end);

  bool exhausted() const { return budget_ == 0; }

 private:
  uint64_t NextRecord(uint64_t offset, uint64_t end);

  std::span<const std::byte> file_;
  uint64_t budget_;  // bytes of CRC left for searching
};

}  // namespace lamplight
