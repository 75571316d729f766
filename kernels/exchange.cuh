// What the protocols have in common: addresses of peers' buffers, stores to all, headers, the
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

// Where a row begins in every rank's buffer.
struct Spot {
  uint64_t row;    // behind the beginning of its stage
  uint64_t stage;  // where that begins, as the state of the workspace says

  LAMPLIGHT_DEVICE Spot operator+(uint64_t bytes) const { return {row + bytes, stage}; }
};

// How the units of a sum were sent.
enum class Sent : uint8_t { kToAll, kToOwner };

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
  static constexpr bool kSendsToOne = kWorld == 2;
  // Of two ranks of an epoch workspace, whose peers' addresses are always known, neither needs a
  // multicast address: it would carry the same to the peer, and the rest back to be awaited.
  static constexpr bool kMulticasts = kProtocolOf != Protocol::kEpoch || kWorld != 2;
  // What a rank sends to all may come back to it. (Unicast workspaces have no such address.)
  static constexpr bool kMayEcho = !IsUnicast(kProtocolOf) && kMulticasts;
  static constexpr uint32_t kNobody = kMaxWorld;

  // What of a call needs nothing of the grids in front: made while they still run. What is read
  // here nobody writes while the workspace is in use.
  struct Ahead {
    char* local;
    uint32_t* state;
    // Of two ranks, where this one sends to: the other's buffer, or the multicast address. Of a
    // larger known number, those of all ranks: for unrolled loops only.
    char* peers[kSendsToOne ? 1 : kStep];
    // Of whom nothing is awaited that goes to all: this rank, or, where its own data come back to
    // it through the multicast address, nobody. Of two ranks each may be given the other's address
    // for that one: nothing comes back.
    uint32_t given;

    explicit LAMPLIGHT_DEVICE Ahead(const CollectiveCall& call)
        : local(static_cast<char*>(kInline || call.local != nullptr ? call.local
                                                                    : call.peer_table[call.rank])),
          state(static_cast<uint32_t*>(call.state)),
          given(call.rank) {
      const uint32_t world = WorldOf(call);
      if (IsUnicast(kProtocolOf) && state == nullptr) {
        state = static_cast<uint32_t*>(call.peer_table[world]);
      }
      if (kMayEcho && call.multicast != nullptr &&
          (world != 2 || BufferOf(call, 1 - call.rank) != call.multicast)) {
        given = kNobody;
      }
      if constexpr (kSendsToOne) {
        peers[0] = kMulticasts && call.multicast != nullptr ? static_cast<char*>(call.multicast)
                                                            : BufferOf(call, 1 - call.rank);
      } else if constexpr (kWorld != 0 && !kInline) {
        if (call.multicast != nullptr) return;
        LAMPLIGHT_UNROLL
        for (uint32_t peer = 0; peer < kWorld; ++peer) peers[peer] = BufferOf(call, peer);
      }
    }
  };

  LAMPLIGHT_DEVICE Exchange(const CollectiveCall& call, const Position& place, const Ahead& ahead)
      : call_(call), place_(place), at_(ahead) {}

  static LAMPLIGHT_DEVICE uint32_t WorldOf(const CollectiveCall& call) {
    return kWorld == 0 ? call.world : kWorld;
  }
  LAMPLIGHT_DEVICE uint32_t World() const { return WorldOf(call_); }

  // To the stage of one peer's buffer. Warps send as one; inactive lanes send nothing.
  LAMPLIGHT_DEVICE void SendTo(uint32_t peer, const Spot& spot, uint32_t slot, const Piece& piece) {
    if (SendsTo(peer)) Send(Buffer(peer), spot, slot, piece);
  }

  // To all, this rank's own buffer too where the protocol has it so.
  LAMPLIGHT_DEVICE void SendToAll(const Spot& spot, uint32_t slot, const Piece& piece) {
    SendToPeers(spot, slot, piece);
    KeepCopy(spot, slot, piece);
  }

  // What SendToAll stores in this rank's own buffer. Through a multicast address it comes by
  // itself.
  LAMPLIGHT_DEVICE void KeepCopy(const Spot& spot, uint32_t slot, const Piece& piece) {
    if (!SendsTo(call_.rank) || call_.multicast != nullptr) return;
    Send(Local(), spot, slot, piece);
  }

  LAMPLIGHT_DEVICE void SendToPeers(const Spot& spot, uint32_t slot, const Piece& piece) {
    if constexpr (kSendsToOne) return Send(at_.peers[0], spot, slot, piece);
    if (call_.multicast != nullptr) {
      return Send(static_cast<char*>(call_.multicast), spot, slot, piece);
    }
    if constexpr (kWorld != 0) {
      LAMPLIGHT_UNROLL
      for (uint32_t peer = 0; peer < kWorld; ++peer) {
        char* buffer = kInline ? static_cast<char*>(call_.peer[peer]) : at_.peers[peer];
        if (peer != call_.rank) Send(buffer, spot, slot, piece);
      }
    } else {
      for (uint32_t peer = 0; peer < call_.world; ++peer) {
        if (peer != call_.rank) SendTo(peer, spot, slot, piece);
      }
    }
  }

  // The sum over ranks of the units at `spot`, `spot + stride`, …, in rank order; `own` is this
  // rank's. What it stored for itself is not waited for: it is there when the grid ends, before a
  // later one clears it. Warps look as one. NaN where a peer's unit will not come.
  template <Sent kSent = Sent::kToAll>
  LAMPLIGHT_DEVICE void Reduce(const Spot& spot, uint64_t stride, uint32_t stage, uint32_t slot,
                               const Piece& own, Sums* sums) {
    Step pieces;
    if (!ReduceFrom<false, kSent>(spot, stride, stage, slot, own, pieces, sums)) sums->Fill(Nan());
  }

  // Of two ranks one is awaited, for the other is this one: nothing is chosen by rank then, at the
  // end of every call. Not where its own data may come back to a rank and are awaited as well: the
  // second wait, taken or not, costs more than that (docs/performance.md).
  static constexpr bool kAwaitsOne = kWorld == 2 && kProtocolOf != Protocol::kMnnvl;
  // The units of as many ranks as are awaited at a time.
  using Step = Piece[kAwaitsOne ? 1 : kStep];

  // Loads the first step of what Reduce awaits, and does not wait for it.
  LAMPLIGHT_DEVICE void Peek(const Spot& spot, uint64_t stride, uint32_t slot, Step* pieces) const {
    if constexpr (kAwaitsOne) {
      self().Load(PeersPacket(spot, stride, slot), slot < place_.slots, &(*pieces)[0]);
    } else {
      Load<Sent::kToAll>(spot, stride, slot, 0, *pieces);
    }
  }
  // The same as above, `pieces` as Peek has left them.
  LAMPLIGHT_DEVICE void Reduce(const Spot& spot, uint64_t stride, uint32_t stage, uint32_t slot,
                               const Piece& own, Step* pieces, Sums* sums) {
    if (!ReduceFrom<true, Sent::kToAll>(spot, stride, stage, slot, own, *pieces, sums))
      sums->Fill(Nan());
  }

  // What this rank has sent to all, where it comes back to itself.
  LAMPLIGHT_DEVICE void AwaitEcho(const Spot& spot, uint32_t stage, uint32_t slot) {
    if constexpr (kMayEcho) {
      Piece echo;
      if (at_.given == kNobody) Await(spot, stage, slot, call_.rank, &echo);
    }
  }

  // The same of all that was not awaited before, when the cluster has nothing else to do.
  LAMPLIGHT_DEVICE void AwaitEchoes() const {}

  // One unit of this rank's own buffer. False: it will not come.
  LAMPLIGHT_DEVICE bool Await(const Spot& spot, uint32_t stage, uint32_t slot, uint32_t sender,
                              Piece* piece) {
    return AwaitFrom(PacketAt(Local(), spot, slot), stage, slot, sender, false, piece);
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

  // What is wrong with a call, whatever the state of its workspace.
  static LAMPLIGHT_DEVICE Trouble AdmitCall(const CollectiveCall&, const Position&, Kernel) {
    return Trouble::kNothing;
  }

  // −0 goes out as +0: in the field's protocols it is the sentinel, and all protocols give the same
  // bits.
  static LAMPLIGHT_DEVICE void Prepare(Piece* piece) { piece->DropNegativeZeros(); }

  // Rows of both algorithms, where a stage holds those of a token side by side; Unicast has its
  // own.
  LAMPLIGHT_DEVICE Spot OneShotRow(uint32_t rank) const {
    return {(static_cast<uint64_t>(place_.token) * World() + rank) * place_.packet_row_bytes,
            self().Stage(0)};
  }
  LAMPLIGHT_DEVICE uint64_t OneShotStride() const { return place_.packet_row_bytes; }
  LAMPLIGHT_DEVICE Spot ScatterRow(uint32_t rank) const {
    const uint32_t world = World();
    return {(static_cast<uint64_t>(place_.token / world) * world + rank) * place_.packet_row_bytes,
            self().Stage(0)};
  }
  LAMPLIGHT_DEVICE uint64_t ScatterStride() const { return place_.packet_row_bytes; }
  LAMPLIGHT_DEVICE Spot BroadcastRow() const {
    return {place_.token * place_.packet_row_bytes, self().Stage(1)};
  }

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
  static LAMPLIGHT_DEVICE void SendPacket(machine::Words4* packet, const Piece& piece,
                                          bool active) {
    if (active) machine::Send(packet, piece.words);
  }
  static LAMPLIGHT_DEVICE void Load(const machine::Words4* packet, bool active, Piece* piece) {
    if (active) piece->words = machine::Poll(packet);
  }
  static LAMPLIGHT_DEVICE void Complete(Piece*) {}
  static LAMPLIGHT_DEVICE AwaitedWord Awaited(const machine::Words4* packet, uint32_t slot) {
    return {slot * Piece::kWords, packet};
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
  static LAMPLIGHT_DEVICE uint32_t StagesOf(Kernel kernel) {
    return kernel == Kernel::kOneShot ? 1 : 2;
  }

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
  const Ahead at_;

 private:
  LAMPLIGHT_DEVICE Derived& self() { return static_cast<Derived&>(*this); }
  LAMPLIGHT_DEVICE const Derived& self() const { return static_cast<const Derived&>(*this); }

  // What needs the state of the workspace is added last: all else is ready by then.
  static LAMPLIGHT_DEVICE machine::Words4* PacketAt(char* buffer, const Spot& spot, uint32_t slot) {
    char* packet = buffer + spot.row + static_cast<uint64_t>(slot) * sizeof(machine::Words4);
    return reinterpret_cast<machine::Words4*>(machine::Apart(packet) + spot.stage);
  }
  LAMPLIGHT_DEVICE void Send(char* buffer, const Spot& spot, uint32_t slot, const Piece& piece) {
    self().SendPacket(PacketAt(buffer, spot, slot), piece, slot < place_.slots);
  }

  // In the epoch protocol a rank stores nothing for itself: nobody looks for it. Elsewhere that
  // tells whoever reads the workspace of a stuck call what this rank has sent.
  LAMPLIGHT_DEVICE bool SendsTo(uint32_t peer) const {
    return !Position::kPairs || peer != call_.rank;
  }

  // Whether nothing is awaited of a rank: of this one, but where its own data come back to it
  // through the multicast address. In a graph a kernel can end ahead of its stores over the link
  // (docs/kernels.md). What comes after a later call has cleared the place would stay there, and
  // what comes after a later call of another shape has given the place to a peer would replace what
  // that one has sent.
  template <Sent kSent>
  LAMPLIGHT_DEVICE bool IsGiven(uint32_t rank) const {
    return rank == (kMayEcho && kSent == Sent::kToAll ? at_.given : call_.rank);
  }

  static LAMPLIGHT_DEVICE float Nan() { return BitsAs<float>(Element<DataType::kFp32>::kNan); }

  // False: a peer's unit will not come. `kPeeked`: the first step has been loaded a first time.
  template <bool kPeeked, Sent kSent>
  LAMPLIGHT_DEVICE bool ReduceFrom(const Spot& spot, uint64_t stride, uint32_t stage, uint32_t slot,
                                   const Piece& own, Piece* pieces, Sums* sums) {
    if constexpr (kAwaitsOne) {
      const machine::Words4* packet = PeersPacket(spot, stride, slot);
      if (!AwaitFrom(packet, stage, slot, 1 - call_.rank, kPeeked, &pieces[0])) return false;
      sums->Set(own);  // of two, either order gives the same bits
      sums->Add(pieces[0]);
      return true;
    } else {
      return ReduceSteps<kPeeked, kSent>(spot, stride, stage, slot, own, pieces, sums);
    }
  }

  LAMPLIGHT_DEVICE const machine::Words4* PeersPacket(const Spot& spot, uint64_t stride,
                                                      uint32_t slot) const {
    return PacketAt(Local(), spot + (1 - call_.rank) * stride, slot);
  }

  // `peeked`: it has been loaded a first time.
  LAMPLIGHT_DEVICE bool AwaitFrom(const machine::Words4* packet, uint32_t stage, uint32_t slot,
                                  uint32_t sender, bool peeked, Piece* piece) {
    Watch<Position::kPairs> watch;
    for (;; peeked = false) {
      if (!peeked) self().Load(packet, slot < place_.slots, piece);
      if (self().IsHere(slot < place_.slots, *piece)) break;
      const auto missing = [&] { return MissingOf(sender, stage, slot, packet); };
      if (!watch.GoOn(call_, self().standing(), missing)) return false;
    }
    self().Complete(piece);
    return true;
  }

  template <bool kPeeked, Sent kSent>
  LAMPLIGHT_DEVICE bool ReduceSteps(const Spot& spot, uint64_t stride, uint32_t stage,
                                    uint32_t slot, const Piece& own, Piece* pieces, Sums* sums) {
    for (uint32_t first = 0; first < World(); first += kStep) {
      const bool peeked = kPeeked && first == 0;
      if (!AwaitStep<kSent>(spot, stride, stage, slot, first, own, peeked, pieces)) return false;
      LAMPLIGHT_UNROLL
      for (uint32_t i = 0; i < kStep; ++i) {
        if (i == 0 && first == 0) {
          sums->Set(pieces[i]);
        } else {
          sums->Add(pieces[i]);
        }
      }
    }
    return true;
  }

  // All loads of a step are in flight together.
  template <Sent kSent>
  LAMPLIGHT_DEVICE void Load(const Spot& spot, uint64_t stride, uint32_t slot, uint32_t first,
                             Piece* pieces) const {
    LAMPLIGHT_UNROLL
    for (uint32_t i = 0; i < kStep; ++i) {
      if (IsGiven<kSent>(first + i)) continue;
      self().Load(PacketAt(Local(), spot + (first + i) * stride, slot), slot < place_.slots,
                  &pieces[i]);
    }
  }
  template <Sent kSent>
  LAMPLIGHT_DEVICE bool AwaitStep(const Spot& spot, uint64_t stride, uint32_t stage, uint32_t slot,
                                  uint32_t first, const Piece& own, bool peeked, Piece* pieces) {
    Watch<Position::kPairs> watch;
    for (;; peeked = false) {
      if (!peeked) Load<kSent>(spot, stride, slot, first, pieces);
      uint32_t late = kStep;
      LAMPLIGHT_UNROLL
      for (uint32_t i = 0; i < kStep; ++i) {
        if (IsGiven<kSent>(first + i)) continue;
        if (!self().IsHere(slot < place_.slots, pieces[i])) late = i;
      }
      if (late == kStep) break;
      const uint32_t peer = first + late;
      const auto missing = [&] {
        return MissingOf(peer, stage, slot, PacketAt(Local(), spot + peer * stride, slot));
      };
      if (!watch.GoOn(call_, self().standing(), missing)) return false;
    }
    LAMPLIGHT_UNROLL
    for (uint32_t i = 0; i < kStep; ++i) {
      if (first + i == call_.rank) {
        pieces[i] = own;
      } else {
        self().Complete(&pieces[i]);
      }
    }
    return true;
  }

  LAMPLIGHT_DEVICE Missing MissingOf(uint32_t peer, uint32_t stage, uint32_t slot,
                                     const machine::Words4* packet) const {
    const AwaitedWord awaited = self().Awaited(packet, slot);
    return {peer, place_.token, stage, awaited.word, awaited.packet->word, Piece::kWords};
  }

  uint32_t excess_ = 0;  // what this cluster's arrival found (arrivals.cuh)
};

}  // namespace lamplight::kernels
