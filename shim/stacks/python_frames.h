// The Python frames of the calling thread, where the process runs CPython 3.10 or later.
//
// Any thread may call, holding the GIL or not, known to Python or not. Never from a hot path: it
// may start a thread and wait for it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lamplight::stacks {

inline constexpr size_t kMaxPythonFrames = 64;

struct PythonFrame {
  std::string file;
  std::string function;
  uint32_t line = 0;  // 0: unknown
};

// Innermost first, at most kMaxPythonFrames; empty where there are none to be had. Where the caller
// has released the GIL (as PyTorch does around captures), waits at most `limit` for another thread
// of ours to get it; where it never comes, later calls no longer try.
std::vector<PythonFrame> PythonFramesHere(std::chrono::milliseconds limit);

}  // namespace lamplight::stacks
