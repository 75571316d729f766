// One-shot: every rank sends its rows to every rank, and every rank adds them up.
//
// Device code, called by all threads of the grid.
#pragma once

#include "kernels/admission.cuh"
#include "kernels/epilogue.cuh"

namespace lamplight::kernels {

// The k-th unit of this thread's part of the input row, as it is sent. Zero where there is no unit.
template <class X>
LAMPLIGHT_DEVICE typename X::Piece InputUnit(const CollectiveCall& call,
                                             const typename X::Position& place, uint32_t slot) {
  typename X::Piece piece{};
  const uint32_t unit = place.UnitOf(slot);
  if (unit == X::Position::kNoUnit) return piece;
  using Words = decltype(piece.words);
  piece.words = machine::Load(place.template InTensor<const Words>(call.input, unit));
  X::Prepare(&piece);
  return piece;
}

// In flight together with the state words, which the exchange reads next.
template <class X>
LAMPLIGHT_DEVICE typename X::Piece FirstUnit(const CollectiveCall& call,
                                             const typename X::Position& place) {
  return place.thread < place.slots ? InputUnit<X>(call, place, place.thread) : typename X::Piece{};
}

// The sum in the data type, or NaN where it did not come.
template <class X>
LAMPLIGHT_DEVICE typename X::Piece Rounded(const typename X::Sums& sums, bool complete) {
  typename X::Piece piece;
  LAMPLIGHT_UNROLL
  for (uint32_t i = 0; i < X::Piece::kElements; ++i) piece.Set(i, sums.at[i]);
  X::Prepare(&piece);
  if (!complete) piece.Poison();
  return piece;
}

// Ends a call: what the cluster did is done. The flags move on before any later grid may start.
template <class X>
LAMPLIGHT_DEVICE void FinishCall(const X& exchange, const typename X::Position& place) {
  if (place.FirstOfToken()) exchange.Finish();
  if (machine::Thread() == 0) machine::LetLaterGridsStart();
}

template <class X>
LAMPLIGHT_DEVICE void OneShot(const CollectiveCall& call) {
  machine::AnnounceToCluster();
  const typename X::Position place(call);
  machine::AwaitEarlierGrids();
  const typename X::Piece first = FirstUnit<X>(call, place);
  X exchange(call, place, Kernel::kOneShot);
  Epilogue<X> epilogue(call, place);
  if (!Admitted(call, exchange, place.FirstOfGrid())) return epilogue.Poison();

  for (uint32_t slot = place.thread; slot < place.slots; slot += place.threads) {
    exchange.SendToAll(exchange.OneShotRow(call.rank), slot,
                       slot == place.thread ? first : InputUnit<X>(call, place, slot));
  }
  if (place.FirstOfGrid()) exchange.SendHeaders();
  exchange.Clear();
  epilogue.Prefetch();

  uint32_t k = 0;
  for (uint32_t slot = place.thread; slot < place.slots; slot += place.threads, ++k) {
    const typename X::Piece own = k == 0 ? first : InputUnit<X>(call, place, slot);
    typename X::Sums sums;
    const bool complete =
        exchange.Reduce(exchange.OneShotRow(0), exchange.OneShotStride(), 0, slot, own, &sums);
    epilogue.Take(k, Rounded<X>(sums, complete));
  }
  epilogue.Meet();
  FinishCall(exchange, place);
  epilogue.Write();
}

}  // namespace lamplight::kernels
