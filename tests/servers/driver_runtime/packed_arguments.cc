#include "packed_arguments.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace driver_runtime {
namespace {

bool Wanted() {
  static const char* value = std::getenv("PIECEWISE_ARGUMENTS");
  return value != nullptr && std::string_view(value) == "packed";
}

}  // namespace

PackedArguments::PackedArguments(const Driver& driver, CUkernel kernel, void** one_by_one)
    : one_by_one_(one_by_one) {
  if (!Wanted()) return;
  size_t offset = 0, size = 0;
  for (size_t i = 0; driver.cuKernelGetParamInfo(kernel, i, &offset, &size) == CUDA_SUCCESS; ++i) {
    bytes_.resize(offset + size);
    std::memcpy(bytes_.data() + offset, one_by_one[i], size);
  }
  size_ = bytes_.size();
  extra_ = {CU_LAUNCH_PARAM_BUFFER_POINTER, bytes_.data(), CU_LAUNCH_PARAM_BUFFER_SIZE, &size_,
            CU_LAUNCH_PARAM_END};
}

}  // namespace driver_runtime
