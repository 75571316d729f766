// One-shot: every rank sends its rows to every rank, and every rank adds them up.
//
// Device code, called by all threads of the grid.
#pragma once

#include "kernels/opening.cuh"

namespace lamplight::kernels {

// The sum in the data type. Never −0, which is a sentinel: this rank's own part is none (Prepare),
// so no sum is, and what is added up are multiples of the type's least number, so none but 0 is
// rounded to 0.
template <class X>
LAMPLIGHT_DEVICE typename X::Piece Rounded(const typename X::Sums& sums) {
  typename X::Piece piece;
  piece.Set(sums.at);
  return piece;
}

// When all of the cluster has what it awaited. The outputs are written while the count is under
// way.
template <class X, class E>
LAMPLIGHT_DEVICE void FinishCall(const CollectiveCall& call, X& exchange,
                                 const typename X::Position& place, E& epilogue) {
  LetFollowersStart(call);
  epilogue.Meet();
  if (place.FirstOfCluster()) exchange.Arrive();
  epilogue.Write();
  exchange.AwaitEchoes();
  if (place.FirstOfCluster()) exchange.Leave();
}

template <class X>
LAMPLIGHT_DEVICE void OneShot(const CollectiveCall& call) {
  const auto body = [&](const auto& place, X& exchange, auto& epilogue, const auto& first) {
    for (uint32_t slot = place.thread; place.WarpHas(slot); slot += place.threads) {
      exchange.SendToAll(exchange.OneShotRow(call.rank), slot,
                         slot == place.thread ? first : InputUnit<X>(call, place, slot));
    }
    if (place.FirstOfGrid()) exchange.SendHeaders();
    exchange.Clear();
    epilogue.Prefetch();

    uint32_t k = 0;
    for (uint32_t slot = place.thread; place.WarpHas(slot); slot += place.threads, ++k) {
      const typename X::Piece own = k == 0 ? first : InputUnit<X>(call, place, slot);
      typename X::Sums sums;
      exchange.Reduce(exchange.OneShotRow(0), exchange.OneShotStride(), 0, slot, own, &sums);
      epilogue.Take(k, Rounded<X>(sums));
    }
    FinishCall(call, exchange, place, epilogue);
  };
  Open<X>(call, Kernel::kOneShot, body);
}

}  // namespace lamplight::kernels
