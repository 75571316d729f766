// FlashInfer's non-MNNVL ("trtllm") fusion kernels, 0.2.9 to 0.6.10, for two ranks: one-shot over
// Lamport buffers whose empty elements are −0 of the data type, and two-shot behind a barrier.
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <string>

#include "bf16.h"
#include "tests/device_sim/sim_kernel.h"

namespace device_sim {
namespace {

constexpr uint32_t kWorld = 2;
constexpr uint32_t kGenerations = 3;
constexpr int kBarrierFlags = 256;

struct Parameters {
  int32_t ranks;
  int32_t rank;
  int32_t elements;
  int32_t hidden;
  void** workspace;
  const void* input;
  void* sums;
  const void* residual_in;
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
static_assert(sizeof(Parameters) == 128 && offsetof(Parameters, workspace) == 16);
static_assert(offsetof(Parameters, gamma) == 80 && offsetof(Parameters, pattern) == 120);

struct Bf16 {
  using Bits = uint16_t;
  static constexpr Bits kEmpty = 0x8000;
  static float Value(Bits bits) { return FromBf16(bits); }
  static Bits Of(float value) { return ToBf16(value); }
};

struct Fp32 {
  using Bits = uint32_t;
  static constexpr Bits kEmpty = 0x80000000u;
  static float Value(Bits bits) { return std::bit_cast<float>(bits); }
  static Bits Of(float value) { return std::bit_cast<Bits>(value); }
};

template <class Bits>
Bits Load(const Bits* at) {
  return std::atomic_ref<Bits>(*const_cast<Bits*>(at)).load(std::memory_order_acquire);
}
template <class Bits>
void Store(Bits* at, Bits value) {
  std::atomic_ref<Bits>(*at).store(value, std::memory_order_release);
}

// What workspace[3W] points at.
struct Words {
  int32_t counter;
  int32_t sync_flag;
  int32_t index;
  int32_t generation_bytes;
  int32_t clear_elements;
};

template <class T>
class Call {
 public:
  using Bits = typename T::Bits;

  Call(KernelContext& context, const Parameters& p)
      : context_(context), p_(p), words_(*static_cast<Words*>(p.workspace[3 * kWorld])) {}

  void OneShot() {
    const auto index = static_cast<uint32_t>(words_.index) % kGenerations;
    for (uint32_t rank = 0; rank < kWorld; ++rank) {
      Bits* to = Generation(rank, index) + p_.rank * p_.elements;
      for (int32_t i = 0; i < p_.elements; ++i) {
        const Bits value = static_cast<const Bits*>(p_.input)[i];
        Store(to + i, value == T::kEmpty ? Bits{0} : value);
      }
    }
    Bits* dirty = Generation(p_.rank, (index + 2) % kGenerations);
    for (int32_t i = 0; i < words_.clear_elements; ++i) Store(dirty + i, T::kEmpty);
    const auto sum_of = [&](int32_t i) {
      float sum = 0;
      for (uint32_t rank = 0; rank < kWorld; ++rank) {
        sum += Await(Generation(p_.rank, index) + static_cast<int32_t>(rank) * p_.elements + i);
      }
      return sum;
    };
    // Blocks count themselves in at their beginning, and the first one moves the words on at its
    // own end: others may still poll then.
    words_.counter += Blocks();
    FinishRows(0, sum_of);
    words_.index = static_cast<int32_t>((index + 1) % kGenerations);
    words_.clear_elements = p_.elements * static_cast<int32_t>(kWorld);
    words_.counter = 0;
    for (int32_t block = 1; block < Blocks(); ++block) FinishRows(block, sum_of);
  }

  void TwoShot() {
    auto* own = static_cast<Bits*>(p_.workspace[p_.rank]);
    for (int32_t i = 0; i < p_.elements; ++i) Store(own + i, static_cast<const Bits*>(p_.input)[i]);
    Barrier();
    Finish([&](int32_t i) {
      float sum = 0;
      for (uint32_t rank = 0; rank < kWorld; ++rank) {
        sum += T::Value(Load(static_cast<const Bits*>(p_.workspace[rank]) + i));
      }
      return sum;
    });
    Barrier();
  }

 private:
  Bits* Generation(uint32_t rank, uint32_t index) const {
    auto* base = static_cast<std::byte*>(p_.workspace[2 * kWorld + rank]);
    return reinterpret_cast<Bits*>(base + size_t{index} * words_.generation_bytes);
  }

  float Await(const Bits* at) const {
    Bits bits = Load(at);
    while (bits == T::kEmpty) {
      context_.Relax();
      bits = Load(at);
    }
    return T::Value(bits);
  }

  // Own block's flags of every rank; here one thread stands for all blocks.
  void Barrier() const {
    const int32_t next = (words_.sync_flag + 1) % 3;
    for (uint32_t rank = 0; rank < kWorld; ++rank) {
      auto* flags = static_cast<int32_t*>(p_.workspace[kWorld + rank]);
      for (int i = 0; i < kBarrierFlags; ++i) Store(flags + i * kWorld + p_.rank, next);
    }
    const auto* own = static_cast<const int32_t*>(p_.workspace[kWorld + p_.rank]);
    for (uint32_t rank = 0; rank < kWorld; ++rank) {
      while (Load(own + rank) == words_.sync_flag) context_.Relax();
    }
    words_.sync_flag = next;
  }

  int32_t Blocks() const { return static_cast<int32_t>(context_.grid().x); }

  template <class Sum>
  void Finish(Sum sum) const {
    for (int32_t block = 0; block < Blocks(); ++block) FinishRows(block, sum);
  }

  // A block's rows: every so many from its own number on.
  template <class Sum>
  void FinishRows(int32_t block, Sum sum) const {
    const int32_t step = Blocks() * p_.hidden;
    for (int32_t first = block * p_.hidden; first < p_.elements; first += step) {
      float squares = 0;
      for (int32_t i = first; i < first + p_.hidden; ++i) squares += Prenorm(i, sum(i));
      if (p_.pattern != 0) Norm(first, squares);
    }
  }

  // Stores the sum, or the sum with its residual; returns the square of that.
  float Prenorm(int32_t i, float value) const {
    if (p_.pattern != 0) value += T::Value(static_cast<const Bits*>(p_.residual_in)[i]);
    auto* out = static_cast<Bits*>(p_.pattern == 0 ? p_.sums : p_.residual_out);
    out[i] = T::Of(value);
    return value * value;
  }

  void Norm(int32_t first, float squares) const {
    const float factor = 1 / std::sqrt(squares / static_cast<float>(p_.hidden) + p_.epsilon);
    for (int32_t i = first; i < first + p_.hidden; ++i) {
      const float value = T::Value(static_cast<const Bits*>(p_.residual_out)[i]);
      const float gamma = T::Value(static_cast<const Bits*>(p_.gamma)[i - first]);
      static_cast<Bits*>(p_.norm_out)[i] = T::Of(value * factor * gamma);
    }
  }

  KernelContext& context_;
  const Parameters& p_;
  Words& words_;
};

template <class T>
void OneShot(KernelContext& context, Parameters parameters) {
  Call<T>(context, parameters).OneShot();
}

using Tokens = std::array<int32_t, kWorld>;
template <class T>
void TwoShot(KernelContext& context, Parameters parameters, Tokens, Tokens) {
  Call<T>(context, parameters).TwoShot();
}

std::string Symbol(const char* kernel, int pattern, const char* type) {
  return "_ZN10flashinfer23trtllm_allreduce_fusion" + std::string(kernel) +
         "ILNS0_22AllReduceFusionPatternE" + std::to_string(pattern) + "E" + type + "Li2E";
}

constexpr char kOneShot[] = "39allreduce_fusion_kernel_oneshot_lamport";
constexpr char kTwoShot[] = "36allreduce_fusion_kernel_twoshot_sync";
constexpr char kBf16[] = "13__nv_bfloat16";

// The kernels of one fusion pattern.
struct Family {
  explicit Family(int pattern)
      : narrow(Symbol(kOneShot, pattern, kBf16), OneShot<Bf16>),
        wide(Symbol(kOneShot, pattern, "f"), OneShot<Fp32>),
        two_shot(Symbol(kTwoShot, pattern, kBf16), TwoShot<Bf16>) {}

  KernelRegistration<Parameters> narrow;
  KernelRegistration<Parameters> wide;
  KernelRegistration<Parameters, Tokens, Tokens> two_shot;
};

const Family plain(0);
const Family normed(1);

void Touch(KernelContext&, const uint16_t* from, uint16_t* to) { *to = *from; }
const KernelRegistration touch("_ZN12unicast_host11touchKernelE", Touch);

}  // namespace
}  // namespace device_sim
