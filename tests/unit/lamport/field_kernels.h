// Kernels in the field: symbols and parameters as CUDA 13.0 compiles FlashInfer's releases.
//
// Read from the PTX of explicit instantiations of each release's headers. Constant.
#pragma once

#include <string_view>
#include <vector>

#include "shim/lamport/recognition.h"

namespace lamplight::lamport {

struct FieldKernel {
  std::string_view release;
  std::string_view symbol;
  std::vector<ParameterSpan> parameters;
};

// clang-format off
inline const std::vector<FieldKernel>& FieldKernels() {
  static const std::vector<FieldKernel> kernels = {
    {"0.2.8", "_ZN10flashinfer22trtllm_mnnvl_allreduce24twoshot_allreduce_kernelILi8E13__nv_bfloat16EEvPT0_S4_PS4_S4_iiiiPjb",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 4}, {44, 4}, {48, 8}, {56, 1}}},
    {"0.2.8", "_ZN10flashinfer22trtllm_mnnvl_allreduce24twoshot_allreduce_kernelILi2EfEEvPT0_S3_PS3_S3_iiiiPjb",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 4}, {44, 4}, {48, 8}, {56, 1}}},
    {"0.2.8", "_ZN10flashinfer22trtllm_mnnvl_allreduce7RMSNormILi7168ELi128ELi1E13__nv_bfloat16S2_EEvPT3_PT2_PKS3_S8_fS8_iPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {40, 8}, {48, 4}, {56, 8}}},
    {"0.2.8", "_ZN10flashinfer23trtllm_allreduce_fusion39allreduce_fusion_kernel_oneshot_lamportILNS0_22AllReduceFusionPatternE1E13__nv_bfloat16Li8ELb1ELb1EEEvNS0_21AllReduceFusionParamsIT0_EE",
     {{0, 120}}},
    {"0.2.8", "_ZN10flashinfer23trtllm_allreduce_fusion39allreduce_fusion_kernel_oneshot_lamportILNS0_22AllReduceFusionPatternE0E6__halfLi2ELb0ELb0EEEvNS0_21AllReduceFusionParamsIT0_EE",
     {{0, 120}}},
    {"0.2.8", "_ZN10flashinfer23trtllm_allreduce_fusion36allreduce_fusion_kernel_twoshot_syncILNS0_22AllReduceFusionPatternE1E13__nv_bfloat16Li4ELb1EEEvNS0_21AllReduceFusionParamsIT0_EESt5arrayIiXT1_EES8_",
     {{0, 120}, {120, 16}, {136, 16}}},
    {"0.5.3", "_ZN10flashinfer22trtllm_mnnvl_allreduce24twoshot_allreduce_kernelILi8E13__nv_bfloat16EEvPT0_S4_PS4_S4_iiiiPjb",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 4}, {44, 4}, {48, 8}, {56, 1}}},
    {"0.5.3", "_ZN10flashinfer22trtllm_mnnvl_allreduce24twoshot_allreduce_kernelILi2EfEEvPT0_S3_PS3_S3_iiiiPjb",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 4}, {44, 4}, {48, 8}, {56, 1}}},
    {"0.5.3", "_ZN10flashinfer22trtllm_mnnvl_allreduce7RMSNormILi7168ELi128ELi1E13__nv_bfloat16S2_EEvPT3_PT2_PKS3_S8_fS8_iPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {40, 8}, {48, 4}, {56, 8}}},
    {"0.5.3", "_ZN10flashinfer23trtllm_allreduce_fusion39allreduce_fusion_kernel_oneshot_lamportILNS0_22AllReduceFusionPatternE1E13__nv_bfloat16Li8ELb1ELb1EEEvNS0_21AllReduceFusionParamsIT0_EE",
     {{0, 128}}},
    {"0.5.3", "_ZN10flashinfer23trtllm_allreduce_fusion39allreduce_fusion_kernel_oneshot_lamportILNS0_22AllReduceFusionPatternE0E6__halfLi2ELb0ELb0EEEvNS0_21AllReduceFusionParamsIT0_EE",
     {{0, 128}}},
    {"0.5.3", "_ZN10flashinfer23trtllm_allreduce_fusion36allreduce_fusion_kernel_twoshot_syncILNS0_22AllReduceFusionPatternE1E13__nv_bfloat16Li4ELb1EEEvNS0_21AllReduceFusionParamsIT0_EESt5arrayIiXT1_EES8_",
     {{0, 128}, {128, 16}, {144, 16}}},
    {"0.6.4", "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh8E13__nv_bfloat16Lb1E6float4EEvPT0_S5_PKS4_S7_S7_PS5_S5_iifiPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 8}, {56, 4}, {60, 4}, {64, 4}, {68, 4}, {72, 8}}},
    {"0.6.4", "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh2EfLb0E6float4EEvPT0_S4_PKS3_S6_S6_PS4_S4_iifiPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 8}, {56, 4}, {60, 4}, {64, 4}, {68, 4}, {72, 8}}},
    {"0.6.4", "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh16E6__halfLb1E6float4EEvPT0_S5_PKS4_S7_S7_PS5_S5_iifiPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 8}, {56, 4}, {60, 4}, {64, 4}, {68, 4}, {72, 8}}},
    {"0.6.4", "_ZN10flashinfer22trtllm_mnnvl_allreduce22twoshotAllreduceKernelILh8E13__nv_bfloat166float4EEvPT0_PKS4_PS5_S5_jjjPjb",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 4}, {48, 8}, {56, 1}}},
    {"0.6.4", "_ZN10flashinfer22trtllm_mnnvl_allreduce22twoshotAllreduceKernelILh64Ef6float4EEvPT0_PKS3_PS4_S4_jjjPjb",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 4}, {48, 8}, {56, 1}}},
    {"0.6.4", "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportI13__nv_bfloat16S2_Li1EEEvPT_PT0_S4_PKS3_fS8_jjjPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {40, 8}, {48, 4}, {52, 4}, {56, 4}, {64, 8}}},
    {"0.6.4", "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportIffLi4EEEvPT_PT0_S3_PKS2_fS7_jjjPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {40, 8}, {48, 4}, {52, 4}, {56, 4}, {64, 8}}},
    {"0.6.4", "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportI6__halfS2_Li2EEEvPT_PT0_S4_PKS3_fS8_jjjPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {40, 8}, {48, 4}, {52, 4}, {56, 4}, {64, 8}}},
    {"0.6.4", "_ZN10flashinfer23trtllm_allreduce_fusion39allreduce_fusion_kernel_oneshot_lamportILNS0_22AllReduceFusionPatternE1E13__nv_bfloat16Li8ELb1ELb1EEEvNS0_21AllReduceFusionParamsIT0_EE",
     {{0, 128}}},
    {"0.6.4", "_ZN10flashinfer23trtllm_allreduce_fusion39allreduce_fusion_kernel_oneshot_lamportILNS0_22AllReduceFusionPatternE0E6__halfLi2ELb0ELb0EEEvNS0_21AllReduceFusionParamsIT0_EE",
     {{0, 128}}},
    {"0.6.4", "_ZN10flashinfer23trtllm_allreduce_fusion36allreduce_fusion_kernel_twoshot_syncILNS0_22AllReduceFusionPatternE1E13__nv_bfloat16Li4ELb1EEEvNS0_21AllReduceFusionParamsIT0_EESt5arrayIiXT1_EES8_",
     {{0, 128}, {128, 16}, {144, 16}}},
    {"0.6.12", "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh8E13__nv_bfloat16Lb1E6float4EEvPT0_S5_PKS4_S7_S7_PS5_S5_iiffiPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 8}, {56, 4}, {60, 4}, {64, 4}, {68, 4}, {72, 4}, {80, 8}}},
    {"0.6.12", "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh2EfLb0E6float4EEvPT0_S4_PKS3_S6_S6_PS4_S4_iiffiPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 8}, {56, 4}, {60, 4}, {64, 4}, {68, 4}, {72, 4}, {80, 8}}},
    {"0.6.12", "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh16E6__halfLb1E6float4EEvPT0_S5_PKS4_S7_S7_PS5_S5_iiffiPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 8}, {56, 4}, {60, 4}, {64, 4}, {68, 4}, {72, 4}, {80, 8}}},
    {"0.6.12", "_ZN10flashinfer22trtllm_mnnvl_allreduce22twoshotAllreduceKernelILh8E13__nv_bfloat166float4EEvPT0_PKS4_PS5_S5_jjjPjb",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 4}, {48, 8}, {56, 1}}},
    {"0.6.12", "_ZN10flashinfer22trtllm_mnnvl_allreduce22twoshotAllreduceKernelILh64Ef6float4EEvPT0_PKS3_PS4_S4_jjjPjb",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 4}, {48, 8}, {56, 1}}},
    {"0.6.12", "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportI13__nv_bfloat16S2_Li1EEEvPT_PT0_S4_PKS3_ffS8_jjjPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 8}, {48, 4}, {52, 4}, {56, 4}, {64, 8}}},
    {"0.6.12", "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportIffLi4EEEvPT_PT0_S3_PKS2_ffS7_jjjPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 8}, {48, 4}, {52, 4}, {56, 4}, {64, 8}}},
    {"0.6.12", "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportI6__halfS2_Li2EEEvPT_PT0_S4_PKS3_ffS8_jjjPj",
     {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 8}, {48, 4}, {52, 4}, {56, 4}, {64, 8}}},
    {"0.6.12", "_ZN10flashinfer23trtllm_allreduce_fusion39allreduce_fusion_kernel_oneshot_lamportILNS0_22AllReduceFusionPatternE1E13__nv_bfloat16Li8ELb1ELb1EEEvNS0_21AllReduceFusionParamsIT0_EE",
     {{0, 136}}},
    {"0.6.12", "_ZN10flashinfer23trtllm_allreduce_fusion39allreduce_fusion_kernel_oneshot_lamportILNS0_22AllReduceFusionPatternE0E6__halfLi2ELb0ELb0EEEvNS0_21AllReduceFusionParamsIT0_EE",
     {{0, 136}}},
    {"0.6.12", "_ZN10flashinfer23trtllm_allreduce_fusion36allreduce_fusion_kernel_twoshot_syncILNS0_22AllReduceFusionPatternE1E13__nv_bfloat16Li4ELb1EEEvNS0_21AllReduceFusionParamsIT0_EESt5arrayIiXT1_EES8_",
     {{0, 136}, {136, 16}, {152, 16}}},
    {"0.6.13", "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh8E13__nv_bfloat16Lb1ELNS0_9QuantTypeE0E6float4EEvNS0_21AllReduceKernelParamsIT0_EE",
     {{0, 128}}},
    {"0.6.13", "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh2EfLb0ELNS0_9QuantTypeE0E6float4EEvNS0_21AllReduceKernelParamsIT0_EE",
     {{0, 128}}},
    {"0.6.13", "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh16E6__halfLb1ELNS0_9QuantTypeE1E6float4EEvNS0_21AllReduceKernelParamsIT0_EE",
     {{0, 128}}},
    {"0.6.13", "_ZN10flashinfer22trtllm_mnnvl_allreduce22twoshotAllreduceKernelILh8E13__nv_bfloat16Lb0E6float4EEvNS0_21AllReduceKernelParamsIT0_EE",
     {{0, 128}}},
    {"0.6.13", "_ZN10flashinfer22trtllm_mnnvl_allreduce22twoshotAllreduceKernelILh64EfLb1E6float4EEvNS0_21AllReduceKernelParamsIT0_EE",
     {{0, 128}}},
    {"0.6.13", "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportI13__nv_bfloat16LNS0_9QuantTypeE0ELb1ELi1E6float4EEvNS0_21AllReduceKernelParamsIT_EE",
     {{0, 128}}},
    {"0.6.13", "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportI6__halfLNS0_9QuantTypeE1ELb0ELi2E6float4EEvNS0_21AllReduceKernelParamsIT_EE",
     {{0, 128}}},
    {"0.7.2", "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh8E13__nv_bfloat16Lb1ELNS0_9QuantTypeE0E6float4EEvNS0_21AllReduceKernelParamsIT0_EE",
     {{0, 128}}},
    {"0.7.2", "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh2EfLb0ELNS0_9QuantTypeE0E6float4EEvNS0_21AllReduceKernelParamsIT0_EE",
     {{0, 128}}},
    {"0.7.2", "_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernelILh16E6__halfLb1ELNS0_9QuantTypeE1E6float4EEvNS0_21AllReduceKernelParamsIT0_EE",
     {{0, 128}}},
    {"0.7.2", "_ZN10flashinfer22trtllm_mnnvl_allreduce22twoshotAllreduceKernelILh8E13__nv_bfloat16Lb0E6float4EEvNS0_21AllReduceKernelParamsIT0_EE",
     {{0, 128}}},
    {"0.7.2", "_ZN10flashinfer22trtllm_mnnvl_allreduce22twoshotAllreduceKernelILh64EfLb1E6float4EEvNS0_21AllReduceKernelParamsIT0_EE",
     {{0, 128}}},
    {"0.7.2", "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportI13__nv_bfloat16LNS0_9QuantTypeE0ELb1ELi1E6float4EEvNS0_21AllReduceKernelParamsIT_EE",
     {{0, 128}}},
    {"0.7.2", "_ZN10flashinfer22trtllm_mnnvl_allreduce14rmsNormLamportI6__halfLNS0_9QuantTypeE1ELb0ELi2E6float4EEvNS0_21AllReduceKernelParamsIT_EE",
     {{0, 128}}},
    {"0.7.2", "_ZN10flashinfer23trtllm_allreduce_fusion39allreduce_fusion_kernel_oneshot_lamportILNS0_22AllReduceFusionPatternE1E13__nv_bfloat16Li8ELb1ELb1EEEvNS0_21AllReduceFusionParamsIT0_EE",
     {{0, 136}}},
    {"0.7.2", "_ZN10flashinfer23trtllm_allreduce_fusion39allreduce_fusion_kernel_oneshot_lamportILNS0_22AllReduceFusionPatternE0E6__halfLi2ELb0ELb0EEEvNS0_21AllReduceFusionParamsIT0_EE",
     {{0, 136}}},
    {"0.7.2", "_ZN10flashinfer23trtllm_allreduce_fusion36allreduce_fusion_kernel_twoshot_syncILNS0_22AllReduceFusionPatternE1E13__nv_bfloat16Li4ELb1EEEvNS0_21AllReduceFusionParamsIT0_EESt5arrayIiXT1_EES8_",
     {{0, 136}, {136, 16}, {152, 16}}},
  };
  return kernels;
}
// clang-format on

// The kernel of `release` whose symbol contains `part`.
inline const FieldKernel& FindKernel(std::string_view release, std::string_view part) {
  for (const FieldKernel& kernel : FieldKernels()) {
    if (kernel.release == release && kernel.symbol.find(part) != std::string_view::npos) {
      return kernel;
    }
  }
  static const FieldKernel none{};
  return none;
}

}  // namespace lamplight::lamport
