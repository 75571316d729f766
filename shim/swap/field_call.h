// Reads the launch of a kernel of the field as a call of ours: same tensors, same workspace, same
// arithmetic. Pure; thread-safe.
//
// Sources: TensorRT-LLM, cpp/tensorrt_llm/kernels/communicationKernels, mnnvlAllreduceKernels.cu
// and allReduceFusionKernels.{cu,h}; FlashInfer 0.6.0rc1 – 0.7.4,
// include/flashinfer/comm/trtllm_mnnvl_allreduce.cuh and trtllm_allreduce_fusion.cuh. The layouts
// were checked against the driver's parameter list when the kernel was recognised (shim/lamport).
#pragma once

#include "kernels/launch_plan.h"
#include "shim/swap/field_kernel.h"

namespace lamplight::shim {

struct FieldCall {
  kernels::Kernel kernel{};
  kernels::Protocol protocol{};
  kernels::CollectiveCall call{};
  bool rank_unknown = false;  // the launch does not say it: the kernel in front of it did
};

// Null with `out` filled; else why it cannot be proved that a kernel of ours does the same.
// `parameters` holds one pointer for each parameter. No heap.
const char* ReadFieldCall(const FieldKernel& kernel, void* const* parameters,
                          FieldCall* out) noexcept;

}  // namespace lamplight::shim
