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

// One vote of all lanes of a warp; true for all when one of them is.
bool WarpVote(bool mine) {
  Lane& lane = CurrentLane();
  Warp& warp = lane.warp();
  bool& vote = warp.vote[lane.votes++ % 2];
  if (warp.all.arrived == 0) vote = false;
  vote |= mine;
  Meet(warp.all);
  return vote;
}

// What lane `from` of the 16 passes to all of them.
uint64_t PairValue(uint64_t mine, uint32_t from) {
  Lane& lane = CurrentLane();
  Warp& warp = lane.warp();
  auto& words = warp.words[lane.passes++ % 2];
  words[lane.thread % kWarp] = mine;
  Meet(warp.all);
  return words[lane.thread % kWarp / 16 * 16 + from];
}

uint64_t WideWord(const Words4& words, uint32_t half) {
  return words.word[2 * half] | uint64_t{words.word[2 * half + 1]} << 32;
}
void SetWideWord(Words4* words, uint32_t half, uint64_t value) {
  words->word[2 * half] = static_cast<uint32_t>(value);
  words->word[2 * half + 1] = static_cast<uint32_t>(value >> 32);
}

// As on a GPU: the parts of all warps in order, taken 32 apart, then as a warp combines.
template <class Combine>
float ClusterCombine(float value, uint32_t round, Combine combine) {
  Lane& lane = CurrentLane();
  auto& cluster = *lane.block->cluster;
  auto& parts = cluster.parts[round % 2];
  const uint32_t warps = BlockThreads() / kWarp;
  parts.resize(warps * BlocksOfCluster());
  const float part = WarpCombine(value, combine);
  parts[lane.block->rank * warps + lane.thread / kWarp] = part;
  Meet(cluster.barrier);
  float all = 0;
  for (uint32_t i = lane.thread % kWarp; i < parts.size(); i += kWarp) {
    all = i < kWarp ? parts[i] : combine(all, parts[i]);
  }
  return WarpCombine(all, combine);
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
uint32_t Cluster() { return CurrentLane().block->cluster->number; }
uint32_t Clusters() { return CurrentScheduler().context().grid().x; }
uint32_t BlockOfCluster() { return CurrentLane().block->rank; }
uint32_t BlocksOfCluster() { return CurrentScheduler().context().grid().y; }

// Programmatic edges run as full dependencies here.
void AwaitEarlierGrids() {}
void LetLaterGridsStart() {}

void SyncBlock() {
  GetsOn();
  Meet(CurrentLane().block->barrier);
}
// The blocks of a cluster begin together here.
void AnnounceToCluster() {}
void AwaitClusterBegun() {}
void AnnounceProgress() {}
void AwaitProgress() { Meet(CurrentLane().block->cluster->barrier); }

unsigned char* DynamicShared() {
  return reinterpret_cast<unsigned char*>(CurrentLane().block->dynamic_shared.get());
}

float ClusterSum(float value, uint32_t round) {
  return ClusterCombine(value, round, [](float a, float b) { return a + b; });
}
float ClusterMax(float value, uint32_t round) {
  return ClusterCombine(value, round, [](float a, float b) { return std::fmax(a, b); });
}

Words4 Load(const Words4* address) {
  // On a GPU the context is lost.
  if (reinterpret_cast<uintptr_t>(address) % alignof(Words4) != 0) {
    throw std::runtime_error("a misaligned load");
  }
  return *address;
}
void Store(Words4* address, const Words4& value) { StoreWords(address, value); }

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
void Await(uint32_t) {}

// A pair of lines is stored and seen whole: its tags go last and are looked at first.
void SendPair(Words4* packet, Words4 value, uint64_t tag, bool active) {
  GetsOn();
  const uint32_t in_pair = CurrentLane().thread % 16;
  const uint64_t displaced = PairValue(WideWord(value, 1), 7);
  if (in_pair == 15) SetWideWord(&value, 0, displaced);
  auto* halves = reinterpret_cast<uint64_t*>(packet);
  if (active) {
    __atomic_store_n(halves, WideWord(value, 0), __ATOMIC_RELAXED);
    if (in_pair % 8 != 7) __atomic_store_n(halves + 1, WideWord(value, 1), __ATOMIC_RELAXED);
  }
  WarpVote(false);
  if (active && in_pair % 8 == 7) __atomic_store_n(halves + 1, tag, __ATOMIC_RELEASE);
}
void PollPair(const Words4* packet, bool active, Words4* value) {
  const bool last = CurrentLane().thread % 8 == 7;
  const auto* halves = reinterpret_cast<const uint64_t*>(packet);
  if (active && last) SetWideWord(value, 1, __atomic_load_n(halves + 1, __ATOMIC_ACQUIRE));
  WarpVote(false);
  if (!active) return;
  SetWideWord(value, 0, __atomic_load_n(halves, __ATOMIC_ACQUIRE));
  if (!last) SetWideWord(value, 1, __atomic_load_n(halves + 1, __ATOMIC_ACQUIRE));
}
bool PairIsHere(uint64_t tag, bool active, const Words4& value) {
  const bool last = CurrentLane().thread % 8 == 7;
  return !WarpVote(active && last && WideWord(value, 1) != tag);
}
void CompletePair(Words4* value) {
  const uint64_t displaced = PairValue(WideWord(*value, 0), 15);
  if (CurrentLane().thread % 16 == 7) SetWideWord(value, 1, displaced);
}
bool AnyOfWarp(bool here) { return WarpVote(here); }

uint32_t CountIn(uint32_t* counter, uint32_t step) {
  return __atomic_fetch_add(counter, step, __ATOMIC_ACQ_REL);
}
uint64_t CountIn(uint64_t* counter, uint64_t step) {
  return __atomic_fetch_add(counter, step, __ATOMIC_ACQ_REL);
}
void AddByFirst(uint64_t* counter, uint64_t step) {
  __atomic_fetch_add(counter, step, __ATOMIC_RELAXED);
}
uint64_t TakeTicket(uint64_t* counter) {
  return __atomic_fetch_add(counter, uint64_t{1}, __ATOMIC_ACQ_REL);
}
bool Claim(uint32_t* flag) {
  uint32_t free = 0;
  return __atomic_compare_exchange_n(flag, &free, 1u, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
void FenceSystem() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

uint64_t TimeNs() { return CurrentScheduler().context().global_timer_ns(); }
float InverseRoot(float value) { return 1.0f / std::sqrt(value); }
void Relax() { CurrentScheduler().Poll(); }
void Trap() { throw std::runtime_error("the kernel trapped"); }

}  // namespace lamplight::kernels::machine
