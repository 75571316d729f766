#include "shim/swap/field_kernel.h"

#include <optional>
#include <string_view>
#include <vector>

#include "shim/lamport/mangled_name.h"

namespace lamplight::shim {
namespace {

using kernels::DataType;
using kernels::Quantisation;

constexpr struct {
  std::string_view descriptor;
  FieldLayout layout;
} kLayouts[] = {
    {"flashinfer-mnnvl-oneshot-C", FieldLayout::kOneShotC},
    {"flashinfer-mnnvl-oneshot-D", FieldLayout::kOneShotD},
    {"flashinfer-mnnvl-oneshot-EG", FieldLayout::kOneShotByValue},
    {"flashinfer-mnnvl-twoshot-CD", FieldLayout::kTwoShotCD},
    {"flashinfer-mnnvl-twoshot-EG", FieldLayout::kTwoShotByValue},
    {"flashinfer-mnnvl-rmsnorm-C", FieldLayout::kNormC},
    {"flashinfer-mnnvl-rmsnorm-D", FieldLayout::kNormD},
    {"flashinfer-mnnvl-rmsnorm-EG", FieldLayout::kNormByValue},
    {"flashinfer-unicast-oneshot-128", FieldLayout::kUnicastUnbiased},
    {"flashinfer-unicast-oneshot-136", FieldLayout::kUnicast},
    {"tensorrt-llm-mnnvl-oneshot-C", FieldLayout::kOneShotC},
    {"tensorrt-llm-mnnvl-twoshot-C", FieldLayout::kTwoShotCD},
    {"tensorrt-llm-mnnvl-rmsnorm-C", FieldLayout::kNormC},
    {"tensorrt-llm-mnnvl-oneshot-F", FieldLayout::kPatternOneShot},
    {"tensorrt-llm-mnnvl-twoshot-F", FieldLayout::kPatternTwoShot},
    {"tensorrt-llm-mnnvl-rmsnorm-F", FieldLayout::kPatternNorm},
    {"tensorrt-llm-unicast-oneshot-136", FieldLayout::kPatternUnicast},
};

std::optional<FieldLayout> LayoutNamed(std::string_view descriptor) {
  for (const auto& entry : kLayouts) {
    if (entry.descriptor == descriptor) return entry.layout;
  }
  return std::nullopt;
}

std::optional<DataType> TypeOf(trace::DataType type) {
  if (type == trace::DataType::kF16) return DataType::kFp16;
  if (type == trace::DataType::kBf16) return DataType::kBf16;
  if (type == trace::DataType::kF32) return DataType::kFp32;
  return std::nullopt;
}

// The template arguments of the kernel's name.
std::vector<std::string_view> Arguments(std::string_view symbol) {
  for (const std::string_view end : {"KernelI", "LamportI", "lamportI"}) {
    const size_t start = symbol.find(end);
    if (start == std::string::npos) continue;
    const auto parsed = lamport::ParseTemplateArguments(symbol.substr(start + end.size() - 1));
    return parsed.has_value() ? parsed->arguments : std::vector<std::string_view>{};
  }
  return {};
}

// "LNS0_9QuantTypeE2E": the enumerator's number.
std::optional<Quantisation> QuantisationOf(std::string_view argument) {
  constexpr std::string_view kName = "QuantTypeE";
  const size_t at = argument.find(kName);
  if (at == std::string_view::npos || at + kName.size() + 2 != argument.size()) return std::nullopt;
  switch (argument[at + kName.size()]) {
    case '0':
      return Quantisation::kNone;
    case '1':
      return Quantisation::kFp8;
    case '2':
      return Quantisation::kNvfp4;
    case '3':
      return Quantisation::kFp8PerToken;
    default:
      return std::nullopt;
  }
}

// "LNS1_9ar_fusion22AllReduceFusionPatternE1E": the enumerator's number, of one digit.
// TensorRT-LLM, kernels/communicationKernels/allReduceFusionKernels.h, AllReduceFusionPattern.
std::optional<int32_t> PatternOf(std::string_view argument) {
  constexpr std::string_view kName = "AllReduceFusionPatternE";
  const size_t at = argument.find(kName);
  if (at == std::string_view::npos || at + kName.size() + 2 != argument.size()) return std::nullopt;
  const char digit = argument[at + kName.size()];
  if (digit < '0' || digit > '9') return std::nullopt;
  return digit - '0';
}

const char* ReadPattern(const std::vector<std::string_view>& arguments, size_t index,
                        FieldKernel* out) {
  if (arguments.size() <= index) return "its template arguments are not known";
  const std::optional<int32_t> pattern = PatternOf(arguments[index]);
  if (!pattern || *pattern > 5) return "its fusion pattern is not known";
  constexpr Quantisation kQuantisations[] = {Quantisation::kNone, Quantisation::kNone,
                                             Quantisation::kFp8,  Quantisation::kNvfp4,
                                             Quantisation::kFp8,  Quantisation::kNvfp4};
  out->quantisation = kQuantisations[*pattern];
  out->norms = *pattern != 0;
  out->no_norm = *pattern == 2 || *pattern == 3;
  return nullptr;
}

// A one-shot of F may add up a mixture of experts first: (world, type, pattern, finalises, …).
const char* ReadPatternOneShot(const std::vector<std::string_view>& arguments, FieldKernel* out) {
  const bool finalises = arguments.size() > 4 && lamport::LiteralValue(arguments[3]) != 0u;
  return finalises ? "it adds up a mixture of experts" : ReadPattern(arguments, 2, out);
}

// What the template arguments say: (world, type, norms or waits, quantisation, …), or for the norm
// (type, quantisation, …).
const char* ReadArguments(const std::vector<std::string_view>& arguments, FieldKernel* out) {
  const auto quantised = [&](size_t index) -> const char* {
    if (arguments.size() <= index) return "its template arguments are not known";
    const std::optional<Quantisation> quantisation = QuantisationOf(arguments[index]);
    if (!quantisation.has_value()) return "its quantisation is not known";
    out->quantisation = *quantisation;
    return nullptr;
  };
  const bool third = arguments.size() > 2 && lamport::LiteralValue(arguments[2]) == 1u;
  switch (out->layout) {
    case FieldLayout::kOneShotC:
    case FieldLayout::kOneShotD:
      out->norms = third;
      return arguments.size() > 2 ? nullptr : "its template arguments are not known";
    case FieldLayout::kOneShotByValue:
      out->norms = third;
      return quantised(3);
    case FieldLayout::kTwoShotByValue:
      out->waits = third;
      return arguments.size() > 2 ? nullptr : "its template arguments are not known";
    case FieldLayout::kNormByValue:
      return quantised(1);
    case FieldLayout::kPatternOneShot:
      return ReadPatternOneShot(arguments, out);
    case FieldLayout::kPatternNorm:
      return ReadPattern(arguments, 1, out);
    case FieldLayout::kPatternUnicast:
      // What is not known is refused call by call: the workspace is used all the same.
      if (!arguments.empty()) out->pattern = PatternOf(arguments[0]).value_or(-1);
      return nullptr;
    case FieldLayout::kPatternTwoShot:
    case FieldLayout::kTwoShotCD:
    case FieldLayout::kNormC:
    case FieldLayout::kNormD:
    case FieldLayout::kUnicastUnbiased:
    case FieldLayout::kUnicast:
      break;
  }
  return nullptr;
}

}  // namespace

const char* DescribeFieldKernel(const lamport::Recognition& recognition, const std::string& symbol,
                                FieldKernel* out) {
  if (!recognition.decoded) return "its parameters are not known";
  const std::optional<FieldLayout> layout = LayoutNamed(recognition.descriptor->name);
  if (!layout.has_value()) return "no kernel of ours stands for it";
  const std::optional<DataType> type = TypeOf(recognition.data_type);
  if (!type.has_value()) return "its data type is not known";
  *out = {};
  out->layout = *layout;
  out->data_type = *type;
  out->world = recognition.world;
  out->sizes_apart = recognition.sizes_slot.has_value();
  if (*layout == FieldLayout::kPatternUnicast &&
      recognition.flag_layout != trace::FlagLayout::kUnicast) {
    return "what arms its workspace has not been seen, which tells where the sizes are";
  }
  return ReadArguments(Arguments(symbol), out);
}

}  // namespace lamplight::shim
