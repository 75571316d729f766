// Reads the launch of a kernel of the field as a call of ours: same tensors, same workspace, same
// arithmetic. Pure; thread-safe.
//
// Sources: FlashInfer 0.6.0rc1 – 0.7.2, include/flashinfer/comm/trtllm_mnnvl_allreduce.cuh and
// trtllm_allreduce_fusion.cuh. The layouts were checked against the driver's parameter list when
// the kernel was recognised (shim/lamport).
#pragma once

#include <string>

#include "kernels/launch_plan.h"
#include "shim/lamport/recognition.h"

namespace lamplight::shim {

struct FieldCall {
  kernels::Kernel kernel{};
  kernels::Protocol protocol{};
  kernels::CollectiveCall call{};
  bool rank_unknown = false;  // the launch does not say it: the kernel in front of it did
};

// False with the reason where it cannot be proved that a kernel of ours does the same. `symbol` is
// the kernel's mangled name, `parameters` one pointer for each parameter.
bool ReadFieldCall(const lamport::Recognition& recognition, const std::string& symbol,
                   void* const* parameters, FieldCall* out, const char** why_not) noexcept;

}  // namespace lamplight::shim
