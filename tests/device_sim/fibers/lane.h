// One thread of a grid, as the machine's functions see it, with the groups it is in.
//
// Used by the grid's thread only. The current lane is that of the fiber which runs.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "kernels/machine.cuh"
#include "tests/device_sim/fibers/barrier.h"
#include "tests/device_sim/sim_kernel.h"

namespace device_sim::fibers {

// What a collective of a warp passes from lane to lane. Two places, used in turn: nobody is two
// collectives ahead.
struct Warp {
  Barrier all;
  std::array<std::array<float, 32>, 2> value{};
  std::array<std::array<uint64_t, 32>, 2> words{};
  std::array<bool, 2> vote{};
};

struct Cluster;

struct Block {
  Cluster* cluster = nullptr;
  uint32_t rank = 0;  // in the cluster
  Barrier barrier;
  std::vector<Warp> warps;
  std::unique_ptr<std::byte[]> dynamic_shared;
};

struct Cluster {
  uint32_t number = 0;
  Barrier barrier;
  std::array<std::vector<float>, 2> parts;  // of each warp, by rounds in turn
  std::vector<Block> blocks;
  uint32_t running = 0;  // lanes that have not ended
};

struct Lane {
  Block* block = nullptr;
  uint32_t thread = 0;
  uint32_t collectives = 0;  // of its warp, so far: sums, votes, passed words
  uint32_t votes = 0;
  uint32_t passes = 0;
  // Has looked for a packet in vain, and has done nothing but look since.
  bool polls = false;

  Warp& warp() const { return block->warps[thread / 32]; }
};

// What the running fiber can ask of its grid.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  virtual KernelContext& context() = 0;
  virtual void Await(Barrier& barrier) = 0;
  virtual void Poll() = 0;  // in vain, once
};

Lane& CurrentLane();
Scheduler& CurrentScheduler();

}  // namespace device_sim::fibers
