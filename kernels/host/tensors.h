// The tensors of a call: which must be there, how they are aligned, which may overlap. One thread
// uses one object; allocates nothing.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/host/status.h"

namespace lamplight::kernels {

enum class Role : uint8_t {
  kRow,         // read row by row, by the threads that later write the same row of an output
  kShared,      // read by every row
  kOutput,      // written row by row, of the size of an input's row
  kOtherOutput  // written in another layout
};

struct Tensor {
  const char* name;
  const void* address;
  uint64_t bytes;
  Role role;
};

class TensorList {
 public:
  // A tensor that the call uses: not null, and aligned.
  Status Need(const Tensor& tensor, size_t alignment);
  // A tensor that it uses where it is given.
  Status Take(const Tensor& tensor, size_t alignment);
  // No output may touch what another row or another output still needs.
  Status CheckOverlaps() const;

 private:
  static constexpr size_t kMost = 8;
  std::array<Tensor, kMost> tensors_;
  size_t count_ = 0;
};

// A tensor that the call has no use for: `why` says so.
Status RefuseTensor(lamplight_status code, const char* name, const void* address, const char* why);

}  // namespace lamplight::kernels
