// What the field's non-MNNVL ("trtllm") fusion kernels do, for two ranks: one-shot over Lamport
// buffers, and two-shot behind a barrier. FlashInfer's and TensorRT-LLM's differ in what is polled
// as a whole and in where the sizes are.
//
// A call lives for one launch, on one thread.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "bf16.h"
#include "tests/device_sim/sim_kernel.h"

namespace device_sim::unicast {

inline constexpr uint32_t kWorld = 2;
inline constexpr uint32_t kGenerations = 3;
inline constexpr int kBarrierFlags = 256;

// What a launch says, whoever's it is: their structs have the same under these names.
struct Launch {
  template <class Parameters>
  explicit Launch(const Parameters& p)
      : rank(p.rank),
        elements(p.elements),
        hidden(p.hidden),
        workspace(p.workspace),
        input(p.input),
        sums(p.sums),
        residual_in(p.residual_in),
        residual_out(p.residual_out),
        norm_out(p.norm_out),
        gamma(p.gamma),
        epsilon(p.epsilon),
        pattern(p.pattern) {}

  int32_t rank;
  int32_t elements;
  int32_t hidden;
  void** workspace;
  const void* input;
  void* sums;
  const void* residual_in;
  void* residual_out;
  void* norm_out;
  const void* gamma;
  float epsilon;
  int32_t pattern;
};

// {counter, sync flag, index} and the sizes, which are either the next two words or elsewhere.
struct State {
  int32_t* words;
  int64_t* sizes;  // {elements to clear, bytes of a generation}; null: the words hold them

  int32_t& counter() const { return words[0]; }
  int32_t& sync_flag() const { return words[1]; }
  int32_t& index() const { return words[2]; }
  int64_t generation_bytes() const { return sizes != nullptr ? sizes[1] : words[3]; }
  int64_t clear_elements() const { return sizes != nullptr ? sizes[0] : words[4]; }
  void SetClearElements(int64_t elements) const {
    if (sizes != nullptr) {
      sizes[0] = elements;
    } else {
      words[4] = static_cast<int32_t>(elements);
    }
  }
};

// Elements of Bits; one Unit, which holds one or more of them, has come or not.
struct Bf16 {
  using Bits = uint16_t;
  using Unit = uint16_t;
  static constexpr Unit kEmpty = 0x8000;
  static float Value(Bits bits) { return FromBf16(bits); }
  static Bits Of(float value) { return ToBf16(value); }
};

struct Bf16InWords : Bf16 {
  using Unit = uint32_t;
  static constexpr Unit kEmpty = 0x80000000u;
};

struct Fp32 {
  using Bits = uint32_t;
  using Unit = uint32_t;
  static constexpr Unit kEmpty = 0x80000000u;
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

template <class T>
class Call {
 public:
  using Bits = typename T::Bits;
  using Unit = typename T::Unit;
  static constexpr int32_t kPerUnit = sizeof(Unit) / sizeof(Bits);

  Call(KernelContext& context, const Launch& launch, const State& state)
      : context_(context), p_(launch), state_(state) {}

  void OneShot() {
    const auto index = static_cast<uint32_t>(state_.index()) % kGenerations;
    const int32_t units = p_.elements / kPerUnit;
    for (uint32_t rank = 0; rank < kWorld; ++rank) {
      Unit* to = Generation(rank, index) + p_.rank * units;
      for (int32_t i = 0; i < units; ++i) {
        const Unit value = static_cast<const Unit*>(p_.input)[i];
        Store(to + i, value == T::kEmpty ? Unit{0} : value);
      }
    }
    Unit* dirty = Generation(p_.rank, (index + 2) % kGenerations);
    for (int64_t i = 0; i < state_.clear_elements() / kPerUnit; ++i) Store(dirty + i, T::kEmpty);
    const auto sum_of = [&](int32_t i) {
      float sum = 0;
      for (uint32_t rank = 0; rank < kWorld; ++rank) {
        const Unit unit =
            Await(Generation(p_.rank, index) + static_cast<int32_t>(rank) * units + i / kPerUnit);
        sum += T::Value(static_cast<Bits>(unit >> (i % kPerUnit * 8 * sizeof(Bits))));
      }
      return sum;
    };
    // Blocks count themselves in at their beginning, and the first one moves the words on at its
    // own end: others may still poll then.
    state_.counter() += Blocks();
    FinishRows(0, sum_of);
    state_.index() = static_cast<int32_t>((index + 1) % kGenerations);
    state_.SetClearElements(p_.elements * static_cast<int32_t>(kWorld));
    state_.counter() = 0;
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
  Unit* Generation(uint32_t rank, uint32_t index) const {
    auto* base = static_cast<std::byte*>(p_.workspace[2 * kWorld + rank]);
    return reinterpret_cast<Unit*>(base + index * state_.generation_bytes());
  }

  Unit Await(const Unit* at) const {
    Unit unit = Load(at);
    while (unit == T::kEmpty) {
      context_.Relax();
      unit = Load(at);
    }
    return unit;
  }

  // Own block's flags of every rank; here one thread stands for all blocks.
  void Barrier() const {
    const int32_t next = (state_.sync_flag() + 1) % 3;
    for (uint32_t rank = 0; rank < kWorld; ++rank) {
      auto* flags = static_cast<int32_t*>(p_.workspace[kWorld + rank]);
      for (int i = 0; i < kBarrierFlags; ++i) Store(flags + i * kWorld + p_.rank, next);
    }
    const auto* own = static_cast<const int32_t*>(p_.workspace[kWorld + p_.rank]);
    for (uint32_t rank = 0; rank < kWorld; ++rank) {
      while (Load(own + rank) == state_.sync_flag()) context_.Relax();
    }
    state_.sync_flag() = next;
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

  // Stores the sum, or the sum with its residual, each rounded; returns the square of that.
  float Prenorm(int32_t i, float sum) const {
    Bits bits = T::Of(sum);
    if (p_.pattern != 0) {
      bits = T::Of(T::Value(bits) + T::Value(static_cast<const Bits*>(p_.residual_in)[i]));
    }
    static_cast<Bits*>(p_.pattern == 0 ? p_.sums : p_.residual_out)[i] = bits;
    return T::Value(bits) * T::Value(bits);
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
  const Launch p_;
  const State state_;
};

using Tokens = std::array<int32_t, kWorld>;

// The kernels of one fusion pattern; StateOf finds the state of a launch. `prefix` is the mangled
// namespace, `substitution` what stands for it before the pattern's type.
template <class Parameters, State (*StateOf)(const Parameters&), class Narrow>
struct Family {
  Family(const std::string& prefix, const char* substitution, int pattern)
      : narrow(Symbol(prefix, kOneShot, substitution, pattern, kBf16), OneShot<Narrow>),
        wide(Symbol(prefix, kOneShot, substitution, pattern, "f"), OneShot<Fp32>),
        two_shot(Symbol(prefix, kTwoShot, substitution, pattern, kBf16), TwoShot) {}

  KernelRegistration<Parameters> narrow;
  KernelRegistration<Parameters> wide;
  KernelRegistration<Parameters, Tokens, Tokens> two_shot;

 private:
  static constexpr char kOneShot[] = "39allreduce_fusion_kernel_oneshot_lamport";
  static constexpr char kTwoShot[] = "36allreduce_fusion_kernel_twoshot_sync";
  static constexpr char kBf16[] = "13__nv_bfloat16";

  static std::string Symbol(const std::string& prefix, const char* kernel, const char* substitution,
                            int pattern, const char* type) {
    return prefix + kernel + "ILN" + substitution + "22AllReduceFusionPatternE" +
           std::to_string(pattern) + "E" + type + "Li2E";
  }

  template <class T>
  static void OneShot(KernelContext& context, Parameters p) {
    Call<T>(context, Launch(p), StateOf(p)).OneShot();
  }
  static void TwoShot(KernelContext& context, Parameters p, Tokens, Tokens) {
    Call<Narrow>(context, Launch(p), StateOf(p)).TwoShot();
  }
};

}  // namespace device_sim::unicast
