// Ranks of one group in this process: buffers, states and outputs on the host, kernels on fibers,
// one thread for each rank.
//
// A group is used by one test at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/collective_call.h"
#include "kernels/launch_plan.h"
#include "kernels/protocol.cuh"
#include "kernels/snapshot_slot.h"

namespace lamplight::kernels {

// 16-byte aligned bytes between two guards that nobody may write.
class Memory {
 public:
  explicit Memory(size_t bytes = 0);
  template <class T = char>
  T* As() {
    return reinterpret_cast<T*>(chunks_.data() + kGuardChunks);
  }
  template <class T = char>
  const T* As() const {
    return reinterpret_cast<const T*>(chunks_.data() + kGuardChunks);
  }
  // A multiple of 16.
  size_t bytes() const { return (chunks_.size() - 2 * kGuardChunks) * sizeof(Chunk); }
  void Fill(uint32_t word);
  bool GuardsIntact() const;
  friend bool operator==(const Memory&, const Memory&) = default;

 private:
  struct alignas(16) Chunk {
    uint32_t word[4];
    friend bool operator==(const Chunk&, const Chunk&) = default;
  };
  static constexpr size_t kGuardChunks = 16;
  static constexpr Chunk kGuard = {{0xfeedc0deu, 0xfeedc0deu, 0xfeedc0deu, 0xfeedc0deu}};

  std::vector<Chunk> chunks_;
};

struct GroupShape {
  Protocol protocol = Protocol::kMnnvl;
  uint32_t world = 2;
  uint64_t generation_bytes = 1 << 20;
  bool headers = true;
  DataType data_type = DataType::kBf16;  // kUnicast: whose −0 arms the buffers
  bool sizes_apart = false;              // kUnicastInWords
};

// What a word holds that has not come, in protocols that clear.
uint32_t SentinelOf(const GroupShape& shape);

// One collective, the same for all ranks unless a test bends it.
struct Work {
  Kernel kernel = Kernel::kOneShot;
  DataType data_type = DataType::kBf16;
  uint32_t tokens = 1;
  uint32_t hidden = 64;
  bool norm = true;
  Quantisation quantisation = Quantisation::kNone;
  ScaleLayout scale_layout = ScaleLayout::kSwizzled128x4;
  float epsilon = 1e-5f;
  float weight_bias = 0;

  uint64_t elements() const { return uint64_t{tokens} * hidden; }
  uint64_t bytes() const { return elements() * BytesOf(data_type); }
};

// One rank's tensors for one collective.
struct Tensors {
  Tensors() = default;
  explicit Tensors(const Work& work);

  bool GuardsIntact() const;

  Memory input, residual, gamma, output, prenorm, quantised, scales;
  float output_scale = 1;
};

// What a line of the epoch protocol carries in the group's `number`-th call.
uint64_t EpochTag(const GroupShape& shape, const Work& work, uint64_t number);

class RankGroup {
 public:
  static constexpr uint32_t kNoRank = ~0u;
  // In state words that are not the kernels', where the sizes are apart.
  static constexpr uint32_t kForeign = 0xdeadbeefu;

  explicit RankGroup(const GroupShape& shape);

  const GroupShape& shape() const { return shape_; }
  Memory& buffer(uint32_t rank) { return buffers_[rank]; }
  const Memory& buffer(uint32_t rank) const { return buffers_[rank]; }
  uint32_t* state(uint32_t rank) { return states_[rank].As<uint32_t>(); }
  const uint32_t* state(uint32_t rank) const { return states_[rank].As<uint32_t>(); }
  // Where a unicast group has them apart.
  protocol::UnicastSizes& sizes(uint32_t rank) {
    return *sizes_[rank].As<protocol::UnicastSizes>();
  }
  const protocol::UnicastSizes& sizes(uint32_t rank) const {
    return *sizes_[rank].As<protocol::UnicastSizes>();
  }
  // Device array of all buffers, for kernels of the field.
  void** table(uint32_t rank) { return &table_[rank * (shape_.world + 2)]; }
  uint64_t header_offset() const { return header_offset_; }
  // Of all buffers and states.
  bool GuardsIntact() const;
  Diagnostic& diagnostic(uint32_t rank) { return diagnostics_[rank]; }
  DeviceLimits limits{132, 9};
  uint64_t timeout_ns = 0;
  uint32_t patient_rank = kNoRank;  // has no timeout
  NodeMark* mark = nullptr;         // of rank 0's calls
  uint32_t slowness = 1;            // times as long as planned, clusters that only send take
  std::chrono::seconds deadline{60};
  std::vector<void*> multicast;  // each rank's multicast address; empty: none
  bool peers_are_null = false;   // whoever stores to a peer's address crashes

  // The call of one rank, for tests that change it before Launch.
  CollectiveCall CallOf(uint32_t rank, const Work& work, Tensors& tensors);
  // Runs one kernel to its end on the caller's thread. Throws what stops a kernel.
  void Launch(const CollectiveCall& call, const Work& work);
  // The same for any kernel that the simulated device knows.
  void LaunchSymbol(const std::string& symbol, const LaunchPlan& plan, const void* parameters);
  // One rank does `work`; the kernel pair of kTwoShotSends counts as one.
  void Do(uint32_t rank, const Work& work, Tensors& tensors);
  // The same by a call that a test has changed.
  void Do(const CollectiveCall& call, const Work& work);
  // `rank_does(rank)` on one thread for each rank; returns when all have ended, rethrows.
  void Together(const std::function<void(uint32_t)>& rank_does);
  // All ranks do `work`.
  void DoAll(const Work& work, std::vector<Tensors>& tensors);

 private:
  void Arm(uint32_t rank);

  GroupShape shape_;
  uint64_t header_offset_ = 0;
  std::vector<Memory> buffers_;
  std::vector<Memory> states_;
  std::vector<Memory> sizes_;
  std::vector<void*> table_;  // for each rank W buffers, then what unicast kernels look for there
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace lamplight::kernels
