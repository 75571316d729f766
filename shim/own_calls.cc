// The kernels' own code, compiled for the host.
#include "shim/own_calls.h"

#include "kernels/epoch.cuh"

namespace lamplight::shim {
namespace {

kernels::DataType TypeOf(trace::DataType type) {
  switch (type) {
    case trace::DataType::kF32:
      return kernels::DataType::kFp32;
    case trace::DataType::kBf16:
      return kernels::DataType::kBf16;
    default:
      return kernels::DataType::kFp16;
  }
}

kernels::Kernel KernelOf(trace::Algorithm algorithm) {
  const bool two_shot =
      algorithm == trace::Algorithm::kTwoShot || algorithm == trace::Algorithm::kEpochTwoShot;
  return two_shot ? kernels::Kernel::kTwoShot : kernels::Kernel::kOneShot;
}

kernels::Protocol ProtocolOf(trace::Algorithm algorithm) {
  const bool epoch =
      algorithm == trace::Algorithm::kEpochOneShot || algorithm == trace::Algorithm::kEpochTwoShot;
  return epoch ? kernels::Protocol::kEpoch : kernels::Protocol::kMnnvl;
}

kernels::CollectiveCall CallOf(const trace::LamportCall& call, trace::DataType type) {
  kernels::CollectiveCall own{};
  own.tokens = call.tokens;
  own.hidden = call.dim;
  own.world = call.world;
  own.data_type = TypeOf(type);
  return own;
}

}  // namespace

uint32_t KindOf(const trace::LamportCall& call, trace::Algorithm algorithm, trace::DataType type) {
  return kernels::KindOf(CallOf(call, type), KernelOf(algorithm), ProtocolOf(algorithm));
}

uint64_t TagOf(const trace::LamportCall& call, trace::Algorithm algorithm, trace::DataType type,
               uint64_t epoch) {
  return kernels::TagOf(epoch + 1, kernels::ShapeOf(CallOf(call, type), KernelOf(algorithm)));
}

bool IsWhole(const kernels::Header& header) {
  return header.kind_and_check >> 16 != 0 && kernels::Fits(header);
}

}  // namespace lamplight::shim
