// The text of abi.json, built into the library. Constant.
#pragma once

#include <string_view>

namespace lamplight::lamport {

extern const std::string_view kBuiltinAbi;

}  // namespace lamplight::lamport
