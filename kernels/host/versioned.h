// Structs of callers that were built with another version of the header. Pure; thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/host/status.h"

namespace lamplight::kernels {

// Bytes of T up to and including a member.
#define LAMPLIGHT_BYTES_THROUGH(type, member) (offsetof(type, member) + sizeof(type::member))

// Copies what the caller has; what an older caller lacks is zero. A newer caller's further fields
// must be zero, as they ask for what this library cannot do otherwise. `least`: bytes that every
// caller has.
template <class T>
Status ReadVersioned(const T* from, size_t least, const char* name, T* out) {
  if (from == nullptr) return Error(LAMPLIGHT_ERROR_NULL, "%s is null", name);
  uint32_t size;
  std::memcpy(&size, from, sizeof size);
  constexpr size_t kMost = 4096;
  if (size < least || size > kMost) {
    return Error(LAMPLIGHT_ERROR_STRUCT_SIZE,
                 "%s->struct_size is %u, this library takes %zu to %zu: set it to sizeof(*%s)",
                 name, size, least, kMost, name);
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(from);
  for (size_t i = sizeof(T); i < size; ++i) {
    if (bytes[i] == 0) continue;
    return Error(LAMPLIGHT_ERROR_STRUCT_SIZE,
                 "%s->struct_size is %u and byte %zu is set: it asks for what this library "
                 "(version %u, %zu bytes) does not know; use a newer library or leave it 0",
                 name, size, i, unsigned{LAMPLIGHT_VERSION}, sizeof(T));
  }
  *out = {};
  std::memcpy(out, from, std::min<size_t>(size, sizeof(T)));
  out->struct_size = sizeof(T);
  return {};
}

}  // namespace lamplight::kernels
