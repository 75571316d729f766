// Two-shot: every row has an owner, rank token % W, that adds up the row and sends the sum to all.
//
// Device code, called by all threads of the grid. The sum is rounded once, by its owner, so all
// ranks go on from the same bits.
#pragma once

#include "kernels/one_shot.cuh"

namespace lamplight::kernels {

enum TwoShotStage : uint32_t { kScatter = 0, kBroadcast = 1 };

// `first` is the unit of this thread's first slot.
template <class X>
LAMPLIGHT_DEVICE void Scatter(const CollectiveCall& call, const typename X::Position& place,
                              X& exchange, uint32_t owner, const typename X::Piece& first) {
  for (uint32_t slot = place.thread; place.WarpHas(slot); slot += place.threads) {
    exchange.SendTo(owner, exchange.ScatterRow(call.rank), slot,
                    slot == place.thread ? first : InputUnit<X>(call, place, slot));
  }
}

// The sum of one unit of a row of this rank's: reduced and sent on. `own` is this rank's unit.
template <class X>
LAMPLIGHT_DEVICE typename X::Piece SendSum(X& exchange, uint32_t slot,
                                           const typename X::Piece& own) {
  typename X::Sums sums;
  exchange.template Reduce<Sent::kToOwner>(exchange.ScatterRow(0), exchange.ScatterStride(),
                                           kScatter, slot, own, &sums);
  const typename X::Piece sum = Rounded<X>(sums);
  exchange.SendToAll(exchange.BroadcastRow(), slot, sum);
  return sum;
}

// The same by a kernel behind which nobody awaits what this rank sends to itself.
template <class X>
LAMPLIGHT_DEVICE typename X::Piece OwnedSum(X& exchange, uint32_t slot,
                                            const typename X::Piece& own) {
  const typename X::Piece sum = SendSum(exchange, slot, own);
  exchange.AwaitEcho(exchange.BroadcastRow(), kBroadcast, slot);
  return sum;
}

// That of another rank's row.
template <class X>
LAMPLIGHT_DEVICE typename X::Piece ForeignSum(X& exchange, uint32_t owner, uint32_t slot) {
  typename X::Piece sum;
  if (!exchange.Await(exchange.BroadcastRow(), kBroadcast, slot, owner, &sum)) sum.Poison();
  return sum;
}

template <class X>
LAMPLIGHT_DEVICE typename X::Piece SumOf(const CollectiveCall& call,
                                         const typename X::Position& place, X& exchange,
                                         uint32_t owner, uint32_t slot) {
  if (owner != call.rank) return ForeignSum(exchange, owner, slot);
  return OwnedSum(exchange, slot, InputUnit<X>(call, place, slot));
}

template <class X>
LAMPLIGHT_DEVICE void TwoShot(const CollectiveCall& call) {
  const auto body = [&](const auto& place, X& exchange, auto& epilogue, const auto& first) {
    const uint32_t owner = place.token % exchange.World();
    Scatter(call, place, exchange, owner, first);
    if (place.FirstOfGrid()) exchange.SendHeaders();
    exchange.Clear();
    epilogue.Prefetch();
    uint32_t k = 0;
    for (uint32_t slot = place.thread; place.WarpHas(slot); slot += place.threads, ++k) {
      epilogue.Take(k, SumOf(call, place, exchange, owner, slot));
    }
    FinishCall(call, exchange, place, epilogue);
  };
  Open<X>(call, Kernel::kTwoShot, body);
}

// The first kernel of the field's pair: sends and owns, and by itself awaits the sums only if told.
// Else it ends whenever the peers have scattered: the norm behind it awaits every row, this rank's
// own among them. In the field it does so too, and what brings multicast's stores may wait for its
// end.
template <class X>
LAMPLIGHT_DEVICE void TwoShotSends(const CollectiveCall& call) {
  const auto body = [&](const auto& place, X& exchange, auto& epilogue, const auto& first) {
    const bool awaits = (call.options & kAwaitSums) != 0;
    const uint32_t owner = place.token % exchange.World();
    Scatter(call, place, exchange, owner, first);
    // The norm behind this kernel reads the flags, which only it moves on.
    if (!awaits && machine::Thread() == 0) machine::LetLaterGridsStart();
    exchange.Clear();
    uint32_t k = 0;
    for (uint32_t slot = place.thread; place.WarpHas(slot); slot += place.threads, ++k) {
      if (awaits) {
        epilogue.Take(k, SumOf(call, place, exchange, owner, slot));
      } else if (owner == call.rank) {
        SendSum(exchange, slot, InputUnit<X>(call, place, slot));
      }
    }
    if (!awaits) return epilogue.Meet();
    FinishCall(call, exchange, place, epilogue);
  };
  Open<X>(call, Kernel::kTwoShotSends, body);
}

// The second kernel of the pair. It may start while the first still runs.
template <class X>
LAMPLIGHT_DEVICE void TwoShotNorm(const CollectiveCall& call) {
  const auto body = [&](const auto& place, X& exchange, auto& epilogue, const auto& /*first*/) {
    const uint32_t owner = place.token % exchange.World();
    uint32_t k = 0;
    for (uint32_t slot = place.thread; place.WarpHas(slot); slot += place.threads, ++k) {
      const typename X::Piece sum = ForeignSum(exchange, owner, slot);
      // The residual, the outputs and the flags belong to the grids in front until they have ended.
      if (k == 0) {
        machine::AwaitEarlierGrids();
        epilogue.Prefetch();
      }
      epilogue.Take(k, sum);
    }
    if (k == 0) machine::AwaitEarlierGrids();
    FinishCall(call, exchange, place, epilogue);
  };
  Open<X, Entry::kBesideEarlierGrids>(call, Kernel::kTwoShotNorm, body);
}

}  // namespace lamplight::kernels
