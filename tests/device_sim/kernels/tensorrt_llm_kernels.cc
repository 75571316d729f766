// TensorRT-LLM's unicast kernels, 1.2.0rc6 and later (inline namespace _v1): what has not come is a
// 32-bit word of −0, whatever the data type. Which kernel arms the buffers tells where the sizes
// are: in the flag words, or, from about 1.3.0rc0 on, as 64-bit numbers of their own.
#include <atomic>
#include <cstddef>
#include <string>

#include "unicast.h"

namespace device_sim {
namespace {

struct Parameters {
  int32_t ranks;
  int32_t rank;
  int32_t data_type;
  int32_t elements;
  int32_t hidden;
  void** workspace;
  const void* input;
  const void* residual_in;
  void* sums;
  void* residual_out;
  void* norm_out;
  void* quant_output;
  void* scale_output;
  const void* gamma;
  float epsilon;
  const float* scale;
  bool oneshot;
  int32_t layout;
  void* stream;
  int32_t pattern;
  bool trigger_at_end;
};
static_assert(sizeof(Parameters) == 136 && offsetof(Parameters, workspace) == 24);
static_assert(offsetof(Parameters, gamma) == 88 && offsetof(Parameters, pattern) == 128);

std::atomic<bool> sizes_apart{false};

unicast::State StateOf(const Parameters& p) {
  void** state = p.workspace + 3 * unicast::kWorld;
  return {static_cast<int32_t*>(state[0]), sizes_apart ? static_cast<int64_t*>(state[1]) : nullptr};
}

void Arm(float* buffer, uint64_t elements) {
  for (uint64_t i = 0; i < elements; ++i) buffer[i] = -0.0f;
}
void ArmBySizesOf32(KernelContext&, float* buffer, int elements) {
  sizes_apart = false;
  Arm(buffer, static_cast<uint64_t>(elements));
}
void ArmBySizesOf64(KernelContext&, float* buffer, size_t elements) {
  sizes_apart = true;
  Arm(buffer, elements);
}

using Family = unicast::Family<Parameters, StateOf, unicast::Bf16InWords>;
constexpr char kFamily[] = "_ZN12tensorrt_llm3_v17kernels9ar_fusion";
const Family plain(kFamily, "S2_", 0);
const Family normed(kFamily, "S2_", 1);
const KernelRegistration arm_32(std::string(kFamily) + "25lamport_initialize_kernelEPfi",
                                ArmBySizesOf32);
const KernelRegistration arm_64(std::string(kFamily) + "25lamport_initialize_kernelEPfm",
                                ArmBySizesOf64);

}  // namespace
}  // namespace device_sim
