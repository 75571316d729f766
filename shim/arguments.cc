// Unpacking, by the offsets that the driver tells of a kernel's parameters.
#include "shim/arguments.h"

#include <cstring>

namespace lamplight::shim {
namespace {

// There are two keys: a longer list is not one.
constexpr int kMostOptions = 4;

}  // namespace

PackedArguments::PackedArguments(void* const* extra) noexcept {
  if (extra == nullptr) return;
  const void* buffer = nullptr;
  size_t length = 0;
  for (int i = 0; *extra != CU_LAUNCH_PARAM_END; ++i, extra += 2) {
    if (i == kMostOptions || extra[1] == nullptr) return;
    if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER) {
      buffer = extra[1];
    } else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE) {
      std::memcpy(&length, extra[1], sizeof length);
    } else {
      return;
    }
  }
  bytes = static_cast<const std::byte*>(buffer);
  size = length;
}

void* PackedArguments::At(const lamport::ParameterSpan& parameter) const noexcept {
  if (bytes == nullptr || parameter.size > size || parameter.offset > size - parameter.size) {
    return nullptr;
  }
  return const_cast<std::byte*>(bytes + parameter.offset);
}

Arguments::Arguments(const Function& function, void** one_by_one, void* const* extra) noexcept
    : array_(one_by_one) {
  if (one_by_one != nullptr || extra == nullptr) return;
  const std::vector<lamport::ParameterSpan>& parameters = function.parameters;
  if (parameters.empty() || parameters.size() > kMost) return;
  const PackedArguments packed(extra);
  for (size_t i = 0; i < parameters.size(); ++i) {
    unpacked_[i] = packed.At(parameters[i]);
    if (unpacked_[i] == nullptr) return;
  }
  array_ = unpacked_.data();
}

}  // namespace lamplight::shim
