// With PIECEWISE_ARGUMENTS=packed in the environment, kernels get their arguments in one buffer, as
// some callers of the driver API pass them.
//
// Lives through one launch, on one thread.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <vector>

#include "driver_table.h"

namespace driver_runtime {

class PackedArguments {
 public:
  PackedArguments(const Driver& driver, CUkernel kernel, void** one_by_one);
  PackedArguments(const PackedArguments&) = delete;
  PackedArguments& operator=(const PackedArguments&) = delete;

  // What a launch takes: one of them is null.
  void** arguments() { return extra_.empty() ? one_by_one_ : nullptr; }
  void** extra() { return extra_.empty() ? nullptr : extra_.data(); }

 private:
  void** one_by_one_;
  std::vector<std::byte> bytes_;
  size_t size_ = 0;
  std::vector<void*> extra_;
};

}  // namespace driver_runtime
