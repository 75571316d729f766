#include "tests/device_sim/fibers/fiber_grid.h"

#include <boost/context/fiber.hpp>
#include <deque>
#include <exception>
#include <list>

#include "tests/device_sim/fibers/lane.h"
#include "tests/device_sim/fibers/stack_pool.h"

namespace device_sim::fibers {
namespace {

using lamplight::kernels::CollectiveCall;

// Threads that run at once; a larger grid waits for room, as on a GPU. Few enough for their stacks
// to stay in the cache.
constexpr uint32_t kResidentThreads = 1024;

struct FiberLane : Lane {
  boost::context::fiber fiber;   // of the lane, while it does not run
  boost::context::fiber caller;  // of the scheduler, while the lane runs
  const Barrier* awaits = nullptr;
  uint64_t round = 0;
  std::exception_ptr failure;

  bool blocked() const { return awaits != nullptr && awaits->round == round; }
  void GiveWay() { caller = std::move(caller).resume(); }
};

class Grid;
thread_local FiberLane* current_lane = nullptr;
thread_local Grid* current_grid = nullptr;

class Grid final : public Scheduler {
 public:
  Grid(KernelContext& context, Body body, const CollectiveCall& call)
      : context_(context), body_(body), call_(call) {}

  KernelContext& context() override { return context_; }

  void Await(Barrier& barrier) override {
    FiberLane& lane = *current_lane;
    lane.round = barrier.round;
    if (barrier.Arrive()) return;
    lane.awaits = &barrier;
    lane.GiveWay();
    lane.awaits = nullptr;
  }

  void Poll() override {
    current_lane->polls = true;
    current_lane->GiveWay();
  }

  void Run() {
    const uint32_t clusters = context_.grid().x;
    uint32_t started = 0;
    while (started < clusters || !resident_.empty()) {
      while (started < clusters && HasRoom()) Start(started++);
      if (!Round()) context_.Relax();
      Retire();
    }
  }

 private:
  struct Resident {
    Cluster cluster;
    std::deque<FiberLane> lanes;
  };

  uint32_t ClusterThreads() const { return context_.grid().y * context_.block().x; }
  bool HasRoom() const {
    return resident_.empty() || (resident_.size() + 1) * ClusterThreads() <= kResidentThreads;
  }

  void Start(uint32_t number) {
    Resident& resident = resident_.emplace_back();
    const uint32_t threads = context_.block().x;
    Cluster& cluster = resident.cluster;
    cluster.number = number;
    cluster.running = ClusterThreads();
    cluster.barrier.expected = ClusterThreads();
    cluster.blocks.resize(context_.grid().y);
    for (uint32_t rank = 0; rank < cluster.blocks.size(); ++rank) {
      Block& block = cluster.blocks[rank];
      block.cluster = &cluster;
      block.rank = rank;
      block.barrier.expected = threads;
      block.dynamic_shared = std::make_unique<std::byte[]>(context_.shared_bytes() + 16);
      block.warps.resize((threads + 31) / 32);
      for (Warp& warp : block.warps) warp.all.expected = 32;
      for (uint32_t thread = 0; thread < threads; ++thread) Start(resident, block, thread);
    }
  }

  void Start(Resident& resident, Block& block, uint32_t thread) {
    FiberLane& lane = resident.lanes.emplace_back();
    lane.block = &block;
    lane.thread = thread;
    lane.fiber = boost::context::fiber(
        std::allocator_arg, PooledStack{},
        [this, &lane](boost::context::fiber&& caller) -> boost::context::fiber {
          lane.caller = std::move(caller);
          try {
            body_(call_);
          } catch (const boost::context::detail::forced_unwind&) {
            throw;  // the grid is given up
          } catch (...) {
            lane.failure = std::current_exception();
          }
          return std::move(lane.caller);
        });
  }

  // Every lane that can go on does so once. False: nobody got anywhere, the lanes of a warp that
  // agree on having seen nothing included.
  bool Round() {
    bool moved = false;
    for (Resident& resident : resident_) {
      for (FiberLane& lane : resident.lanes) {
        if (!lane.fiber || lane.blocked()) continue;
        Resume(resident, lane);
        moved |= !lane.polls;
      }
    }
    return moved;
  }

  void Resume(Resident& resident, FiberLane& lane) {
    current_lane = &lane;
    current_grid = this;
    lane.fiber = std::move(lane.fiber).resume();
    current_lane = nullptr;
    current_grid = nullptr;
    if (lane.failure != nullptr) std::rethrow_exception(lane.failure);
    if (!lane.fiber) {
      --resident.cluster.running;
      lane.polls = false;
    }
  }

  void Retire() {
    std::erase_if(resident_, [](const Resident& r) { return r.cluster.running == 0; });
  }

  KernelContext& context_;
  Body body_;
  const CollectiveCall& call_;
  // Addresses of clusters and lanes are taken.
  std::list<Resident> resident_;
};

}  // namespace

Lane& CurrentLane() { return *current_lane; }
Scheduler& CurrentScheduler() { return *current_grid; }

void RunGrid(KernelContext& context, Body body, const CollectiveCall& call) {
  Grid(context, body, call).Run();
}

}  // namespace device_sim::fibers
