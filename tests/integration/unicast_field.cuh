// Names and parameters of the field's non-MNNVL fusion kernels: FlashInfer's, 0.2.9 to 0.6.10, and
// TensorRT-LLM's, 1.2.0rc6 and later. Bodies are empty: the simulated device has its own.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstddef>

struct __align__(2) __nv_bfloat16;

namespace flashinfer::trtllm_allreduce_fusion {

enum class AllReduceFusionPattern : int { kAllReduce = 0, kARResidualRMSNorm = 1 };

template <class T>
struct AllReduceFusionParams {
  int nranks, rank, size, hidden_dim;
  void** workspace;
  void *allreduce_in, *allreduce_out, *residual_in, *residual_out, *norm_out, *quant_out,
      *scale_out, *rms_gamma;
  float rms_eps;
  float* scale_factor;
  bool use_oneshot;
  int layout;
  cudaStream_t stream;
  AllReduceFusionPattern pattern;
  bool trigger_completion_at_end;
};
static_assert(sizeof(AllReduceFusionParams<float>) == 128);

template <AllReduceFusionPattern Pattern, class T, int NRanks, bool Fp32Acc, bool AtEnd>
__global__ void allreduce_fusion_kernel_oneshot_lamport(AllReduceFusionParams<T>) {}

template <AllReduceFusionPattern Pattern, class T, int NRanks, bool Fp32Acc>
__global__ void allreduce_fusion_kernel_twoshot_sync(AllReduceFusionParams<T>,
                                                     std::array<int, NRanks>,
                                                     std::array<int, NRanks>) {}

}  // namespace flashinfer::trtllm_allreduce_fusion

namespace tensorrt_llm {
inline namespace _v1 {
namespace kernels::ar_fusion {

enum class AllReduceFusionPattern : int { kAllReduce = 0, kARResidualRMSNorm = 1 };

struct AllReduceFusionParams {
  int nranks, rank, dtype, size, hidden_dim;
  void** workspace;
  void *allreduce_in, *residual_in, *allreduce_out, *residual_out, *norm_out, *quant_out,
      *scale_out, *rms_gamma;
  float rms_eps;
  float* scale_factor;
  bool use_oneshot;
  int layout;
  cudaStream_t stream;
  AllReduceFusionPattern pattern;
  bool trigger_completion_at_end;
};
static_assert(sizeof(AllReduceFusionParams) == 136);

template <AllReduceFusionPattern Pattern, class T, int NRanks, bool Fp32Acc, bool AtEnd>
__global__ void allreduce_fusion_kernel_oneshot_lamport(AllReduceFusionParams) {}

template <AllReduceFusionPattern Pattern, class T, int NRanks, bool Fp32Acc>
__global__ void allreduce_fusion_kernel_twoshot_sync(AllReduceFusionParams, std::array<int, NRanks>,
                                                     std::array<int, NRanks>) {}

// Before about 1.3.0rc0, and since.
__global__ void lamport_initialize_kernel(float*, int) {}
__global__ void lamport_initialize_kernel(float*, size_t) {}

}  // namespace kernels::ar_fusion
}  // namespace _v1
}  // namespace tensorrt_llm
