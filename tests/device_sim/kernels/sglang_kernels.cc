// SGLang's one-shot push kernel, 0.5.23, for two ranks and bf16: two phases, a counter for each
// block, words without a bit for what has not come, cleared by whoever has read them.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bf16.h"
#include "tests/device_sim/sim_kernel.h"

namespace device_sim {
namespace {

constexpr uint32_t kWorld = 2;
constexpr uint32_t kVectorWords = 4;

struct Parameters {
  const uint32_t* input;
  uint32_t* output;
  uint32_t vectors;
  uint32_t rank;
  std::array<std::byte*, kWorld> workspaces;
  uint32_t* counters;
  std::byte* multicast;
  uint32_t slot_bytes;
};
static_assert(sizeof(Parameters) == 64 && offsetof(Parameters, slot_bytes) == 56);

uint32_t Load(const uint32_t* at) {
  return std::atomic_ref<uint32_t>(*const_cast<uint32_t*>(at)).load(std::memory_order_acquire);
}
void Store(uint32_t* at, uint32_t value) {
  std::atomic_ref<uint32_t>(*at).store(value, std::memory_order_release);
}

uint32_t Sum(uint32_t a, uint32_t b) {
  uint32_t sum = 0;
  for (const int shift : {0, 16}) {
    const auto half = [shift](uint32_t word) {
      return FromBf16(static_cast<uint16_t>(word >> shift));
    };
    sum |= static_cast<uint32_t>(ToBf16(half(a) + half(b))) << shift;
  }
  return sum;
}

class Push {
 public:
  Push(KernelContext& context, const Parameters& p)
      : context_(context), p_(p), blocks_(context.grid().x), phase_(Load(p.counters) & 1) {}

  void Run() {
    for (uint32_t word = 0; word < p_.vectors * kVectorWords; ++word) Send(word);
    std::vector<bool> ended(blocks_);
    for (uint32_t left = blocks_; left > 0; context_.Relax()) {
      for (uint32_t block = 0; block < blocks_; ++block) {
        if (ended[block] || !Finish(block)) continue;
        ended[block] = true;
        Store(p_.counters + block, phase_ ^ 1);
        --left;
      }
    }
  }

 private:
  uint32_t* Slot(uint32_t at, uint32_t from) const {
    return reinterpret_cast<uint32_t*>(p_.workspaces[at] +
                                       (phase_ * kWorld + from) * uint64_t{p_.slot_bytes});
  }

  void Send(uint32_t word) const {
    const uint32_t value = p_.input[word] == 0 ? 0x8000 : p_.input[word];
    for (uint32_t to = 0; to < kWorld; ++to) Store(Slot(to, p_.rank) + word, value);
  }

  // Of a block's vectors those that are there; false while one of them is not.
  bool Finish(uint32_t block) {
    bool all = true;
    for (uint32_t vector = block; vector < p_.vectors; vector += blocks_) {
      all = (read_.size() > vector && read_[vector]) || Read(vector) ? all : false;
    }
    return all;
  }

  bool Read(uint32_t vector) {
    const uint32_t first = vector * kVectorWords;
    for (uint32_t word = first; word < first + kVectorWords; ++word) {
      if (Load(Slot(p_.rank, 0) + word) == 0 || Load(Slot(p_.rank, 1) + word) == 0) return false;
    }
    for (uint32_t word = first; word < first + kVectorWords; ++word) {
      p_.output[word] = Sum(Load(Slot(p_.rank, 0) + word), Load(Slot(p_.rank, 1) + word));
      for (uint32_t from = 0; from < kWorld; ++from) Store(Slot(p_.rank, from) + word, 0);
    }
    read_.resize(p_.vectors);
    read_[vector] = true;
    return true;
  }

  KernelContext& context_;
  const Parameters& p_;
  const uint32_t blocks_;
  const uint32_t phase_;
  std::vector<bool> read_;
};

void OneShotPush(KernelContext& context, Parameters p) { Push(context, p).Run(); }

const KernelRegistration one_shot(
    "_ZN6sglang28all_reduce_1shot_push_kernelI13__nv_bfloat16Lj2ELb1EEEvNS_19AllReducePushParams",
    OneShotPush);

}  // namespace
}  // namespace device_sim
