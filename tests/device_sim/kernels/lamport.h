// The Lamport protocol as the simulated kernels speak it: one call of a kernel over the same words,
// in the same order of events as on a GPU.
//
// One thread runs one kernel; words that other ranks write are accessed by atomics. The bodies run
// all blocks' sends, arrival and clears before anything waits, so that ranks cannot wait in a ring.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/protocol.cuh"
#include "tests/device_sim/sim_kernel.h"

namespace device_sim {

inline uint32_t LoadWord(const uint32_t* word) {
  return std::atomic_ref<uint32_t>(*const_cast<uint32_t*>(word)).load(std::memory_order_acquire);
}

inline void StoreWord(uint32_t* word, uint32_t value) {
  std::atomic_ref<uint32_t>(*word).store(value, std::memory_order_release);
}

// bf16 −0 in either half becomes +0: the word can no longer be the sentinel.
constexpr uint32_t Sanitised(uint32_t word) {
  if ((word & 0xffff0000u) == 0x80000000u) word &= 0x0000ffffu;
  if ((word & 0x0000ffffu) == 0x00008000u) word &= 0xffff0000u;
  return word;
}

// How a family of kernels differs from the others.
struct Policy {
  lamplight::protocol::Compare compare;
  bool sanitise_sums;    // two-shot: the owner's sums lose their −0 before the broadcast
  bool check_all_words;  // broadcast stage: every word of a packet decides, not only its first
  bool block_arrivals;   // the norm kernel counts arrivals by block, not by cluster
};

// bf16 rows of `dim` elements; null where the kernel has no such parameter.
struct Job {
  uint16_t* out = nullptr;
  uint16_t* prenorm = nullptr;
  const uint16_t* shard = nullptr;
  const uint16_t* residual = nullptr;
  const uint16_t* gamma = nullptr;
  uint32_t* const* peers = nullptr;
  uint32_t* multicast = nullptr;
  uint32_t* local = nullptr;
  uint32_t world = 0;
  uint32_t rank = 0;
  uint32_t tokens = 0;
  uint32_t dim = 0;
  float epsilon = 0;
  float weight_bias = 0;
  uint32_t* flags = nullptr;

  size_t row_words() const { return dim / 2; }
};

// The flag words as they were when the kernel began.
class Lamport {
 public:
  Lamport(KernelContext& context, uint32_t* flags, uint32_t stages);

  void UseGeneration(uint32_t generation) { generation_ = generation; }
  uint32_t* Stage(uint32_t* base, uint32_t stage) const;
  void Clear(uint32_t* local, uint32_t stage) const;
  void ClearAll(uint32_t* local) const;
  void Arrive(uint32_t arrivals) const;
  // Waits for `target` arrivals, then moves the index on.
  void Update(uint32_t target, uint32_t clear0, uint32_t clear1) const;
  // The word once the policy's compare takes it for data; until then it gives the core away.
  uint32_t Await(const uint32_t* word, lamplight::protocol::Compare compare) const;

 private:
  bool LosesUpdate() const;

  KernelContext& context_;
  uint32_t* flags_;
  uint32_t stages_;
  uint32_t entry_;
  uint32_t generation_;
  uint32_t dirty_;
  uint32_t bytes_;
  uint32_t dirty_stages_;
};

uint32_t Blocks(const KernelContext& context);
uint32_t Clusters(const KernelContext& context);

// Sends `words` words to one buffer, or to every peer's. The first word of a packet is stored last.
void SendRow(uint32_t* target, const uint32_t* words, size_t count);
void SendRowToAll(const Lamport& lamport, const Job& job, uint32_t stage, size_t offset,
                  const uint32_t* words);
// One token of the shard, without −0.
std::vector<uint32_t> SanitisedRow(const Job& job, uint32_t token);
// The sum over ranks, in rank order, of the rows that arrive at `first`, `first + row`, …
std::vector<uint32_t> AwaitSum(const Lamport& lamport, const Job& job, const uint32_t* first,
                               lamplight::protocol::Compare compare);
// Residual, RMSNorm and both outputs of one token.
void FinishToken(const Job& job, uint32_t token, const std::vector<uint32_t>& sum);

}  // namespace device_sim
