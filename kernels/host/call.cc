#include "kernels/host/call.h"

#include <cmath>

#include "kernels/host/tensors.h"
#include "kernels/host/versioned.h"

namespace lamplight::kernels {
namespace {

constexpr size_t kTensorAlignment = 16;
constexpr size_t kFloatAlignment = 4;
constexpr uint32_t kScaleGroup = 16;  // elements of NVFP4 that share a scale

struct Request {
  const lamplight_call& from;
  Shape shape{};
  Quantisation quantisation = Quantisation::kNone;

  bool norms() const { return from.pattern != LAMPLIGHT_PATTERN_ALL_REDUCE; }
  uint64_t row_bytes() const { return uint64_t{shape.hidden} * BytesOf(shape.data_type); }
  uint64_t quant_bytes() const {
    const uint64_t elements = uint64_t{shape.tokens} * shape.hidden;
    return quantisation == Quantisation::kNvfp4 ? elements / 2 : elements;
  }
};

Status ReadShape(const lamplight_call& from, Shape* shape) {
  LAMPLIGHT_TRY(ReadDataType(from.dtype, "call->dtype", &shape->data_type));
  LAMPLIGHT_TRY(CheckHidden(from.hidden, shape->data_type, "call->hidden"));
  if (from.tokens == 0 || from.tokens > kMaxTokens) {
    return Error(LAMPLIGHT_ERROR_TOKENS,
                 "call->tokens is %u: give 1 to %u; where there are none, no rank may call",
                 from.tokens, kMaxTokens);
  }
  shape->tokens = from.tokens;
  shape->hidden = from.hidden;
  return {};
}

Status CheckNumbers(const lamplight_call& from) {
  if (from.pattern > LAMPLIGHT_PATTERN_RMSNORM) {
    return Error(
        LAMPLIGHT_ERROR_PATTERN,
        "call->pattern is %u: give LAMPLIGHT_PATTERN_ALL_REDUCE (0), _RESIDUAL_RMSNORM (1) or "
        "_RMSNORM (2)",
        from.pattern);
  }
  if (from.pdl > 1) {
    return Error(LAMPLIGHT_ERROR_VALUE, "call->pdl is %u: give 0 or 1", from.pdl);
  }
  if (from.followers_wait > 1) {
    return Error(LAMPLIGHT_ERROR_VALUE, "call->followers_wait is %u: give 0 or 1",
                 from.followers_wait);
  }
  if (from.reserved != 0) {
    return Error(LAMPLIGHT_ERROR_VALUE, "call->reserved is %u: give 0", from.reserved);
  }
  if (from.pattern == LAMPLIGHT_PATTERN_ALL_REDUCE) return {};
  if (!std::isfinite(from.epsilon) || from.epsilon < 0) {
    return Error(LAMPLIGHT_ERROR_VALUE, "call->epsilon is %g: give a finite number of at least 0",
                 static_cast<double>(from.epsilon));
  }
  if (!std::isfinite(from.weight_bias)) {
    return Error(LAMPLIGHT_ERROR_VALUE, "call->weight_bias is %g: give a finite number",
                 static_cast<double>(from.weight_bias));
  }
  return {};
}

Status TakeRows(const Request& request, TensorList* tensors) {
  const lamplight_call& from = request.from;
  const uint64_t bytes = request.shape.payload_bytes();
  LAMPLIGHT_TRY(tensors->Need({"call->input", from.input, bytes, Role::kRow}, kTensorAlignment));
  const Tensor output{"call->output", from.output, bytes, Role::kOutput};
  return request.quantisation == Quantisation::kNone ? tensors->Need(output, kTensorAlignment)
                                                     : tensors->Take(output, kTensorAlignment);
}

Status TakeNorm(const Request& request, TensorList* tensors) {
  const lamplight_call& from = request.from;
  const uint64_t bytes = request.shape.payload_bytes();
  constexpr auto kCode = LAMPLIGHT_ERROR_PATTERN;
  if (!request.norms()) {
    constexpr char kWhy[] = "LAMPLIGHT_PATTERN_ALL_REDUCE does not use it";
    LAMPLIGHT_TRY(RefuseTensor(kCode, "call->residual_in", from.residual_in, kWhy));
    LAMPLIGHT_TRY(RefuseTensor(kCode, "call->residual_out", from.residual_out, kWhy));
    return RefuseTensor(kCode, "call->gamma", from.gamma, kWhy);
  }
  const Tensor residual{"call->residual_in", from.residual_in, bytes, Role::kRow};
  if (from.pattern == LAMPLIGHT_PATTERN_RMSNORM) {
    LAMPLIGHT_TRY(
        RefuseTensor(kCode, residual.name, residual.address,
                     "LAMPLIGHT_PATTERN_RMSNORM does not use it (_RESIDUAL_RMSNORM does)"));
  } else {
    LAMPLIGHT_TRY(tensors->Need(residual, kTensorAlignment));
  }
  LAMPLIGHT_TRY(tensors->Take({"call->residual_out", from.residual_out, bytes, Role::kOutput},
                              kTensorAlignment));
  return tensors->Need({"call->gamma", from.gamma, request.row_bytes(), Role::kShared},
                       kTensorAlignment);
}

Status TakeScales(const Request& request, TensorList* tensors) {
  const lamplight_call& from = request.from;
  constexpr auto kCode = LAMPLIGHT_ERROR_QUANTISATION;
  const Tensor output{"call->scale_output", from.scale_output,
                      ScaleBytes(request.shape.tokens, request.shape.hidden, request.quantisation,
                                 static_cast<ScaleLayout>(from.scale_layout)),
                      Role::kOtherOutput};
  const Tensor scale{"call->output_scale", from.output_scale, sizeof(float), Role::kShared};
  const bool writes_scales = request.quantisation >= Quantisation::kFp8PerToken;
  const bool reads_scale =
      request.quantisation == Quantisation::kFp8 || request.quantisation == Quantisation::kNvfp4;
  const bool nvfp4 = request.quantisation == Quantisation::kNvfp4;
  LAMPLIGHT_TRY(writes_scales ? tensors->Need(output, nvfp4 ? kTensorAlignment : kFloatAlignment)
                              : RefuseTensor(kCode, output.name, output.address,
                                             "this quantisation has no scales to write"));
  return reads_scale
             ? tensors->Need(scale, kFloatAlignment)
             : RefuseTensor(kCode, scale.name, scale.address, "this quantisation reads no scale");
}

Status TakeQuantised(const Request& request, TensorList* tensors) {
  const Tensor output{"call->quant_output", request.from.quant_output, request.quant_bytes(),
                      Role::kOtherOutput};
  if (request.quantisation == Quantisation::kNone) {
    LAMPLIGHT_TRY(RefuseTensor(LAMPLIGHT_ERROR_QUANTISATION, output.name, output.address,
                               "call->quantisation is NONE"));
  } else {
    LAMPLIGHT_TRY(tensors->Need(output, kTensorAlignment));
  }
  return TakeScales(request, tensors);
}

Status CheckTensors(const Request& request) {
  TensorList tensors;
  LAMPLIGHT_TRY(TakeRows(request, &tensors));
  LAMPLIGHT_TRY(TakeNorm(request, &tensors));
  LAMPLIGHT_TRY(TakeQuantised(request, &tensors));
  return tensors.CheckOverlaps();
}

Status DoesNotFit(const Capacity& capacity, Kernel kernel, const Shape& shape) {
  const bool two_shot = kernel == Kernel::kTwoShot;
  const Kernel other = two_shot ? Kernel::kOneShot : Kernel::kTwoShot;
  const char* advice =
      capacity.Holds(other, shape)
          ? (two_shot ? ", or use _ONE_SHOT, which it holds" : ", or use _TWO_SHOT, which it holds")
          : "";
  return Error(
      LAMPLIGHT_ERROR_CAPACITY,
      "call->tokens is %u with hidden %u: the workspace (%llu bytes per generation) holds %u "
      "tokens %s; create it for more%s",
      shape.tokens, shape.hidden, static_cast<unsigned long long>(capacity.generation_bytes),
      capacity.MaxTokens(kernel, shape.hidden, shape.data_type),
      two_shot ? "in two-shot" : "in one-shot", advice);
}

Status ChooseKernel(const Capacity& capacity, uint32_t algorithm, const Shape& shape,
                    Kernel* kernel) {
  switch (algorithm) {
    case LAMPLIGHT_ALGORITHM_AUTO:
      *kernel = capacity.Choose(shape);
      break;
    case LAMPLIGHT_ALGORITHM_ONE_SHOT:
      *kernel = Kernel::kOneShot;
      break;
    case LAMPLIGHT_ALGORITHM_TWO_SHOT:
      *kernel = Kernel::kTwoShot;
      break;
    default:
      return Error(LAMPLIGHT_ERROR_ALGORITHM,
                   "call->algorithm is %u: give LAMPLIGHT_ALGORITHM_AUTO, _ONE_SHOT or _TWO_SHOT",
                   algorithm);
  }
  return capacity.Holds(*kernel, shape) ? Status() : DoesNotFit(capacity, *kernel, shape);
}

CollectiveCall Describe(const Workspace& workspace, const Request& request) {
  const lamplight_call& from = request.from;
  CollectiveCall call = workspace.common;
  call.input = from.input;
  call.output = from.output;
  call.residual_in = from.residual_in;
  call.residual_out = from.residual_out;
  call.gamma = from.gamma;
  call.quant_output = from.quant_output;
  call.scale_output = from.scale_output;
  call.output_scale = from.output_scale;
  call.timeout_ns = TimeoutNs(from.timeout_ms, workspace.patience.timeout_ns);
  call.tokens = from.tokens;
  call.hidden = from.hidden;
  call.epsilon = from.epsilon;
  call.weight_bias = from.weight_bias;
  call.data_type = request.shape.data_type;
  call.quantisation = request.quantisation;
  call.scale_layout = static_cast<ScaleLayout>(from.scale_layout);
  call.options = static_cast<uint8_t>(workspace.patience.options | (request.norms() ? kNorm : 0) |
                                      (from.followers_wait != 0 ? kFollowersWait : 0));
  return call;
}

}  // namespace

uint64_t ScaleBytes(uint32_t tokens, uint32_t hidden, Quantisation quantisation,
                    ScaleLayout layout) {
  if (quantisation == Quantisation::kFp8PerToken) return uint64_t{tokens} * sizeof(float);
  if (quantisation != Quantisation::kNvfp4) return 0;
  const uint64_t groups = hidden / kScaleGroup;
  if (layout == ScaleLayout::kLinear) return tokens * groups;
  return (uint64_t{tokens} + 127) / 128 * 128 * ((groups + 3) / 4 * 4);
}

Status ReadQuantisation(uint32_t value, uint32_t layout, uint32_t hidden,
                        Quantisation* quantisation) {
  if (value > LAMPLIGHT_QUANTISATION_NVFP4) {
    return Error(
        LAMPLIGHT_ERROR_QUANTISATION,
        "quantisation is %u: give LAMPLIGHT_QUANTISATION_NONE (0), _FP8 (1), _FP8_PER_TOKEN "
        "(2) or _NVFP4 (3)",
        value);
  }
  *quantisation = static_cast<Quantisation>(value);
  const bool nvfp4 = *quantisation == Quantisation::kNvfp4;
  if (layout != LAMPLIGHT_SCALES_SWIZZLED_128X4 && !(nvfp4 && layout == LAMPLIGHT_SCALES_LINEAR)) {
    return Error(
        LAMPLIGHT_ERROR_QUANTISATION, "scale_layout is %u: give %s", layout,
        nvfp4 ? "LAMPLIGHT_SCALES_SWIZZLED_128X4 (0) or _LINEAR (2)" : "0, only NVFP4 has layouts");
  }
  if (nvfp4 && hidden % kScaleGroup != 0) {
    return Error(LAMPLIGHT_ERROR_QUANTISATION,
                 "hidden is %u: NVFP4 needs a multiple of %u elements", hidden, kScaleGroup);
  }
  return {};
}

Status PlanCall(const Workspace& workspace, const lamplight_call* caller, PlannedCall* planned) {
  lamplight_call from{};
  constexpr size_t kLeast = LAMPLIGHT_BYTES_THROUGH(lamplight_call, algorithm);
  LAMPLIGHT_TRY(ReadVersioned(caller, kLeast, "call", &from));
  Request request{from};
  LAMPLIGHT_TRY(CheckNumbers(from));
  LAMPLIGHT_TRY(ReadShape(from, &request.shape));
  LAMPLIGHT_TRY(
      ReadQuantisation(from.quantisation, from.scale_layout, from.hidden, &request.quantisation));
  LAMPLIGHT_TRY(CheckTensors(request));

  Kernel kernel = Kernel::kOneShot;
  const Capacity& capacity = workspace.capacity;
  LAMPLIGHT_TRY(ChooseKernel(capacity, from.algorithm, request.shape, &kernel));
  KernelId id = IdFor(kernel, capacity.protocol, request.shape.data_type, capacity.world);
  planned->call = Describe(workspace, request);
  if (!PlanLaunch(id, planned->call, workspace.limits, &planned->launch)) {
    return Error(LAMPLIGHT_ERROR_HIDDEN,
                 "call->hidden is %u: a row of this dtype%s does not fit the shared memory of one "
                 "cluster; split the row",
                 from.hidden, request.quantisation == Quantisation::kNone ? "" : ", quantised,");
  }
  SetPlan(planned->launch, &planned->call);
  id.form = planned->launch.form;
  planned->function = workspace.kernels.Find(id);
  planned->pdl = from.pdl == 1;
  return {};
}

}  // namespace lamplight::kernels
