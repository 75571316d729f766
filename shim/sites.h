// Where things happened: native stacks of captures, instantiations and hung threads, and the Python
// stacks of the former, defined once each.
//
// Thread-safe; off the hot path (symbols are looked up here). May throw std::bad_alloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <unordered_map>

#include "shim/recorder/recorder.h"
#include "shim/stacks/python_frames.h"

namespace lamplight::shim {

class Sites {
 public:
  explicit Sites(Recorder& recorder) : recorder_(recorder) {}

  // An address in the code that called into CUDA: the innermost frame outside the shim and CUDA's
  // own libraries; 0 where there is none.
  static uintptr_t HostCaller();
  // The calling thread's stack without `skip` innermost frames (where a driver's function is seen
  // also without those of the way there), and its Python stack; 0 where neither is to be had.
  uint32_t Here(size_t skip);
  uint32_t Define(std::span<const uintptr_t> pcs, std::span<const stacks::PythonFrame> python = {});

 private:
  void DefineNative(uint32_t id, std::span<const uintptr_t> pcs);
  void DefinePython(uint32_t id, std::span<const stacks::PythonFrame> python);

  Recorder& recorder_;
  std::mutex mutex_;
  std::unordered_map<uint64_t, uint32_t> by_hash_;
  uint32_t next_id_ = 1;
};

}  // namespace lamplight::shim
