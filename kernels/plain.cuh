// The kernels of most calls: a row fits the registers of its cluster, one unit for each thread, and
// is not quantised. Made to be short: less code to fetch, fewer registers, more rows in flight.
//
// Device code, called by all threads of the grid. A grid has as many clusters as the device holds
// at once, and a cluster goes from token to token: all of them are sent before the first is
// awaited, so that their ways over the link overlap. Clusters of different ranks that have the same
// number send what the other awaits, whatever the number of clusters: a grid that is not resident
// as a whole still ends, first clusters first, where all ranks launch as many.
#pragma once

#include "kernels/admission.cuh"
#include "kernels/opening.cuh"
#include "kernels/two_shot.cuh"

namespace lamplight::kernels {

// Of this thread, whose place in the row is the same in every row. Zero where there is no tensor.
template <class X>
LAMPLIGHT_DEVICE typename X::Piece LoadOwn(const void* tensor, const typename X::Position& place) {
  if (tensor == nullptr) return {};
  return LoadUnit<X>(tensor, place, place.thread);
}

template <class X>
LAMPLIGHT_DEVICE typename X::Piece LoadGamma(const CollectiveCall& call,
                                             const typename X::Position& place) {
  typename X::Piece piece{};
  const uint32_t unit = place.UnitOf(place.thread);
  if ((call.options & kNorm) == 0 || unit == X::Position::kNoUnit) return piece;
  piece.words = machine::Load(static_cast<const machine::Words4*>(call.gamma) + unit);
  return piece;
}

// Where this thread's unit of the row at place.token is stored in an output.
template <class X>
LAMPLIGHT_DEVICE machine::Words4* PlaceIn(void* tensor, const typename X::Position& place) {
  return place.template InTensor<machine::Words4>(tensor, place.UnitOf(place.thread));
}

template <class X>
LAMPLIGHT_DEVICE void StoreUnit(const void* tensor, machine::Words4* at,
                                const typename X::Position& place, const typename X::Piece& piece) {
  if (tensor == nullptr || place.UnitOf(place.thread) == X::Position::kNoUnit) return;
  machine::StoreGlobal(at, piece.words);
}

// Instead of everything else, where the call cannot be done: no caller takes NaN for a result.
template <DataType kType>
LAMPLIGHT_COLD void PoisonOutputs(const CollectiveCall* call, uint32_t thread, uint32_t threads) {
  using Bits = typename Element<kType>::Bits;
  const uint64_t elements = static_cast<uint64_t>(call->tokens) * call->hidden;
  void* residual_sums = (call->options & kNorm) != 0 ? call->residual_out : nullptr;
  for (void* tensor : {call->output, residual_sums}) {
    // A misaligned tensor may be the very trouble.
    if (tensor == nullptr || reinterpret_cast<uint64_t>(tensor) % sizeof(Bits) != 0) continue;
    for (uint64_t i = thread; i < elements; i += threads) {
      static_cast<Bits*>(tensor)[i] = Element<kType>::kNan;
    }
  }
}

// The tokens of a cluster that this rank owns, or that it does not, or all: in steps of the number
// of clusters.
enum class Whose : uint8_t { kAll, kOwn, kOthers };

template <class X, Whose kWhose>
LAMPLIGHT_DEVICE uint32_t TokenFrom(const CollectiveCall& call, const X& exchange,
                                    const typename X::Position& place, uint32_t token) {
  if constexpr (kWhose == Whose::kAll) return token;
  constexpr bool kOwn = kWhose == Whose::kOwn;
  while (token < call.tokens && (token % exchange.World() == call.rank) != kOwn) {
    token += place.alike;
  }
  return token;
}

// The outputs of a row. Where they are stored is found out while the row is awaited.
template <class X>
class RowOutputs {
 public:
  LAMPLIGHT_DEVICE RowOutputs(const CollectiveCall& call, const typename X::Position& place)
      : output_(machine::Settled(PlaceIn<X>(call.output, place))),
        residual_(machine::Settled(PlaceIn<X>(call.residual_out, place))) {}

  // `squares`: of all of the row, where there is a norm.
  LAMPLIGHT_DEVICE void Store(const CollectiveCall& call, const typename X::Position& place,
                              typename X::Piece row, float squares,
                              const typename X::Piece& gamma) const {
    if ((call.options & kNorm) != 0) {
      StoreUnit<X>(call.residual_out, residual_, place, row);
      const float mean = squares * call.inverse_hidden;
      const float scale = machine::InverseRoot(mean + call.epsilon);
      row = Scaled(row, scale, {machine::NotEarlier(gamma.words)}, call.weight_bias);
    }
    StoreUnit<X>(call.output, output_, place, row);
  }

 private:
  machine::Words4* output_;
  machine::Words4* residual_;
};

// Sums, norms and stores the rows of some of the cluster's tokens. `sum_of(own)` awaits the sum of
// the row at place.token; `own` is this rank's unit of it, unless others own the row. The next
// row's tensors are loaded before this one's norm is waited for. Behind the last row of all, where
// `ends`, the cluster arrives: all of its threads have what they awaited.
template <class X, Whose kWhose, class SumOf>
LAMPLIGHT_DEVICE void FinishRows(const CollectiveCall& call, typename X::Position& place,
                                 X& exchange, typename X::Piece own, const typename X::Piece& gamma,
                                 bool ends, uint32_t* round, const SumOf& sum_of) {
  using Piece = typename X::Piece;
  const bool norms = (call.options & kNorm) != 0;
  const void* residual_in = norms ? call.residual_in : nullptr;
  Piece residual = LoadOwn<X>(residual_in, place);
  for (;;) {
    if constexpr (kWhose != Whose::kOthers) X::Prepare(&own);
    const RowOutputs<X> outputs(call, place);
    Piece row = sum_of(own);
    if (residual_in != nullptr) row = Added(row, residual);
    const uint32_t token = place.token;
    const uint32_t next = TokenFrom<X, kWhose>(call, exchange, place, token + place.alike);
    const bool last = next >= call.tokens;
    if (last && ends) LetFollowersStart(call);
    if (!last) {
      place.token = next;
      if constexpr (kWhose != Whose::kOthers) own = LoadOwn<X>(call.input, place);
      residual = LoadOwn<X>(residual_in, place);
      place.token = token;
    }
    float squares = 0;
    // A thread without a unit holds what others' units are made of.
    if (norms && place.UnitOf(place.thread) != X::Position::kNoUnit) AddSquares(row, &squares);
    if (norms || last) squares = machine::ClusterSum(squares, (*round)++);
    if (last && ends && place.FirstOfCluster() && !X::ArrivesEarly(call)) exchange.Arrive();
    outputs.Store(call, place, row, squares, gamma);
    if (last) return;
    place.token = next;
  }
}

// The cluster has sent, and all of its threads have read the state.
template <class X>
LAMPLIGHT_DEVICE void ArriveEarly(const CollectiveCall& call, const typename X::Position& place,
                                  X& exchange) {
  if (!X::ArrivesEarly(call)) return;
  machine::AwaitProgress();
  if (place.FirstOfCluster()) exchange.Arrive();
}

// Sends this rank's row of every token of the cluster by `send(unit)`, then what every call sends
// and clears beside. Returns the unit of the cluster's first token, at which `place` is again.
template <class X, class Send>
LAMPLIGHT_DEVICE typename X::Piece SendRows(const CollectiveCall& call, typename X::Position& place,
                                            X& exchange, typename X::Piece unit, const Send& send) {
  send(unit);  // apart from the others: its place is known ahead
  while (place.token + place.alike < call.tokens) {
    place.token += place.alike;
    unit = LoadOwn<X>(call.input, place);
    X::Prepare(&unit);
    send(unit);
  }
  if (place.token != place.index) {
    place.token = place.index;
    unit = LoadOwn<X>(call.input, place);
  }
  if (place.FirstOfGrid()) exchange.SendHeaders();
  exchange.Clear();
  ArriveEarly(call, place, exchange);
  return unit;
}

// What all plain and streamed kernels do around `body(place, exchange, unit)`; `unit` is this
// rank's of the cluster's first token. `kRoles`: some clusters only send.
template <class X, bool kRoles = false, class Body>
LAMPLIGHT_DEVICE void OpenPlain(const CollectiveCall& call, Kernel kernel, const Body& body) {
  machine::AnnounceToCluster();
  typename X::Position place(call);
  if constexpr (kRoles) place.TakeRole(call);
  const typename X::Ahead ahead(call, kernel);
  const FirstUnit<X> first(call, place);
  machine::AwaitClusterBegun();
  if (const Trouble trouble = TroubleOf<X>(call, place, kernel); trouble != Trouble::kNothing) {
    Refuse<X>(&call, kernel, trouble, place.FirstOfGrid());
    return PoisonOutputs<X::kType>(&call, place.GridThread(), place.GridThreads());
  }
  typename X::Piece unit = first.Load();
  X exchange(call, place, kernel, ahead);
  if (X::ArrivesEarly(call)) machine::AnnounceProgress();
  X::Prepare(&unit);
  if (!Admitted(call, exchange, place.FirstOfGrid())) {
    if (X::ArrivesEarly(call)) machine::AwaitProgress();
    return PoisonOutputs<X::kType>(&call, place.GridThread(), place.GridThreads());
  }
  body(place, exchange, unit);
  exchange.AwaitEchoes();
  if (place.FirstOfCluster()) exchange.Leave();
}

template <class X>
LAMPLIGHT_DEVICE void PlainOneShot(const CollectiveCall& call) {
  const auto body = [&](auto& place, X& exchange, const auto& first) {
    const auto send = [&](const auto& unit) {
      exchange.SendToAll(exchange.OneShotRow(call.rank), place.thread, unit);
    };
    const auto own = SendRows(call, place, exchange, first, send);
    const auto gamma = LoadGamma<X>(call, place);
    uint32_t round = 0;
    FinishRows<X, Whose::kAll>(call, place, exchange, own, gamma, true, &round,
                               [&](const auto& unit) {
                                 typename X::Sums sums;
                                 exchange.Reduce(exchange.OneShotRow(0), exchange.OneShotStride(),
                                                 0, place.thread, unit, &sums);
                                 return Rounded<X>(sums);
                               });
  };
  OpenPlain<X>(call, Kernel::kOneShot, body);
}

// Rows of this rank's come first: the others wait for them.
template <class X>
LAMPLIGHT_DEVICE void PlainTwoShot(const CollectiveCall& call) {
  const auto body = [&](auto& place, X& exchange, const auto& first) {
    const auto send = [&](const auto& unit) {
      exchange.SendTo(place.token % exchange.World(), exchange.ScatterRow(call.rank), place.thread,
                      unit);
    };
    auto own = SendRows(call, place, exchange, first, send);
    const auto gamma = LoadGamma<X>(call, place);
    const uint32_t owned = TokenFrom<X, Whose::kOwn>(call, exchange, place, place.index);
    const uint32_t others = TokenFrom<X, Whose::kOthers>(call, exchange, place, place.index);
    uint32_t round = 0;
    if (owned < call.tokens) {
      place.token = owned;
      if (owned != place.index) own = LoadOwn<X>(call.input, place);
      FinishRows<X, Whose::kOwn>(
          call, place, exchange, own, gamma, others >= call.tokens, &round,
          [&](const auto& unit) { return OwnedSum(exchange, place.thread, unit); });
    }
    if (others < call.tokens) {
      place.token = others;
      FinishRows<X, Whose::kOthers>(
          call, place, exchange, own, gamma, true, &round, [&](const auto&) {
            return ForeignSum(exchange, place.token % exchange.World(), place.thread);
          });
    }
  };
  OpenPlain<X>(call, Kernel::kTwoShot, body);
}

}  // namespace lamplight::kernels
