#include "analyzer/detectors/advice.h"

#include <algorithm>

namespace lamplight {
namespace {

constexpr char kStrategy[] =
    "Until then take another all-reduce: allreduce_strategy: NCCL in TensorRT-LLM's options.";

constexpr char kNoFusion[] =
    "Until then switch the fused all-reduce off: start SGLang without "
    "--enable-flashinfer-allreduce-fusion, or in vLLM turn the fusion pass fuse_allreduce_rms "
    "off.";

bool OfTensorRtLlm(const Finding& finding) {
  const std::vector<NodeRef>& nodes = finding.place.nodes;
  return !nodes.empty() && std::ranges::all_of(nodes, [](const NodeRef& node) {
    return node.descriptor.starts_with("tensorrt-llm");
  });
}

}  // namespace

std::string Whose(const Finding& finding) {
  return OfTensorRtLlm(finding) ? "TensorRT-LLM's" : "FlashInfer's";
}

std::vector<std::string> AdviceOnFlushing(const Finding& finding) {
  if (OfTensorRtLlm(finding)) {
    return {
        "Build TensorRT-LLM without FAST_MATH, as its default is, or use a release whose MNNVL "
        "kernels compare bitwise (about 1.3.0rc17 and later).",
        kStrategy};
  }
  return {
      "Upgrade FlashInfer to 0.6.15 or newer: its kernels compare bitwise (checked to "
      "0.7.4).",
      kNoFusion,
      "Own kernels: compare words as integers with 0x80000000, or build without -use_fast_math.",
  };
}

std::vector<std::string> AdviceOnMarksAsSums(const Finding& finding) {
  const std::string swap =
      "Or swap the kernels, on all ranks (LAMPLIGHT_SWAP=1): ours do not flush subnormals to zero, "
      "so no sum of what they send is -0.";
  if (OfTensorRtLlm(finding)) {
    return {
        "Build TensorRT-LLM without FAST_MATH, as its default is: without flush-to-zero no sum of "
        "what these kernels send is -0. Or use a release that sends sums of -0 as +0 (about "
        "1.3.0rc17 and later).",
        swap, kStrategy};
  }
  return {
      "Upgrade FlashInfer to 0.6.15 or newer: from 0.6.13 on its kernels send sums of -0 as +0 "
      "(read in 0.6.13 and 0.7.4).",
      swap,
      kNoFusion,
      "Own kernels: turn -0 into +0 once more after the sum, before it is stored.",
  };
}

std::vector<std::string> AdviceOnMarksAsInputs() {
  return {
      "Turn -0 into +0 before it is sent. All kernels of FlashInfer's and TensorRT-LLM's that were "
      "read do: look at a kernel of your own, or at what else stores into this workspace.",
  };
}

std::vector<std::string> AdviceOnOpenBarrier(const Finding& finding) {
  if (OfTensorRtLlm(finding)) {
    return {
        "No release of TensorRT-LLM is known that stores all flags first (FlashInfer's port does "
        "from 0.7.2 on).",
        kStrategy};
  }
  return {"Use FlashInfer 0.7.2 or later."};
}

std::vector<std::string> AdviceOnEarlyReads(const Finding& finding) {
  if (OfTensorRtLlm(finding)) {
    return {
        "Launch without programmatic dependence (TRTLLM_ENABLE_PDL=0): no release of "
        "TensorRT-LLM is known that waits first (FlashInfer's port does from 0.7.1 on)."};
  }
  return {"Use FlashInfer 0.7.1 or later, whose kernels wait first.",
          "Until then launch this call without programmatic dependence (launch_with_pdl=False), or "
          "swap it (LAMPLIGHT_SWAP=1): our kernel waits before it reads anything."};
}

}  // namespace lamplight
