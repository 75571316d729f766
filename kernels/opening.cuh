// What every collective kernel begins with: its place, its input, the workspace's state, and
// whether it may touch the workspace at all.
//
// Device code, called by all threads of the grid. What is given away as a lambda costs nothing once
// inlined; the same parts as members of one object end up in memory (measured with CUDA 13.0).
#pragma once

#include "kernels/admission.cuh"
#include "kernels/epilogue.cuh"

namespace lamplight::kernels {

// Whether a kernel waits for the grids in front of it before anything else, or by itself later.
enum class Entry : uint8_t { kBehindEarlierGrids, kBesideEarlierGrids };

// One unit of the row of a tensor. Zero where there is no unit.
template <class X>
LAMPLIGHT_DEVICE typename X::Piece LoadUnit(const void* tensor, const typename X::Position& place,
                                            uint32_t slot) {
  typename X::Piece piece{};
  const uint32_t unit = place.UnitOf(slot);
  if (unit == X::Position::kNoUnit) return piece;
  piece.words = machine::Load(place.template InTensor<const machine::Words4>(tensor, unit));
  return piece;
}

// One of the input, as it is sent.
template <class X>
LAMPLIGHT_DEVICE typename X::Piece InputUnit(const CollectiveCall& call,
                                             const typename X::Position& place, uint32_t slot) {
  typename X::Piece piece = LoadUnit<X>(call.input, place, slot);
  X::Prepare(&piece);
  return piece;
}

// This thread's first unit of the input, not prepared. Returns in a call that comes behind the
// grids in front. The load is in flight together with those of the state words, which the exchange
// reads next.
template <class X>
LAMPLIGHT_DEVICE typename X::Piece FirstUnit(const CollectiveCall& call,
                                             const typename X::Position& place) {
  machine::AwaitEarlierGrids();
  // A misaligned load would end the context instead of being reported. Admission refuses such a
  // call; a branch around the load would cost every call.
  const uint64_t input = reinterpret_cast<uint64_t>(call.input) & ~uint64_t{kUnitBytes - 1};
  return LoadUnit<X>(reinterpret_cast<const void*>(input), place, place.thread);
}

// By all threads that have what they awaited. What follows may be made ready beside the rest of
// this call, where it waits for the end of all of it: its launch is then in nobody's way. Not
// earlier: where ranks share a device, its blocks would take the room of a peer's that have not
// begun.
LAMPLIGHT_DEVICE void LetFollowersStart(const CollectiveCall& call) {
  if ((call.options & kFollowersWait) != 0) machine::LetLaterGridsStart();
}

// Runs `body(place, exchange, epilogue, first)` in a call that may touch its workspace. `first` is
// the unit of this thread's first slot; beside earlier grids there is none.
template <class X, Entry kEntry = Entry::kBehindEarlierGrids, class Body>
LAMPLIGHT_DEVICE void Open(const CollectiveCall& call, Kernel kernel, const Body& body) {
  constexpr bool kBehind = kEntry == Entry::kBehindEarlierGrids;
  machine::AnnounceToCluster();
  const typename X::Position place(call);
  typename X::Piece first = kBehind ? FirstUnit<X>(call, place) : typename X::Piece{};
  X exchange(call, place, kernel, typename X::Addresses(call));
  X::Prepare(&first);
  Epilogue<X> epilogue(call, place);
  if (!Admitted(call, exchange, place.FirstOfGrid())) {
    if (!kBehind) machine::AwaitEarlierGrids();
    return epilogue.Poison();
  }
  body(place, exchange, epilogue, first);
}

}  // namespace lamplight::kernels
