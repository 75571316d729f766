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

// This thread's first unit of the input. Made ahead of the grids in front's end, with an address
// that is ready when that comes.
template <class X>
class FirstUnit {
 public:
  LAMPLIGHT_DEVICE FirstUnit(const CollectiveCall& call, const typename X::Position& place)
      : unit_(place.UnitOf(place.thread)),
        address_(
            machine::Settled(place.template InTensor<const machine::Words4>(call.input, unit_))) {}

  // Not prepared. Returns in a call that comes behind the grids in front. The load is in flight
  // together with those of the state words, which the exchange reads next.
  LAMPLIGHT_DEVICE typename X::Piece Load() const {
    machine::AwaitEarlierGrids();
    typename X::Piece piece{};
    if (unit_ != X::Position::kNoUnit) piece.words = machine::LoadGlobal(address_);
    return piece;
  }

 private:
  uint32_t unit_;
  const machine::Words4* address_;
};

// By all threads that have what they awaited. What follows may be made ready beside the rest of
// this call, where it waits for the end of all of it: its launch is then in nobody's way. Not
// earlier: where ranks share a device, its blocks would take the room of a peer's that have not
// begun.
LAMPLIGHT_DEVICE void LetFollowersStart(const CollectiveCall& call) {
  if ((call.options & kFollowersWait) != 0) machine::LetLaterGridsStart();
}

// A call that cannot be done, by its parameters. One thread of the grid reports it, behind the
// grids in front, with the state as it is then.
template <class X>
LAMPLIGHT_COLD void Refuse(const CollectiveCall* call, Kernel kernel, Trouble trouble,
                           bool reports) {
  machine::AwaitEarlierGrids();
  const typename X::Position place(*call);
  const X exchange(*call, place, kernel, typename X::Ahead(*call, kernel));
  if (reports) Report(call, exchange.standing(), trouble, {}, 0, {});
}

// Runs `body(place, exchange, epilogue, first)` in a call that may touch its workspace. `first` is
// the unit of this thread's first slot; beside earlier grids there is none.
template <class X, Entry kEntry = Entry::kBehindEarlierGrids, class Body>
LAMPLIGHT_DEVICE void Open(const CollectiveCall& call, Kernel kernel, const Body& body) {
  constexpr bool kBehind = kEntry == Entry::kBehindEarlierGrids;
  machine::AnnounceToCluster();
  const typename X::Position place(call);
  Epilogue<X> epilogue(call, place);
  const FirstUnit<X> input(call, place);
  if (const Trouble trouble = TroubleOf<X>(call, place, kernel); trouble != Trouble::kNothing) {
    Refuse<X>(&call, kernel, trouble, place.FirstOfGrid());
    return epilogue.Poison();
  }
  typename X::Piece first = kBehind ? input.Load() : typename X::Piece{};
  X exchange(call, place, kernel, typename X::Ahead(call, kernel));
  X::Prepare(&first);
  if (!Admitted(call, exchange, place.FirstOfGrid())) {
    if (!kBehind) machine::AwaitEarlierGrids();
    return epilogue.Poison();
  }
  body(place, exchange, epilogue, first);
}

}  // namespace lamplight::kernels
