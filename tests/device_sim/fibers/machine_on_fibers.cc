// kernels/machine.cuh on the simulated device. Every function belongs to the fiber that runs.
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "kernels/machine.cuh"
#include "tests/device_sim/fibers/lane.h"

namespace lamplight::kernels::machine {
namespace {

using device_sim::fibers::CurrentLane;
using device_sim::fibers::CurrentScheduler;
using device_sim::fibers::Lane;
using device_sim::fibers::Warp;

void Meet(device_sim::fibers::Barrier& barrier) { CurrentScheduler().Await(barrier); }

// The running lane gets on: it does not only look for a packet.
void GetsOn() { CurrentLane().polls = false; }

// As the shuffles of a GPU combine: the same pairs, in the same order.
template <class Combine>
float WarpCombine(float value, Combine combine) {
  GetsOn();
  Lane& lane = CurrentLane();
  Warp& warp = lane.warp();
  auto& values = warp.value[lane.collectives++ % 2];
  values[lane.thread % kWarp] = value;
  Meet(warp.all);
  std::array<float, kWarp> now = values;
  for (uint32_t lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    const std::array<float, kWarp> before = now;
    for (uint32_t i = 0; i < kWarp; ++i) now[i] = combine(before[i], before[i ^ lanes]);
  }
  return now[lane.thread % kWarp];
}

uint32_t HalfOf(const Lane& lane) { return lane.thread / 16 % 2; }

// One vote of the 16 lanes of a line; true for all when `combine` of them is.
bool LineVote(bool mine) {
  Lane& lane = CurrentLane();
  Warp& warp = lane.warp();
  const uint32_t turn = lane.line_collectives++ % 2;
  auto& half = warp.half[HalfOf(lane)];
  bool& vote = warp.vote[turn][HalfOf(lane)];
  if (half.arrived == 0) vote = false;
  vote |= mine;
  Meet(half);
  return vote;
}

// Words of one access are stored last to first: a reader must check each of them.
template <class Words>
void StoreWords(Words* address, const Words& value) {
  GetsOn();
  constexpr int kCount = sizeof(Words) / sizeof(uint32_t);
  for (int i = kCount - 1; i >= 0; --i) {
    __atomic_store_n(&address->word[i], value.word[i], __ATOMIC_RELEASE);
  }
}

}  // namespace

uint32_t Thread() { return CurrentLane().thread; }
uint32_t BlockThreads() { return CurrentScheduler().context().block().x; }
uint32_t Token() { return CurrentLane().block->cluster->token; }
uint32_t Tokens() { return CurrentScheduler().context().grid().x; }
uint32_t BlockOfToken() { return CurrentLane().block->rank; }
uint32_t BlocksOfToken() { return CurrentScheduler().context().grid().y; }

// Programmatic edges run as full dependencies here.
void AwaitEarlierGrids() {}
void LetLaterGridsStart() {}

void SyncBlock() {
  GetsOn();
  Meet(CurrentLane().block->barrier);
}
void SyncCluster() {
  GetsOn();
  Meet(CurrentLane().block->cluster->barrier);
}
// The blocks of a cluster begin together here.
void AnnounceToCluster() {}
void AwaitClusterBegun() {}

BlockScratch& Scratch() { return CurrentLane().block->scratch; }
BlockScratch& ScratchOf(uint32_t block) {
  return CurrentLane().block->cluster->blocks[block].scratch;
}
unsigned char* DynamicShared() {
  return reinterpret_cast<unsigned char*>(CurrentLane().block->dynamic_shared.get());
}

float WarpSum(float value) {
  return WarpCombine(value, [](float a, float b) { return a + b; });
}
float WarpMax(float value) {
  return WarpCombine(value, [](float a, float b) { return std::fmax(a, b); });
}

Words4 Load(const Words4* address) { return *address; }
Words2 Load(const Words2* address) { return *address; }
void Store(Words4* address, const Words4& value) { StoreWords(address, value); }
void Store(Words2* address, const Words2& value) { StoreWords(address, value); }

Words4 Poll(const Words4* address) {
  Words4 value;
  for (int i = 0; i < 4; ++i) {
    value.word[i] = __atomic_load_n(&address->word[i], __ATOMIC_ACQUIRE);
  }
  return value;
}
void Send(Words4* address, const Words4& value) { StoreWords(address, value); }
uint32_t Poll(const uint32_t* address) { return __atomic_load_n(address, __ATOMIC_ACQUIRE); }
uint64_t Poll(const uint64_t* address) { return __atomic_load_n(address, __ATOMIC_ACQUIRE); }
void Send(uint64_t* address, uint64_t value) { __atomic_store_n(address, value, __ATOMIC_RELEASE); }

// A line is stored and seen whole: its tag goes last and is looked at first.
void SendLine(uint64_t* line, uint32_t slot, uint64_t value) {
  GetsOn();
  const bool tag = slot == 15;
  if (!tag) __atomic_store_n(line + slot, value, __ATOMIC_RELAXED);
  LineVote(false);
  if (tag) __atomic_store_n(line + slot, value, __ATOMIC_RELEASE);
}
bool PollLine(const uint64_t* line, uint32_t slot, uint64_t tag, uint64_t* value) {
  const bool here = slot == 15 && __atomic_load_n(line + slot, __ATOMIC_ACQUIRE) == tag;
  const bool seen = LineVote(here);
  *value = __atomic_load_n(line + slot, __ATOMIC_ACQUIRE);
  return seen;
}
bool AnyOfLine(bool here) { return LineVote(here); }

uint32_t CountIn(uint32_t* counter) { return __atomic_fetch_add(counter, 1u, __ATOMIC_ACQ_REL); }
uint64_t TakeTicket(uint64_t* counter) {
  return __atomic_fetch_add(counter, uint64_t{1}, __ATOMIC_ACQ_REL);
}
bool Claim(uint32_t* flag) {
  uint32_t free = 0;
  return __atomic_compare_exchange_n(flag, &free, 1u, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
void FenceDevice() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void FenceSystem() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

uint64_t TimeNs() { return CurrentScheduler().context().global_timer_ns(); }
float InverseRoot(float value) { return 1.0f / std::sqrt(value); }
void Relax() { CurrentScheduler().Poll(); }
void Trap() { throw std::runtime_error("the kernel trapped"); }

}  // namespace lamplight::kernels::machine
