// The texts of abi.json and abi_tensorrt_llm.json, built into the library. Constant.
#pragma once

#include <string_view>

namespace lamplight::lamport {

extern const std::string_view kBuiltinAbi;
extern const std::string_view kBuiltinTensorRtLlmAbi;

}  // namespace lamplight::lamport
