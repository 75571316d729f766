#include "tests/gpu/kernels/job.h"

namespace lamplight::kernels::gpu {
namespace {

constexpr uint64_t kAlignment = 256;
constexpr uint64_t kGuard = 256;  // at least so many bytes behind each tensor

constexpr const char* kTypes[] = {"fp16", "bf16", "fp32"};
constexpr const char* kPlaces[] = {"", " output-over-input", " sums-over-input",
                                   " sums-over-residual", " output-over-residual"};
constexpr const char* kQuantisations[] = {"", " fp8", " fp8-per-token", " nvfp4"};

uint64_t Take(uint64_t bytes, uint64_t* at) {
  const uint64_t place = *at;
  *at = (place + bytes + kGuard + kAlignment - 1) / kAlignment * kAlignment;
  return place;
}

bool ReadsScale(Quantisation quantisation) {
  return quantisation == Quantisation::kFp8 || quantisation == Quantisation::kNvfp4;
}

}  // namespace

std::string Describe(const Job& job) {
  const Work& work = job.work;
  std::string text = job.automatic                     ? "auto"
                     : work.kernel == Kernel::kTwoShot ? "two-shot"
                                                       : "one-shot";
  text += std::string(" ") + kTypes[static_cast<int>(work.data_type)];
  text += " tokens " + std::to_string(work.tokens) + " hidden " + std::to_string(work.hidden);
  if (work.norm) text += job.residual ? " residual+norm" : " norm";
  text += kQuantisations[static_cast<int>(work.quantisation)];
  if (work.quantisation == Quantisation::kNvfp4 && work.scale_layout == ScaleLayout::kLinear) {
    text += "-linear";
  }
  text += kPlaces[static_cast<int>(job.in_place)];
  return text + (job.pdl ? " pdl" : "") + (job.followers_wait ? " followers-wait" : "");
}

uint32_t DtypeOf(DataType type) {
  constexpr uint32_t kDtypes[] = {LAMPLIGHT_FP16, LAMPLIGHT_BF16, LAMPLIGHT_FP32};
  return kDtypes[static_cast<int>(type)];
}

uint32_t AlgorithmOf(const Job& job) {
  if (job.automatic) return LAMPLIGHT_ALGORITHM_AUTO;
  return job.work.kernel == Kernel::kTwoShot ? LAMPLIGHT_ALGORITHM_TWO_SHOT
                                             : LAMPLIGHT_ALGORITHM_ONE_SHOT;
}

uint64_t QuantisedBytes(const Work& work) {
  return work.quantisation == Quantisation::kNvfp4 ? work.elements() / 2 : work.elements();
}

uint64_t ScaleBytes(const Work& work) {
  uint64_t bytes = 0;
  lamplight_scale_bytes(work.tokens, work.hidden, static_cast<uint32_t>(work.quantisation),
                        static_cast<uint32_t>(work.scale_layout), &bytes);
  return bytes;
}

Placement Place(const Job& job, uint64_t begin) {
  const Work& work = job.work;
  const bool quantised = work.quantisation != Quantisation::kNone;
  Placement at;
  at.begin = at.outputs = begin;
  const bool over_input =
      job.in_place == InPlace::kOutputOverInput || job.in_place == InPlace::kSumsOverInput;
  const bool over_residual = job.in_place != InPlace::kNone && !over_input;
  (over_input ? at.source : at.input) = Take(work.bytes(), &at.outputs);
  if (work.norm && job.residual) {
    (over_residual ? at.source : at.residual) = Take(work.bytes(), &at.outputs);
  }
  if (work.norm) at.gamma = Take(uint64_t{work.hidden} * BytesOf(work.data_type), &at.outputs);
  if (ReadsScale(work.quantisation)) at.output_scale = Take(sizeof(float), &at.outputs);
  at.end = at.outputs;
  at.output = Take(work.bytes(), &at.end);
  if (work.norm) at.prenorm = Take(work.bytes(), &at.end);
  if (quantised) at.quantised = Take(QuantisedBytes(work), &at.end);
  if (quantised && ScaleBytes(work) > 0) at.scales = Take(ScaleBytes(work), &at.end);
  if (job.in_place == InPlace::kNone) return at;
  const bool sums =
      job.in_place == InPlace::kSumsOverInput || job.in_place == InPlace::kSumsOverResidual;
  at.overwritten = sums ? at.prenorm : at.output;
  (over_input ? at.input : at.residual) = at.overwritten;
  return at;
}

lamplight_call CallOf(const Job& job, const Placement& at, char* memory) {
  const auto address = [&](uint64_t offset) -> char* {
    return offset == Placement::kNowhere ? nullptr : memory + offset;
  };
  lamplight_call call = LAMPLIGHT_CALL_INIT;
  const Work& work = job.work;
  call.pattern = !work.norm     ? LAMPLIGHT_PATTERN_ALL_REDUCE
                 : job.residual ? LAMPLIGHT_PATTERN_RESIDUAL_RMSNORM
                                : LAMPLIGHT_PATTERN_RMSNORM;
  call.input = address(at.input);
  call.output = address(at.output);
  call.tokens = work.tokens;
  call.hidden = work.hidden;
  call.dtype = DtypeOf(work.data_type);
  call.algorithm = AlgorithmOf(job);
  call.residual_in = address(at.residual);
  call.residual_out = address(at.prenorm);
  call.gamma = address(at.gamma);
  call.epsilon = work.epsilon;
  call.weight_bias = work.weight_bias;
  call.quantisation = static_cast<uint32_t>(work.quantisation);
  call.scale_layout = static_cast<uint32_t>(work.scale_layout);
  call.quant_output = address(at.quantised);
  call.scale_output = address(at.scales);
  call.output_scale = reinterpret_cast<const float*>(address(at.output_scale));
  call.pdl = job.pdl ? 1 : 0;
  call.followers_wait = job.followers_wait ? 1 : 0;
  return call;
}

}  // namespace lamplight::kernels::gpu
