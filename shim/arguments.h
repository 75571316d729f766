// A launch's arguments as one pointer for each parameter, whichever way the host gives them: one by
// one, or packed into a buffer (CU_LAUNCH_PARAM_BUFFER_POINTER and _SIZE), as callers of the driver
// API may.
//
// Plain values on the hot path: no heap. Nothing of the host's is read but the list itself.
#pragma once

#include <cuda.h>

#include <array>
#include <cstddef>

#include "shim/functions.h"

namespace lamplight::shim {

// The buffer that a list of extra options names. Null: none, or the list holds what is not known.
struct PackedArguments {
  const std::byte* bytes = nullptr;
  size_t size = 0;

  explicit PackedArguments(void* const* extra) noexcept;
  // Null where the buffer ends before the parameter does.
  void* At(const lamport::ParameterSpan& parameter) const noexcept;
};

// The list that names a buffer, for calls that take one.
class PackedList {
 public:
  PackedList(void* bytes, size_t size) noexcept
      : size_(size), list_{Key(1), bytes, Key(2), &size_} {}
  PackedList(const PackedList&) = delete;
  PackedList& operator=(const PackedList&) = delete;

  void** get() { return list_.data(); }

 private:
  // The keys of cuda.h, which spells them as casts of these numbers.
  static void* Key(size_t number) { return reinterpret_cast<void*>(number); }

  size_t size_;
  std::array<void*, 5> list_;  // its end is a null
};

class Arguments {
 public:
  // Of a launch of `function`. One by one wins, as with the driver.
  Arguments(const Function& function, void** one_by_one, void* const* extra) noexcept;
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  // One pointer for each parameter; null: they cannot be read.
  void** get() noexcept { return array_; }

 private:
  static constexpr size_t kMost = 64;

  void** array_ = nullptr;
  std::array<void*, kMost> unpacked_;
};

}  // namespace lamplight::shim
