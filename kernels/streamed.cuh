// The kernels of long calls: rows as in plain kernels, and more of them than the device holds
// clusters. Some clusters only send, the others do all else, so the link carries data from the
// beginning of a call to its end. A cluster that did both would send everything first, and let the
// link rest while it adds up.
//
// On a share of a device, whose other shares are the peers', there is no link, and it is slower.
//
// Not in place: nothing orders the store of an output's row behind the load of the same row of the
// input, by another cluster (launch_plan.h sees to it). Residuals may be: only those touch them
// that finish the row.
//
// Device code, called by all threads of the grid. Clusters that only send come first and wait for
// nobody, so a grid that is not resident as a whole still ends.
#pragma once

#include "kernels/plain.cuh"

namespace lamplight::kernels {

// When all is sent, earlier than elsewhere: these grids fill the device, so that a peer would find
// no room beside them anyway. Where a multiprocessor holds one block. Where it holds two, blocks
// that only send would find room as others end, both on the same one, and send no faster than one.
LAMPLIGHT_DEVICE void LetFollowersOfStreamStart(const CollectiveCall& call) {
  if (2 * machine::BlockThreads() > ThreadsWith(kPlainRegisters)) LetFollowersStart(call);
}

// When a cluster may send its next row. Each warp keeps the pace by itself.
class Pace {
 public:
  explicit LAMPLIGHT_DEVICE Pace(uint32_t step_ns) : step_(step_ns), begin_(machine::TimeNs()) {}
  LAMPLIGHT_DEVICE void AwaitTurn() {
    while (static_cast<uint32_t>(machine::TimeNs()) - begin_ < due_) machine::Relax();
    due_ += step_;
  }

 private:
  uint32_t step_;
  uint32_t begin_;  // low bits of a time: a call that takes 4 s has other troubles
  uint32_t due_ = 0;
};

// All that such a cluster does. Loads of several rows are in flight together.
template <class X>
LAMPLIGHT_DEVICE void OnlySend(const CollectiveCall& call, typename X::Position& place, X& exchange,
                               const typename X::Piece& first) {
  constexpr uint32_t kRows = 4;
  typename X::Piece units[kRows];
  if (place.FirstOfGrid()) exchange.SendHeaders();
  Pace pace(call.pace_ns);
  for (uint32_t token = place.index; token < call.tokens; token += kRows * place.alike) {
    LAMPLIGHT_UNROLL
    for (uint32_t i = 0; i < kRows; ++i) {
      place.token = token + i * place.alike;
      if (place.token >= call.tokens) continue;
      units[i] = place.token == place.index ? first : LoadOwn<X>(call.input, place);
    }
    LAMPLIGHT_UNROLL
    for (uint32_t i = 0; i < kRows; ++i) {
      place.token = token + i * place.alike;
      if (place.token >= call.tokens) continue;
      X::Prepare(&units[i]);
      pace.AwaitTurn();
      exchange.SendToPeers(exchange.OneShotRow(call.rank), place.thread, units[i]);
    }
  }
  LetFollowersOfStreamStart(call);
  if (X::ArrivesEarly(call)) return ArriveEarly(call, place, exchange);
  machine::ClusterSum(0, 0);  // all threads have read the state
  if (place.FirstOfCluster()) exchange.Arrive();
}

// What a row is made of.
template <class X>
struct RowUnderWay {
  typename X::Step pieces;  // the peers'
  typename X::Piece own, residual;

  // Loads the row at place.token, and waits for nothing.
  LAMPLIGHT_DEVICE void Fetch(const CollectiveCall& call, const typename X::Position& place,
                              const X& exchange) {
    exchange.Peek(exchange.OneShotRow(0), exchange.OneShotStride(), place.thread, &pieces);
    own = LoadOwn<X>(call.input, place);
    residual = LoadOwn<X>((call.options & kNorm) != 0 ? call.residual_in : nullptr, place);
  }
};

// Sums, norms and stores rows that other clusters send. The next row is under way while this one's
// norm is waited for.
template <class X>
LAMPLIGHT_DEVICE void FinishStream(const CollectiveCall& call, typename X::Position& place,
                                   X& exchange) {
  const bool norms = (call.options & kNorm) != 0;
  const auto gamma = LoadGamma<X>(call, place);
  RowUnderWay<X> next;
  next.Fetch(call, place, exchange);
  for (uint32_t round = 0;; ++round) {
    X::Prepare(&next.own);
    // Not by the senders, which keep up with the link as it is.
    exchange.KeepCopy(exchange.OneShotRow(call.rank), place.thread, next.own);
    const RowOutputs<X> outputs(call, place);
    typename X::Sums sums;
    exchange.Reduce(exchange.OneShotRow(0), exchange.OneShotStride(), 0, place.thread, next.own,
                    &next.pieces, &sums);
    typename X::Piece row = Rounded<X>(sums);
    if (norms && call.residual_in != nullptr) row = Added(row, next.residual);
    const uint32_t token = place.token;
    const bool last = token + place.alike >= call.tokens;
    if (!last) {
      place.token = token + place.alike;
      next.Fetch(call, place, exchange);
      place.token = token;
    }
    float squares = 0;
    if (place.UnitOf(place.thread) != X::Position::kNoUnit) AddSquares(row, &squares);
    squares = machine::ClusterSum(squares, round);
    if (last && place.FirstOfCluster() && !X::ArrivesEarly(call)) exchange.Arrive();
    outputs.Store(call, place, row, squares, gamma);
    if (last) return;
    place.token += place.alike;
  }
}

template <class X>
LAMPLIGHT_DEVICE void StreamedOneShot(const CollectiveCall& call) {
  const auto body = [&](auto& place, X& exchange, const auto& first) {
    if (place.OnlySends(call)) return OnlySend(call, place, exchange, first);
    LetFollowersOfStreamStart(call);
    exchange.Clear();
    ArriveEarly(call, place, exchange);
    FinishStream(call, place, exchange);
  };
  OpenPlain<X, true>(call, Kernel::kOneShot, body);
}

}  // namespace lamplight::kernels
