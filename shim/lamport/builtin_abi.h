// The texts of abi.json, abi_sglang.json and abi_tensorrt_llm.json, built into the library.
// Constant.
#pragma once

#include <string_view>

namespace lamplight::lamport {

extern const std::string_view kBuiltinAbi;
extern const std::string_view kBuiltinSglangAbi;
extern const std::string_view kBuiltinTensorRtLlmAbi;

}  // namespace lamplight::lamport
