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

// More than any version will have: what says so was not set.
inline constexpr size_t kMostStructBytes = 4096;

// `least`: bytes that every caller has.
inline Status CheckStructSize(uint32_t size, size_t least, const char* name) {
  if (size >= least && size <= kMostStructBytes) return {};
  return Error(LAMPLIGHT_ERROR_STRUCT_SIZE,
               "%s->struct_size is %u, this library takes %zu to %zu: set it to sizeof(*%s)", name,
               size, least, kMostStructBytes, name);
}

// Copies what the caller has; what an older caller lacks is zero. A newer caller's further fields
// must be zero, as they ask for what this library cannot do otherwise.
template <class T>
Status ReadVersioned(const T* from, size_t least, const char* name, T* out) {
  if (from == nullptr) return Error(LAMPLIGHT_ERROR_NULL, "%s is null", name);
  uint32_t size;
  std::memcpy(&size, from, sizeof size);
  LAMPLIGHT_TRY(CheckStructSize(size, least, name));
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
