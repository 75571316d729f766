#include "shim/early_reads.h"

#include <cstring>

#include "shim/arguments.h"
#include "shim/lamport/mangled_name.h"

namespace lamplight::shim {
namespace {

struct Region {
  uint64_t address = 0;
  uint64_t bytes = 0;

  bool Holds(uint64_t other) const { return address != 0 && other - address < bytes; }
  bool Overlaps(const Region& other) const {
    return other.address != 0 && (Holds(other.address) || other.Holds(address));
  }
};

bool Known(const GraphShape::Call& call) {
  return call.decodable && call.decoded.call.tokens != trace::kNoId &&
         call.decoded.call.dim != trace::kNoId &&
         call.function->recognition.data_type != trace::DataType::kUnknown;
}

uint64_t RowBytes(const GraphShape::Call& call) {
  return uint64_t{call.decoded.call.dim} * trace::BytesOf(call.function->recognition.data_type);
}

Region Rows(const GraphShape::Call& call, uint64_t address) {
  return {address, RowBytes(call) * call.decoded.call.tokens};
}

// A plain all-reduce has neither residual nor weights, whatever its parameters hold.
bool ReadsEarly(const GraphShape::Call& call) {
  return Known(call) && call.function->recognition.reads_early &&
         call.function->symbol.find("FusionPatternE0E") == std::string::npos;
}

// Whether it lets the next kernel start before it has stored its outputs, as FlashInfer's and
// TensorRT-LLM's do: those of MNNVL workspaces from era C on always, the non-MNNVL one-shot where
// its last template argument (trigger at the end; the first is the pattern) is false. Ours never
// do.
bool TriggersEarly(const Function& function) {
  const std::string& symbol = function.symbol;
  if (!symbol.starts_with("_ZN10flashinfer") && !symbol.starts_with("_ZN12tensorrt_llm")) {
    return false;
  }
  if (function.recognition.flag_layout == trace::FlagLayout::kEraC) return true;
  if (function.recognition.algorithm != trace::Algorithm::kUnicastOneShot) return false;
  if (symbol.find("FusionPatternE") == std::string::npos) return false;
  constexpr std::string_view kName = "oneshot_lamport";
  const size_t at = function.symbol.find(kName);
  if (at == std::string::npos) return false;
  const auto parsed =
      lamport::ParseTemplateArguments(std::string_view(function.symbol).substr(at + kName.size()));
  return parsed && !parsed->arguments.empty() &&
         lamport::LiteralValue(parsed->arguments.back()) == 0u;
}

bool Writes(const GraphShape::Call& call, const Region& region) {
  return Known(call) && TriggersEarly(*call.function) &&
         (region.Overlaps(Rows(call, call.decoded.output_address)) ||
          region.Overlaps(Rows(call, call.decoded.prenorm_address)));
}

// Whether one of the kernel's parameters holds an address in the region, in a struct or not.
bool Names(const DriverApi& driver, CUgraphNode node, const Region& region) {
  CUDA_KERNEL_NODE_PARAMS parameters{};
  if (driver.GraphKernelNodeGetParams(node, &parameters) != CUDA_SUCCESS) return false;
  const CUfunction function = FunctionOf(driver, parameters);
  if (function == nullptr) return false;
  const PackedArguments packed(parameters.extra);
  lamport::ParameterSpan span{};
  for (size_t i = 0; driver.FuncGetParamInfo(function, i, &span.offset, &span.size) == CUDA_SUCCESS;
       ++i) {
    const auto* from = static_cast<const char*>(
        parameters.kernelParams != nullptr ? parameters.kernelParams[i] : packed.At(span));
    for (size_t at = 0; from != nullptr && at + sizeof(uint64_t) <= span.size;
         at += sizeof(uint64_t)) {
      uint64_t value;
      std::memcpy(&value, from + at, sizeof value);
      if (region.Holds(value)) return true;
    }
  }
  return false;
}

class Finder {
 public:
  Finder(const DriverApi& driver, const GraphShape& shape)
      : driver_(driver), shape_(shape), call_of_(shape.nodes.size(), nullptr) {
    for (const GraphShape::Call& call : shape.calls) call_of_[call.node] = &call;
  }

  std::vector<trace::EarlyRead> Find() {
    for (const GraphShape::Edge& edge : shape_.edges) {
      const GraphShape::Call* reader = call_of_[edge.to];
      if (!edge.programmatic() || reader == nullptr || !ReadsEarly(*reader)) continue;
      const lamport::DecodedCall& read = reader->decoded;
      Check(edge, trace::EarlyOperand::kResidual, Rows(*reader, read.residual_address));
      Check(edge, trace::EarlyOperand::kGamma, {read.gamma_address, RowBytes(*reader)});
    }
    return std::move(found_);
  }

 private:
  void Check(const GraphShape::Edge& edge, trace::EarlyOperand operand, const Region& region) {
    if (region.address == 0) return;
    const GraphShape::Call* before = call_of_[edge.from];
    if (before != nullptr && Writes(*before, region)) {
      Add(edge, operand, region, trace::EarlyRelation::kWrites);
    } else if ((before == nullptr || !before->decodable) &&
               Names(driver_, shape_.nodes[edge.from], region)) {
      Add(edge, operand, region, trace::EarlyRelation::kNames);
    }
  }

  void Add(const GraphShape::Edge& edge, trace::EarlyOperand operand, const Region& region,
           trace::EarlyRelation relation) {
    trace::EarlyRead read{};
    read.node = edge.to;
    read.from = edge.from;
    read.operand = static_cast<uint16_t>(operand);
    read.relation = static_cast<uint16_t>(relation);
    read.address = region.address;
    read.bytes = region.bytes;
    found_.push_back(read);
  }

  const DriverApi& driver_;
  const GraphShape& shape_;
  std::vector<const GraphShape::Call*> call_of_;
  std::vector<trace::EarlyRead> found_;
};

}  // namespace

std::vector<trace::EarlyRead> FindEarlyReads(const DriverApi& driver, const GraphShape& shape) {
  return Finder(driver, shape).Find();
}

}  // namespace lamplight::shim
