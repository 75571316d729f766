#include "analyzer/detectors/advice.h"

#include <algorithm>

namespace lamplight {
namespace {

constexpr char kStrategy[] =
    "Until then take another all-reduce: allreduce_strategy: NCCL in TensorRT-LLM's options.";

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
      "Until then switch the fused all-reduce off: start SGLang without "
      "--enable-flashinfer-allreduce-fusion, or in vLLM turn the fusion pass fuse_allreduce_rms "
      "off.",
      "Own kernels: compare words as integers with 0x80000000, or build without -use_fast_math.",
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
