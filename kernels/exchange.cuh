// What the three protocols have in common: addresses of peers' buffers, stores to all, headers, the
// reduction in rank order. Device code.
//
// A protocol says how a unit is sent (`Send`), how one is awaited (`Load`, `IsHere`), and how a
// call begins and ends. Its member functions are called by all threads of the grid unless they say
// otherwise.
#pragma once

#include "kernels/arrivals.cuh"
#include "kernels/elements.cuh"
#include "kernels/journal.cuh"
#include "kernels/place.cuh"
#include "kernels/watch.cuh"

namespace lamplight::kernels {

// What a look in vain was for: a word of the row, and the packet that says that it is not here.
struct AwaitedWord {
  uint32_t word;
  const machine::Words4* packet;
};

// `kWorld` 0: any number of ranks, in steps of eight.
template <class Derived, Protocol kProtocolOf, DataType kTypeOf, uint32_t kWorld>
class Exchange {
 public:
  static constexpr Protocol kProtocol = kProtocolOf;
  static constexpr DataType kType = kTypeOf;
  using Piece = Unit<kTypeOf>;
  using Position = Place<kProtocolOf, kTypeOf>;
  using Sums = Floats<Piece::kElements>;
  static constexpr uint32_t kStep = kWorld == 0 ? 8 : kWorld;
  // The addresses of the peers' buffers are parameters of the launch.
  static constexpr bool kInline = kProtocolOf == Protocol::kEpoch && kWorld != 0;

  // What a call has in a table in device memory, which nobody writes while the workspace is in use:
  // so it is read while the grids in front still run.
  struct Addresses {
    char* local;
    uint32_t* state;
    char* peers[kStep];  // of all ranks where their number is known: for unrolled loops only

    explicit LAMPLIGHT_DEVICE Addresses(const CollectiveCall& call)
        : local(
              static_cast<char*>(call.local != nullptr ? call.local : call.peer_table[call.rank])),
          state(static_cast<uint32_t*>(call.state)) {
      if (kProtocolOf == Protocol::kUnicast && state == nullptr) {
        state = static_cast<uint32_t*>(call.peer_table[kWorld == 0 ? call.world : kWorld]);
      }
      if constexpr (kWorld != 0 && !kInline) {
        if (call.multicast != nullptr) return;
        LAMPLIGHT_UNROLL
        for (uint32_t peer = 0; peer < kWorld; ++peer) peers[peer] = BufferOf(call, peer);
      }
    }
  };

  LAMPLIGHT_DEVICE Exchange(const CollectiveCall& call, const Position& place,
                            const Addresses& addresses)
      : call_(call), place_(place), at_(addresses), echoes_(Echoes()) {}

  LAMPLIGHT_DEVICE uint32_t World() const { return kWorld == 0 ? call_.world : kWorld; }

  // To the stage of one peer's buffer. Warps send as one; inactive lanes send nothing.
  LAMPLIGHT_DEVICE void SendTo(uint32_t peer, uint64_t offset, uint32_t slot, const Piece& piece) {
    if (SendsTo(peer)) self().Send(Buffer(peer) + offset, slot, piece, slot < place_.slots);
  }

  // To all, this rank's own buffer too where the protocol has it so.
  LAMPLIGHT_DEVICE void SendToAll(uint64_t offset, uint32_t slot, const Piece& piece) {
    SendToPeers(offset, slot, piece);
    KeepCopy(offset, slot, piece);
  }

  // What SendToAll stores in this rank's own buffer. Through a multicast address it comes by
  // itself.
  LAMPLIGHT_DEVICE void KeepCopy(uint64_t offset, uint32_t slot, const Piece& piece) {
    if (!SendsTo(call_.rank) || call_.multicast != nullptr) return;
    self().Send(Local() + offset, slot, piece, slot < place_.slots);
  }

  LAMPLIGHT_DEVICE void SendToPeers(uint64_t offset, uint32_t slot, const Piece& piece) {
    const bool active = slot < place_.slots;
    if (call_.multicast != nullptr) {
      self().Send(static_cast<char*>(call_.multicast) + offset, slot, piece, active);
      return;
    }
    if constexpr (kWorld != 0) {
      LAMPLIGHT_UNROLL
      for (uint32_t peer = 0; peer < kWorld; ++peer) {
        char* buffer = kInline ? static_cast<char*>(call_.peer[peer]) : at_.peers[peer];
        if (peer != call_.rank) self().Send(buffer + offset, slot, piece, active);
      }
    } else {
      for (uint32_t peer = 0; peer < call_.world; ++peer) {
        if (peer != call_.rank) SendTo(peer, offset, slot, piece);
      }
    }
  }

  // The sum over ranks of the units at `offset`, `offset + stride`, …, in rank order; `own` is this
  // rank's. What it stored for itself is not waited for: it is there when the grid ends, before a
  // later one clears it. Warps look as one. Also true for slots without a unit. False: a peer's
  // unit will not come.
  LAMPLIGHT_DEVICE bool Reduce(uint64_t offset, uint64_t stride, uint32_t stage, uint32_t slot,
                               const Piece& own, Sums* sums) {
    Step pieces;
    return ReduceFrom<false>(offset, stride, stage, slot, own, &pieces, sums);
  }

  // Of two ranks one is awaited, for the other is this one: nothing is chosen by rank then, at the
  // end of every call. Not where its own data may come back to a rank and are awaited as well: the
  // second wait, taken or not, costs more than that (docs/performance.md).
  static constexpr bool kAwaitsOne = kWorld == 2 && kProtocolOf != Protocol::kMnnvl;
  // The units of as many ranks as are awaited at a time.
  using Step = Piece[kAwaitsOne ? 1 : kStep];

  // Loads the first step of what Reduce awaits, and does not wait for it.
  LAMPLIGHT_DEVICE void Peek(uint64_t offset, uint64_t stride, uint32_t slot, Step* pieces) const {
    if constexpr (kAwaitsOne) {
      self().Load(PeersRow(offset, stride), slot, slot < place_.slots, &(*pieces)[0]);
    } else {
      Load(offset, stride, slot, 0, pieces);
    }
  }
  // The same as above, `pieces` as Peek has left them.
  LAMPLIGHT_DEVICE bool Reduce(uint64_t offset, uint64_t stride, uint32_t stage, uint32_t slot,
                               const Piece& own, Step* pieces, Sums* sums) {
    return ReduceFrom<true>(offset, stride, stage, slot, own, pieces, sums);
  }

  // What this rank has sent to all, where it comes back to itself.
  LAMPLIGHT_DEVICE void AwaitEcho(uint64_t offset, uint32_t stage, uint32_t slot) {
    Piece echo;
    if (echoes_) Await(offset, stage, slot, call_.rank, &echo);
  }

  // One unit of this rank's own buffer. False: it will not come.
  LAMPLIGHT_DEVICE bool Await(uint64_t offset, uint32_t stage, uint32_t slot, uint32_t sender,
                              Piece* piece) {
    return AwaitFrom(Local() + offset, stage, slot, sender, false, piece);
  }

  // One thread of the grid calls it.
  LAMPLIGHT_DEVICE void SendHeaders() const {
    if (call_.header_offset == 0) return;
    const Standing standing = self().standing();
    const uint32_t sequence = static_cast<uint32_t>(standing.epoch);
    const uint32_t kind = KindOf(call_, standing.kernel, standing.protocol);
    const uint32_t check = CheckOf(sequence, call_.tokens, call_.hidden, kind);
    const machine::Words4 header = {{sequence, call_.tokens, call_.hidden, kind << 16 | check}};
    for (uint32_t peer = 0; peer < World(); ++peer) {
      machine::Send(
          reinterpret_cast<machine::Words4*>(Buffer(peer) + call_.header_offset) + call_.rank,
          header);
    }
  }

  // −0 goes out as +0: in the field's protocols it is the sentinel, and all protocols give the same
  // bits.
  static LAMPLIGHT_DEVICE void Prepare(Piece* piece) { piece->DropNegativeZeros(); }

  // What follows is that of the field's protocols, one packet for each unit; Epoch has its own.

  // Whether clusters arrive as soon as all of their threads have read the state, not when they have
  // what they await: so the count is over before the data are there, and costs nothing (0.2 to 0.3
  // µs otherwise). The last cluster to arrive then moves the state on when it has ended, as the
  // field's first block does, whether others have or not: later grids wait for the end of this one.
  // Not where snapshots in the ring say that a call has ended. The same for all threads of the
  // grid.
  static LAMPLIGHT_DEVICE bool ArrivesEarly(const CollectiveCall& call) {
    return call.journal.ring == 0 && machine::Clusters() > 1;
  }
  static LAMPLIGHT_DEVICE void Send(char* row, uint32_t slot, const Piece& piece, bool active) {
    if (active) machine::Send(reinterpret_cast<machine::Words4*>(row) + slot, piece.words);
  }
  static LAMPLIGHT_DEVICE void Load(const char* row, uint32_t slot, bool active, Piece* piece) {
    if (active) piece->words = machine::Poll(reinterpret_cast<const machine::Words4*>(row) + slot);
  }
  static LAMPLIGHT_DEVICE void Complete(Piece*) {}
  static LAMPLIGHT_DEVICE AwaitedWord Awaited(const char* row, uint32_t slot) {
    return {slot * Piece::kWords, reinterpret_cast<const machine::Words4*>(row) + slot};
  }

  // The first thread of each cluster, when all of the cluster has read what it awaited and cleared
  // its share, or earlier (ArrivesEarly).
  LAMPLIGHT_DEVICE void Arrive() { excess_ = CountClusterIn(self().standing().arrivals); }
  // The same thread, as the last thing it does: the last one to have arrived moves the state on.
  LAMPLIGHT_DEVICE void Leave() const {
    if (excess_ == 0) {
      self().MoveOn();
    } else if (IsResidue(excess_)) {
      const Standing standing = self().standing();
      Report(&call_, standing, Trouble::kArrivalResidue, {.word = excess_}, 0, {});
      MoveOnDespite<Derived>(&call_, standing, excess_);
    } else {
      LeaveShare(call_, kShare);
    }
  }

 protected:
  // Makes packets of this rank's buffer empty again, each thread of the grid its share.
  LAMPLIGHT_DEVICE void Arm(machine::Words4* target, uint64_t packets,
                            const machine::Words4& empty) const {
    for (uint64_t i = place_.GridThread(); i < packets; i += place_.GridThreads()) {
      machine::Store(target + i, empty);
    }
  }

  LAMPLIGHT_DEVICE char* Local() const { return at_.local; }
  LAMPLIGHT_DEVICE uint32_t* State() const { return at_.state; }
  static LAMPLIGHT_DEVICE char* BufferOf(const CollectiveCall& call, uint32_t peer) {
    const bool inlined = kInline || call.peer_table == nullptr;
    return static_cast<char*>(inlined ? call.peer[peer] : call.peer_table[peer]);
  }
  LAMPLIGHT_DEVICE char* Buffer(uint32_t peer) const { return BufferOf(call_, peer); }

  const CollectiveCall& call_;
  const Position& place_;
  const Addresses at_;
  const bool echoes_;

 private:
  LAMPLIGHT_DEVICE Derived& self() { return static_cast<Derived&>(*this); }
  LAMPLIGHT_DEVICE const Derived& self() const { return static_cast<const Derived&>(*this); }

  // In the epoch protocol nobody looks for what this rank sends to itself. Elsewhere it tells
  // whoever reads the workspace of a stuck call what this rank has sent.
  LAMPLIGHT_DEVICE bool SendsTo(uint32_t peer) const {
    return !Position::kPairs || peer != call_.rank;
  }

  // Whether nothing is awaited of a rank: of this one, but where its own data come back to it
  // through the multicast address. In a graph a kernel can end ahead of its stores over the link
  // (docs/kernels.md), and what comes after a later call has cleared the place would stay there.
  // The epoch protocol clears nothing.
  LAMPLIGHT_DEVICE bool IsGiven(uint32_t rank) const { return rank == call_.rank && !echoes_; }

  // Of two ranks each may be given the other's address for the multicast one: nothing comes back.
  LAMPLIGHT_DEVICE bool Echoes() const {
    if (kProtocolOf != Protocol::kMnnvl || call_.multicast == nullptr) return false;
    return World() != 2 || Buffer(1 - call_.rank) != call_.multicast;
  }

  // `kPeeked`: the first step has been loaded a first time.
  template <bool kPeeked>
  LAMPLIGHT_DEVICE bool ReduceFrom(uint64_t offset, uint64_t stride, uint32_t stage, uint32_t slot,
                                   const Piece& own, Step* pieces, Sums* sums) {
    if constexpr (kAwaitsOne) {
      const char* row = PeersRow(offset, stride);
      if (!AwaitFrom(row, stage, slot, 1 - call_.rank, kPeeked, &(*pieces)[0])) return false;
      sums->Set(own);  // of two, either order gives the same bits
      sums->Add((*pieces)[0]);
      return true;
    } else {
      return ReduceSteps<kPeeked>(offset, stride, stage, slot, own, pieces, sums);
    }
  }

  LAMPLIGHT_DEVICE const char* PeersRow(uint64_t offset, uint64_t stride) const {
    return Local() + offset + (1 - call_.rank) * stride;
  }

  // `peeked`: it has been loaded a first time.
  LAMPLIGHT_DEVICE bool AwaitFrom(const char* row, uint32_t stage, uint32_t slot, uint32_t sender,
                                  bool peeked, Piece* piece) {
    Watch<Position::kPairs> watch;
    for (;; peeked = false) {
      if (!peeked) self().Load(row, slot, slot < place_.slots, piece);
      if (self().IsHere(slot < place_.slots, *piece)) break;
      const auto missing = [&] { return MissingOf(sender, stage, slot, row); };
      if (!watch.GoOn(call_, self().standing(), missing)) return false;
    }
    self().Complete(piece);
    return true;
  }

  template <bool kPeeked>
  LAMPLIGHT_DEVICE bool ReduceSteps(uint64_t offset, uint64_t stride, uint32_t stage, uint32_t slot,
                                    const Piece& own, Step* pieces, Sums* sums) {
    for (uint32_t first = 0; first < World(); first += kStep) {
      const bool peeked = kPeeked && first == 0;
      if (!AwaitStep(offset, stride, stage, slot, first, own, peeked, pieces)) return false;
      LAMPLIGHT_UNROLL
      for (uint32_t i = 0; i < kStep; ++i) {
        if (i == 0 && first == 0) {
          sums->Set((*pieces)[i]);
        } else {
          sums->Add((*pieces)[i]);
        }
      }
    }
    return true;
  }

  // All loads of a step are in flight together.
  LAMPLIGHT_DEVICE void Load(uint64_t offset, uint64_t stride, uint32_t slot, uint32_t first,
                             Step* pieces) const {
    LAMPLIGHT_UNROLL
    for (uint32_t i = 0; i < kStep; ++i) {
      if (IsGiven(first + i)) continue;
      const char* row = Local() + offset + (first + i) * stride;
      self().Load(row, slot, slot < place_.slots, &(*pieces)[i]);
    }
  }
  LAMPLIGHT_DEVICE bool AwaitStep(uint64_t offset, uint64_t stride, uint32_t stage, uint32_t slot,
                                  uint32_t first, const Piece& own, bool peeked, Step* pieces) {
    Watch<Position::kPairs> watch;
    for (;; peeked = false) {
      if (!peeked) Load(offset, stride, slot, first, pieces);
      uint32_t late = kStep;
      LAMPLIGHT_UNROLL
      for (uint32_t i = 0; i < kStep; ++i) {
        if (IsGiven(first + i)) continue;
        if (!self().IsHere(slot < place_.slots, (*pieces)[i])) late = i;
      }
      if (late == kStep) break;
      const uint32_t peer = first + late;
      const auto missing = [&] {
        return MissingOf(peer, stage, slot, Local() + offset + peer * stride);
      };
      if (!watch.GoOn(call_, self().standing(), missing)) return false;
    }
    LAMPLIGHT_UNROLL
    for (uint32_t i = 0; i < kStep; ++i) {
      if (first + i == call_.rank) {
        (*pieces)[i] = own;
      } else {
        self().Complete(&(*pieces)[i]);
      }
    }
    return true;
  }

  LAMPLIGHT_DEVICE Missing MissingOf(uint32_t peer, uint32_t stage, uint32_t slot,
                                     const char* row) const {
    const AwaitedWord awaited = self().Awaited(row, slot);
    return {peer, place_.token, stage, awaited.word, awaited.packet->word, Piece::kWords};
  }

  uint32_t excess_ = 0;  // what this cluster's arrival found (arrivals.cuh)
};

}  // namespace lamplight::kernels
