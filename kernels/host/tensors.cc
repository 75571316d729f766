#include "kernels/host/tensors.h"

#include "kernels/host/settings.h"

namespace lamplight::kernels {
namespace {

bool IsOutput(const Tensor& tensor) {
  return tensor.role == Role::kOutput || tensor.role == Role::kOtherOutput;
}

bool Overlap(const Tensor& a, const Tensor& b) {
  const auto first = reinterpret_cast<uintptr_t>(a.address);
  const auto second = reinterpret_cast<uintptr_t>(b.address);
  return first < second + b.bytes && second < first + a.bytes;
}

// A row of the output is written by the threads that have read the same row of the input, and sent
// it: calls in place are planned so (PlanLaunch).
bool InPlace(const Tensor& a, const Tensor& b) {
  const bool rows = (a.role == Role::kRow && b.role == Role::kOutput) ||
                    (a.role == Role::kOutput && b.role == Role::kRow);
  return rows && a.address == b.address;
}

}  // namespace

Status TensorList::Need(const Tensor& tensor, size_t alignment) {
  if (tensor.address == nullptr) {
    return Error(LAMPLIGHT_ERROR_NULL, "%s is null: this call needs it", tensor.name);
  }
  return Take(tensor, alignment);
}

Status TensorList::Take(const Tensor& tensor, size_t alignment) {
  if (tensor.address == nullptr) return {};
  LAMPLIGHT_TRY(CheckAligned(tensor.address, alignment, tensor.name));
  tensors_[count_++] = tensor;
  return {};
}

Status TensorList::CheckOverlaps() const {
  for (size_t i = 0; i < count_; ++i) {
    for (size_t j = i + 1; j < count_; ++j) {
      const Tensor& a = tensors_[i];
      const Tensor& b = tensors_[j];
      if (!IsOutput(a) && !IsOutput(b)) continue;
      if (!Overlap(a, b) || InPlace(a, b)) continue;
      return Error(
          LAMPLIGHT_ERROR_OVERLAP,
          "%s (%p, %llu bytes) overlaps %s (%p, %llu bytes): only output and residual_out may "
          "be the very tensor input or residual_in",
          a.name, a.address, static_cast<unsigned long long>(a.bytes), b.name, b.address,
          static_cast<unsigned long long>(b.bytes));
    }
  }
  return {};
}

Status RefuseTensor(lamplight_status code, const char* name, const void* address, const char* why) {
  if (address == nullptr) return {};
  return Error(code, "%s is %p: leave it null, %s", name, address, why);
}

}  // namespace lamplight::kernels
