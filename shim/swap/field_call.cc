#include "shim/swap/field_call.h"

#include <cstddef>
#include <cstring>

namespace lamplight::shim {
namespace {

using kernels::CollectiveCall;
using kernels::DataType;
using kernels::Kernel;
using kernels::Protocol;
using kernels::Quantisation;

// MNNVL, eras E and G: AllReduceKernelParams<T>, by value.
struct MnnvlParameters {
  void* output;
  void* prenorm;
  const void* shard;
  const void* residual_in;
  const void* gamma;
  void* const* peers;
  void* multicast;
  void* local;
  int32_t ranks;
  int32_t rank;
  int32_t tokens;
  int32_t dim;
  float epsilon;
  float weight_bias;
  const float* output_scale;
  void* quant_output;
  void* scale_output;
  int32_t scale_layout;
  uint32_t* flags;
};
static_assert(sizeof(MnnvlParameters) == 128 && offsetof(MnnvlParameters, flags) == 120);
static_assert(offsetof(MnnvlParameters, ranks) == 64 && offsetof(MnnvlParameters, epsilon) == 80);

// TensorRT-LLM's F: MnnvlAllReduceKernelParams<T>, by value, whose rest is of mixtures of experts.
struct PatternParameters {
  void* output;
  void* prenorm;
  const void* shard;
  const void* residual_in;
  const void* gamma;
  void* const* peers;
  void* local;
  void* multicast;
  void* quant_output;
  void* scale_output;
  const float* output_scale;
  int32_t tokens;
  int32_t dim;
  int32_t ranks;
  int32_t rank;
  float epsilon;
  uint32_t* flags;
  bool waits;
  int32_t scale_layout;
};
static_assert(sizeof(PatternParameters) == 128 && offsetof(PatternParameters, tokens) == 88);
static_assert(offsetof(PatternParameters, flags) == 112);
static_assert(offsetof(PatternParameters, scale_layout) == 124);

// Non-MNNVL, 0.2.9 and later: AllReduceFusionParams<T>, by value; 128 bytes, 136 from 0.6.11 on.
struct UnicastParameters {
  int32_t ranks;
  int32_t rank;
  int32_t elements;
  int32_t hidden;
  void* const* workspace;
  const void* input;
  void* sums;
  const void* residual_in;
  void* residual_out;
  void* norm_out;
  void* quant_output;
  void* scale_output;
  const void* gamma;
  float epsilon;
  float weight_bias;  // padding up to 0.6.11
  const float* scale;
  bool oneshot;
  int32_t scale_layout;
  void* stream;
  int32_t pattern;
};
static_assert(offsetof(UnicastParameters, workspace) == 16);
static_assert(offsetof(UnicastParameters, epsilon) == 88);
static_assert(offsetof(UnicastParameters, scale_layout) == 108);
static_assert(offsetof(UnicastParameters, pattern) == 120);

// TensorRT-LLM's: AllReduceFusionParams, by value.
struct PatternUnicastParameters {
  int32_t ranks;
  int32_t rank;
  int32_t data_type;
  int32_t elements;
  int32_t hidden;
  void* const* workspace;
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
  int32_t scale_layout;
  void* stream;
  int32_t pattern;
  bool trigger_at_end;
};
static_assert(sizeof(PatternUnicastParameters) == 136);
static_assert(offsetof(PatternUnicastParameters, workspace) == 24);
static_assert(offsetof(PatternUnicastParameters, gamma) == 88);
static_assert(offsetof(PatternUnicastParameters, scale_layout) == 116);
static_assert(offsetof(PatternUnicastParameters, pattern) == 128);

// AllReduceFusionPattern (0.6.0 and later); the values from 6 on differ between releases, and
// TensorRT-LLM's 6 is a norm without a residual.
enum UnicastPattern : int32_t {
  kAllReduce = 0,
  kNormed = 1,
  kFp8 = 2,
  kNvfp4 = 3,
  kNormedAndFp8 = 4,
  kNormedAndNvfp4 = 5,
};

template <class T>
T Argument(void* const* parameters, int index) {
  T value;
  std::memcpy(&value, parameters[index], sizeof value);
  return value;
}

class Reader {
 public:
  Reader(const FieldKernel& kernel, void* const* parameters, FieldCall* out)
      : kernel_(kernel), parameters_(parameters), out_(*out) {}

  // Null when the call was read and can be done; else why not.
  const char* Read() {
    out_ = {};
    call().data_type = kernel_.data_type;
    call().world = kernel_.world;
    call().quantisation = kernel_.quantisation;
    const char* refusal = ReadLayout();
    if (refusal != nullptr) return refusal;
    if ((call().options & kernels::kNorm) == 0) DropTensorsOfNorm();
    return Check();
  }

 private:
  CollectiveCall& call() { return out_.call; }

  const char* ReadLayout() {
    switch (kernel_.layout) {
      case FieldLayout::kOneShotC:
        return OneShotInWords(false);
      case FieldLayout::kOneShotD:
        return OneShotInWords(true);
      case FieldLayout::kOneShotByValue:
        return OneShotByValue();
      case FieldLayout::kTwoShotCD:
        return TwoShotInWords();
      case FieldLayout::kTwoShotByValue:
        return TwoShotByValue();
      case FieldLayout::kNormC:
        return NormInWords(false);
      case FieldLayout::kNormD:
        return NormInWords(true);
      case FieldLayout::kNormByValue:
        return NormByValue();
      case FieldLayout::kPatternOneShot:
        return ByPattern(Kernel::kOneShot, kernel_.norms);
      case FieldLayout::kPatternTwoShot:
        return ByPattern(Kernel::kTwoShotSends, false);
      case FieldLayout::kPatternNorm:
        return ByPattern(Kernel::kTwoShotNorm, kernel_.norms);
      case FieldLayout::kUnicastUnbiased:
      case FieldLayout::kUnicast:
        return UnicastOneShot();
      case FieldLayout::kPatternUnicast:
        return UnicastByPattern();
    }
    return "its layout is not known";
  }

  template <class T>
  T At(int index) const {
    return Argument<T>(parameters_, index);
  }

  const char* OneShotInWords(bool with_bias) {
    Mnnvl(Kernel::kOneShot);
    if (kernel_.norms) call().options = kernels::kNorm;
    call().output = At<void*>(0);
    call().residual_out = At<void*>(1);
    call().input = At<const void*>(2);
    call().residual_in = At<const void*>(3);
    call().gamma = At<const void*>(4);
    call().peer_table = At<void* const*>(5);
    call().multicast = At<void*>(6);
    call().tokens = At<uint32_t>(7);
    call().hidden = At<uint32_t>(8);
    call().epsilon = At<float>(9);
    if (with_bias) call().weight_bias = At<float>(10);
    call().rank = At<uint32_t>(with_bias ? 11 : 10);
    call().state = At<void*>(with_bias ? 12 : 11);
    return nullptr;
  }

  const char* TwoShotInWords() {
    Mnnvl(Kernel::kTwoShotSends);
    call().output = At<void*>(0);
    call().input = At<const void*>(1);
    call().peer_table = At<void* const*>(2);
    call().multicast = At<void*>(3);
    call().tokens = At<uint32_t>(4);
    call().hidden = At<uint32_t>(5);
    call().rank = At<uint32_t>(6);
    call().state = At<void*>(7);
    if (At<bool>(8)) call().options = kernels::kAwaitSums;
    return nullptr;
  }

  const char* NormInWords(bool with_bias) {
    Mnnvl(Kernel::kTwoShotNorm);
    out_.rank_unknown = true;
    const int more = with_bias ? 1 : 0;
    call().options = kernels::kNorm;
    call().residual_out = At<void*>(0);
    call().output = At<void*>(1);
    call().local = At<void*>(2);
    call().gamma = At<const void*>(3);
    call().epsilon = At<float>(4);
    if (with_bias) call().weight_bias = At<float>(5);
    call().residual_in = At<const void*>(5 + more);
    call().tokens = At<uint32_t>(6 + more);
    call().hidden = At<uint32_t>(7 + more);
    call().world = At<uint32_t>(8 + more);
    call().state = At<void*>(9 + more);
    return nullptr;
  }

  // What the structs by value of both have under the same names.
  template <class Parameters>
  void Take(const Parameters& p) {
    call().output = p.output;
    call().residual_out = p.prenorm;
    call().input = p.shard;
    call().residual_in = p.residual_in;
    call().gamma = p.gamma;
    call().peer_table = p.peers;
    call().multicast = p.multicast;
    call().local = p.local;
    call().world = static_cast<uint32_t>(p.ranks);
    call().rank = static_cast<uint32_t>(p.rank);
    call().tokens = static_cast<uint32_t>(p.tokens);
    call().hidden = static_cast<uint32_t>(p.dim);
    call().epsilon = p.epsilon;
    call().output_scale = p.output_scale;
    call().quant_output = p.quant_output;
    call().scale_output = p.scale_output;
    call().state = p.flags;
  }

  void TakeByValue() {
    const auto p = At<MnnvlParameters>(0);
    Take(p);
    call().weight_bias = p.weight_bias;
    call().scale_layout = static_cast<kernels::ScaleLayout>(p.scale_layout);
  }

  const char* OneShotByValue() {
    Mnnvl(Kernel::kOneShot);
    TakeByValue();
    // What the kernel polls is its own entry of the peers; `local` need not be set.
    call().local = nullptr;
    if (kernel_.norms) call().options = kernels::kNorm;
    return nullptr;
  }

  const char* TwoShotByValue() {
    Mnnvl(Kernel::kTwoShotSends);
    TakeByValue();
    call().local = nullptr;
    if (kernel_.waits) call().options = kernels::kAwaitSums;
    return nullptr;
  }

  const char* NormByValue() {
    Mnnvl(Kernel::kTwoShotNorm);
    TakeByValue();
    call().options = kernels::kNorm;
    return nullptr;
  }

  const char* ByPattern(Kernel kernel, bool norms) {
    Mnnvl(kernel);
    const auto p = At<PatternParameters>(0);
    Take(p);
    if (kernel_.no_norm) call().output = nullptr;
    // The others poll their own entry of the peers.
    if (kernel != Kernel::kTwoShotNorm) call().local = nullptr;
    if (norms) call().options = kernels::kNorm;
    if (kernel == Kernel::kTwoShotSends && p.waits) call().options = kernels::kAwaitSums;
    // Its name does not say of which pattern it is. The norm behind it would be left as it is.
    if (kernel == Kernel::kTwoShotSends && !p.waits && p.residual_in == nullptr) {
      return "its norm has no residual";
    }
    return TakeScaleLayout(p.scale_layout);
  }

  // TensorRT-LLM's: SWIZZLED 0, LINEAR 1.
  const char* TakeScaleLayout(int32_t layout) {
    if (layout < 0 || layout > 1) return "its layout of scales is not known";
    call().scale_layout =
        layout == 0 ? kernels::ScaleLayout::kSwizzled128x4 : kernels::ScaleLayout::kLinear;
    return nullptr;
  }

  // What both structs of unicast kernels have under the same names.
  template <class Parameters>
  const char* TakeUnicast(const Parameters& p) {
    if (p.hidden <= 0 || p.elements <= 0 || p.elements % p.hidden != 0) return "its size is odd";
    call().input = p.input;
    call().residual_in = p.residual_in;
    call().gamma = p.gamma;
    call().residual_out = p.residual_out;
    call().peer_table = p.workspace + 2 * static_cast<size_t>(p.ranks);
    call().world = static_cast<uint32_t>(p.ranks);
    call().rank = static_cast<uint32_t>(p.rank);
    call().tokens = static_cast<uint32_t>(p.elements / p.hidden);
    call().hidden = static_cast<uint32_t>(p.hidden);
    call().epsilon = p.epsilon;
    call().quant_output = p.quant_output;
    call().scale_output = p.scale_output;
    call().output_scale = p.scale;
    return nullptr;
  }

  const char* UnicastOneShot() {
    out_.kernel = Kernel::kOneShot;
    out_.protocol = Protocol::kUnicast;
    UnicastParameters p{};
    std::memcpy(&p, parameters_[0], offsetof(UnicastParameters, pattern) + sizeof p.pattern);
    if (const char* refusal = TakeUnicast(p); refusal != nullptr) return refusal;
    call().scale_layout = static_cast<kernels::ScaleLayout>(p.scale_layout);
    // 0.6.11 has padding where later releases have the bias: zero means the same in both.
    uint32_t bias_bits;
    std::memcpy(&bias_bits, &p.weight_bias, sizeof bias_bits);
    if (bias_bits != 0 && kernel_.layout != FieldLayout::kUnicastUnbiased)
      return "its weight bias cannot be told from padding";
    return Pattern(p);
  }

  const char* UnicastByPattern() {
    out_.kernel = Kernel::kOneShot;
    out_.protocol = Protocol::kUnicastInWords;
    const auto p = At<PatternUnicastParameters>(0);
    if (const char* refusal = TakeUnicast(p); refusal != nullptr) return refusal;
    if (kernel_.sizes_apart) call().options = kernels::kSizesApart;
    // The kernel goes by its template arguments, the host's choice of a kernel by the struct.
    if (call().world != kernel_.world) return "its ranks are odd";
    if (p.pattern != kernel_.pattern) return "its fusion pattern is not known";
    const char* refusal = Pattern(p);
    // Others need not have set it.
    const bool scaled = call().quantisation == Quantisation::kNvfp4;
    return refusal == nullptr && scaled ? TakeScaleLayout(p.scale_layout) : refusal;
  }

  template <class Parameters>
  const char* Pattern(const Parameters& p) {
    if (p.pattern < kAllReduce || p.pattern > kNormedAndNvfp4)
      return "its fusion pattern is not known";
    if (p.pattern == kAllReduce) {
      call().output = p.sums;
      return nullptr;
    }
    call().options |= kernels::kNorm;
    const bool normed = p.pattern != kFp8 && p.pattern != kNvfp4;
    call().output = normed ? p.norm_out : nullptr;
    if (p.pattern == kFp8 || p.pattern == kNormedAndFp8) call().quantisation = Quantisation::kFp8;
    if (p.pattern == kNvfp4 || p.pattern == kNormedAndNvfp4) {
      call().quantisation = Quantisation::kNvfp4;
    }
    return nullptr;
  }

  // Nobody uses them: what these pointers hold need not even be aligned.
  void DropTensorsOfNorm() {
    call().residual_in = nullptr;
    call().residual_out = nullptr;
    call().gamma = nullptr;
  }

  void Mnnvl(Kernel kernel) {
    out_.kernel = kernel;
    out_.protocol = Protocol::kMnnvl;
  }

  const char* Check() {
    const CollectiveCall& c = call();
    const uint64_t row = uint64_t{c.hidden} * kernels::BytesOf(c.data_type);
    if (c.tokens == 0 || c.hidden == 0 || row % 16 != 0)
      return "its rows are no multiple of 16 bytes";
    if (c.world < 2 || c.world > kernels::kMaxWorld || c.rank >= c.world)
      return "its ranks are odd";
    const bool sixteens = c.world == 2 || c.world == 4 || c.world % 8 == 0;
    if (!sixteens) return "no kernel of ours takes its number of ranks";
    const bool norm_reads = out_.kernel == Kernel::kTwoShotNorm;
    if (!norm_reads && (c.input == nullptr || c.peer_table == nullptr)) return "a pointer is null";
    if (norm_reads && c.local == nullptr) return "a pointer is null";
    if (c.state == nullptr && out_.protocol == Protocol::kMnnvl) return "a pointer is null";
    // Read by 16 bytes before the kernel can judge anything.
    if (reinterpret_cast<uint64_t>(c.state) % 16 != 0)
      return "its flag words are not aligned to 16 bytes";
    if ((c.options & kernels::kNorm) != 0 && c.gamma == nullptr) return "its weights are null";
    if (c.quantisation != Quantisation::kNone && (c.options & kernels::kNorm) == 0) {
      return "it quantises without a norm";
    }
    return Outputs(c);
  }

  static const char* Outputs(const CollectiveCall& c) {
    const bool scaled =
        c.quantisation == Quantisation::kFp8 || c.quantisation == Quantisation::kNvfp4;
    const bool gives_scales =
        c.quantisation == Quantisation::kNvfp4 || c.quantisation == Quantisation::kFp8PerToken;
    if (c.quantisation != Quantisation::kNone && c.quant_output == nullptr)
      return "a pointer is null";
    if (scaled && c.output_scale == nullptr) return "its scale is null";
    if (gives_scales && c.scale_output == nullptr) return "its scales are null";
    if (c.quantisation != Quantisation::kNvfp4) return nullptr;
    if (c.data_type == DataType::kFp32 || c.hidden % 16 != 0)
      return "NVFP4 takes 16-bit rows of 16s";
    const bool known_layout = c.scale_layout == kernels::ScaleLayout::kSwizzled128x4 ||
                              c.scale_layout == kernels::ScaleLayout::kLinear;
    return known_layout ? nullptr : "its layout of scales is not known";
  }

  const FieldKernel& kernel_;
  void* const* parameters_;
  FieldCall& out_;
};

}  // namespace

const char* ReadFieldCall(const FieldKernel& kernel, void* const* parameters,
                          FieldCall* out) noexcept {
  return Reader(kernel, parameters, out).Read();
}

}  // namespace lamplight::shim
