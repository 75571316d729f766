#include "tests/unit/kernels/field_kernels.h"

#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>

namespace lamplight::kernels {
namespace {

constexpr char kFamily[] = "_ZN10flashinfer22trtllm_mnnvl_allreduce";

// The one parameter of era G.
struct Parameters {
  void *out, *prenorm;
  const void *shard, *residual, *gamma;
  void** peers;
  void *multicast, *local;
  int32_t ranks, rank, tokens, dim;
  float epsilon, weight_bias;
  const void* out_scale;
  void *quant_out, *scales_out;
  int32_t scales_layout;
  uint32_t* flags;
};
static_assert(sizeof(Parameters) == 128 && offsetof(Parameters, flags) == 120);

// Parameters one behind the other, each at the next multiple of its size.
class ParameterList {
 public:
  template <class... Args>
  explicit ParameterList(Args... args) {
    (Add(args), ...);
  }
  const std::byte* bytes() const { return bytes_; }

 private:
  template <class Arg>
  void Add(Arg arg) {
    size_ = (size_ + alignof(Arg) - 1) / alignof(Arg) * alignof(Arg);
    std::memcpy(bytes_ + size_, &arg, sizeof arg);
    size_ += sizeof arg;
  }

  size_t size_ = 0;
  alignas(16) std::byte bytes_[128] = {};
};

std::string Symbol(const char* kernel, uint32_t world, const char* rest) {
  return std::string(kFamily) + kernel + std::to_string(world) + rest;
}

// One rank's launches of one era.
class InField {
 public:
  InField(RankGroup* group, uint32_t rank, const Work& work, Tensors* tensors)
      : group_(*group), rank_(rank), work_(work), tensors_(*tensors) {
    plan_.grid_x = work.tokens;
    plan_.grid_y = plan_.cluster = work.hidden >= 128 ? 2 : 1;
    plan_.block = 128;
  }

  void DoEraG() {
    Parameters p{};
    p.out = tensors_.output.As();
    p.prenorm = tensors_.prenorm.As();
    p.shard = tensors_.input.As();
    p.residual = tensors_.residual.As();
    p.gamma = tensors_.gamma.As();
    p.peers = group_.table(rank_);
    p.local = group_.buffer(rank_).As();
    p.ranks = static_cast<int32_t>(world());
    p.rank = static_cast<int32_t>(rank_);
    p.tokens = static_cast<int32_t>(work_.tokens);
    p.dim = static_cast<int32_t>(work_.hidden);
    p.epsilon = work_.epsilon;
    p.weight_bias = work_.weight_bias;
    p.flags = group_.state(rank_);
    const auto launch = [&](const std::string& symbol) { group_.LaunchSymbol(symbol, plan_, &p); };
    if (work_.kernel == Kernel::kOneShot) {
      return launch(Symbol("28oneshotAllreduceFusionKernelILh", world(),
                           "E13__nv_bfloat16Lb1ELNS0_9QuantTypeE0E6float4EE"));
    }
    launch(Symbol("22twoshotAllreduceKernelILh", world(),
                  work_.norm ? "E13__nv_bfloat16Lb0E6float4EE" : "E13__nv_bfloat16Lb1E6float4EE"));
    if (!work_.norm) return;
    launch(std::string(kFamily) +
           "14rmsNormLamportI13__nv_bfloat16LNS0_9QuantTypeE0ELb1ELi1E6float4EE");
  }

  void DoEraC() {
    if (work_.kernel == Kernel::kOneShot) return OneShotOfEraC();
    TwoShotOfEraC();
    if (work_.norm) NormOfEraC();
  }

 private:
  uint32_t world() const { return group_.shape().world; }
  void Launch(const std::string& symbol, const ParameterList& list) {
    group_.LaunchSymbol(symbol, plan_, list.bytes());
  }
  void OneShotOfEraC() {
    Launch(Symbol("28oneshotAllreduceFusionKernelILh", world(),
                  "E13__nv_bfloat16Lb1E6float4EEvPT0_S5_PKS4_S7_S7_PS5_S5_iifiPj"),
           ParameterList(tensors_.output.As(), tensors_.prenorm.As(), tensors_.input.As(),
                         tensors_.residual.As(), tensors_.gamma.As(), group_.table(rank_),
                         static_cast<void*>(nullptr), static_cast<int>(work_.tokens),
                         static_cast<int>(work_.hidden), work_.epsilon, static_cast<int>(rank_),
                         group_.state(rank_)));
  }
  void TwoShotOfEraC() {
    Launch(Symbol("22twoshotAllreduceKernelILh", world(),
                  "E13__nv_bfloat166float4EEvPT0_PKS4_PS5_S5_jjjPjb"),
           ParameterList(work_.norm ? nullptr : tensors_.output.As(), tensors_.input.As(),
                         group_.table(rank_), static_cast<void*>(nullptr), work_.tokens,
                         work_.hidden, rank_, group_.state(rank_), !work_.norm));
  }
  void NormOfEraC() {
    Launch(
        std::string(kFamily) + "14rmsNormLamportI13__nv_bfloat16S2_Li1EEEvPT_PT0_S4_PKS3_fS8_jjjPj",
        ParameterList(tensors_.prenorm.As(), tensors_.output.As(), group_.buffer(rank_).As(),
                      tensors_.gamma.As(), work_.epsilon, tensors_.residual.As(), work_.tokens,
                      work_.hidden, world(), group_.state(rank_)));
  }

  RankGroup& group_;
  uint32_t rank_;
  const Work& work_;
  Tensors& tensors_;
  LaunchPlan plan_;
};

}  // namespace

void DoInField(Era era, RankGroup* group, uint32_t rank, const Work& work, Tensors* tensors) {
  if (work.data_type != DataType::kBf16 || (work.kernel == Kernel::kOneShot && !work.norm)) {
    throw std::runtime_error("the field has no such kernel here");
  }
  InField field(group, rank, work, tensors);
  if (era == Era::kC) {
    field.DoEraC();
  } else {
    field.DoEraG();
  }
}

}  // namespace lamplight::kernels
