// Captures from begin to end, by stream. The map is small: one entry per open capture.
//
// Thread-safe.
#pragma once

#include <cuda.h>

#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "shim/graphs.h"
#include "shim/recorder/thread_id.h"

namespace lamplight::shim {

class OpenCaptures {
 public:
  // False where the stream had one open whose end was not seen: it is forgotten.
  bool Began(CUstream stream, const GraphInfo& info) {
    std::lock_guard lock(mutex_);
    return open_.insert_or_assign(Key(stream), info).second;
  }
  // Nothing where the begin was not seen.
  std::optional<GraphInfo> Ended(CUstream stream) {
    std::lock_guard lock(mutex_);
    auto ended = open_.extract(Key(stream));
    if (ended.empty()) return std::nullopt;
    return std::move(ended.mapped());
  }

 private:
  using StreamKey = std::pair<CUstream, uint32_t>;

  // Each thread has a default stream of its own under one handle.
  static StreamKey Key(CUstream stream) {
    return {stream, stream == CU_STREAM_PER_THREAD ? CurrentThreadId() : 0};
  }

  std::mutex mutex_;
  std::map<StreamKey, GraphInfo> open_;
};

}  // namespace lamplight::shim
