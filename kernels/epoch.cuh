// Our own protocol: every line of 128 bytes carries the number and the shape of the call it belongs
// to (machine::SendPair). No payload can be mistaken for it, nothing is cleared, and a stale index
// cannot be: an old line has an old number.
//
// Device code. Two generations suffice: a rank that has finished call n has heard, through every
// owner of a token, from every peer that it has begun n, hence has read all of n − 1; so writing
// n + 1 into the generation of n − 1 destroys nothing (tests/model proves it).
#pragma once

#include "kernels/exchange.cuh"

namespace lamplight::kernels {

LAMPLIGHT_DEVICE uint32_t ShapeOf(const CollectiveCall& call, Kernel kernel) {
  return CheckOf(0, call.tokens, call.hidden, KindOf(call, kernel, Protocol::kEpoch));
}

// 48 bits of the call's number, which does not come again in a lifetime, and 16 of its shape: what
// a rank sends in another call is never taken for data of this one.
LAMPLIGHT_DEVICE uint64_t TagOf(uint64_t number, uint32_t shape) {
  return (number & ((uint64_t{1} << 48) - 1)) | static_cast<uint64_t>(shape) << 48;
}

// Which line a warp looked for in vain. A line comes as a whole: its first word is missing, and its
// tag, at the end, was looked at. The warp waits for two pairs, `pair` being one of them.
LAMPLIGHT_COLD AwaitedWord MissingLine(const machine::Words4* row, uint32_t pair, uint32_t pairs,
                                       uint64_t tag) {
  AwaitedWord last{};
  for (const uint32_t of_warp : {pair ^ 1u, pair}) {
    for (uint32_t half = 0; of_warp < pairs && half < 2; ++half) {
      const uint32_t line = of_warp * 2 + half;
      const machine::Words4* end = row + (line + 1) * (kPairSlots / 2) - 1;
      last = {line * kLineWords, end};
      const machine::Words4 seen = machine::Poll(end);
      if ((seen.word[2] | uint64_t{seen.word[3]} << 32) != tag) return last;
    }
  }
  return last;  // it has come meanwhile
}

// Waits for the lines of one warp, of this rank's own.
LAMPLIGHT_DEVICE void AwaitOwnLines(const CollectiveCall& call, const Standing& standing,
                                    Missing missing, const machine::Words4* row, uint32_t slot,
                                    uint32_t slots, uint64_t tag) {
  Watch<true> watch;
  machine::Words4 value{};
  for (;;) {
    machine::PollPair(row + slot, slot < slots, &value);
    if (machine::PairIsHere(tag, slot < slots, value)) return;
    const auto line = [&] {
      const AwaitedWord awaited = MissingLine(row, slot / kPairSlots, slots / kPairSlots, tag);
      missing.word = awaited.word;
      missing.packet = awaited.packet->word;
      return missing;
    };
    if (!watch.GoOn(call, standing, line)) return;
  }
}

// Waits for this rank's own sums of a cluster's tokens, which come back from the multicast address;
// `sums` is where their stage begins. Apart, and with a place of its own: few workspaces have such
// an address, and calls without one need not make room for this.
template <class Position>
LAMPLIGHT_COLD void AwaitOwnSums(const CollectiveCall* call, Standing standing, const char* sums,
                                 uint64_t tag) {
  const Position place(*call);
  for (uint32_t token = place.cluster; token < call->tokens; token += machine::Clusters()) {
    if (token % call->world != call->rank) continue;
    const auto* row =
        reinterpret_cast<const machine::Words4*>(sums + token * place.packet_row_bytes);
    const Missing missing = {.peer = call->rank, .token = token, .stage = 1, .packet_words = 4};
    for (uint32_t slot = place.thread; place.WarpHas(slot); slot += place.threads) {
      AwaitOwnLines(*call, standing, missing, row, slot, place.slots, tag);
    }
  }
}

template <DataType kType, uint32_t kWorld>
class Epoch : public Exchange<Epoch<kType, kWorld>, Protocol::kEpoch, kType, kWorld> {
 public:
  using Base = Exchange<Epoch<kType, kWorld>, Protocol::kEpoch, kType, kWorld>;
  using typename Base::Piece;
  using typename Base::Position;

  struct Ahead : Base::Ahead {
    uint32_t shape;

    LAMPLIGHT_DEVICE Ahead(const CollectiveCall& call, Kernel kernel)
        : Base::Ahead(call), shape(ShapeOf(call, kernel)) {}
  };

  LAMPLIGHT_DEVICE Epoch(const CollectiveCall& call, const Position& place, Kernel kernel,
                         const Ahead& ahead)
      : Base(call, place, ahead), state_(static_cast<EpochState*>(call.state)) {
    const uint64_t epoch = machine::Poll(&state_->progress) / kWholeCall;
    tag_ = TagOf(epoch + 1, ahead.shape);
    generation_ = (epoch & 1) != 0 ? call.generation_bytes : 0;
    standing_ = {epoch, static_cast<uint32_t>(epoch & 1), kernel, Protocol::kEpoch,
                 reinterpret_cast<uint32_t*>(&state_->progress)};
  }

  LAMPLIGHT_DEVICE Standing standing() const { return standing_; }

  static LAMPLIGHT_DEVICE Trouble AdmitCall(const CollectiveCall& call, const Position& place,
                                            Kernel kernel) {
    if (call.generation_bytes % (2 * kPairBytes) != 0) return Trouble::kMisaligned;
    const uint64_t tokens = call.tokens;
    const uint32_t world = Base::WorldOf(call);
    const uint32_t stages = Base::StagesOf(kernel);
    const uint64_t rows = stages == 1 ? tokens * world : (tokens + world - 1) / world * world;
    return rows * place.packet_row_bytes <= call.generation_bytes / stages ? Trouble::kNothing
                                                                           : Trouble::kCapacity;
  }
  LAMPLIGHT_DEVICE Trouble Admit() const { return Trouble::kNothing; }

  // Where a stage of this call begins.
  LAMPLIGHT_DEVICE uint64_t Stage(uint32_t stage) const {
    return generation_ + (stage == 0 ? 0 : this->call_.generation_bytes / 2);
  }

  LAMPLIGHT_DEVICE void SendPacket(machine::Words4* packet, const Piece& piece, bool active) const {
    machine::SendPair(packet, piece.words, tag_, active);
  }

  static LAMPLIGHT_DEVICE void Load(const machine::Words4* packet, bool active, Piece* piece) {
    machine::PollPair(packet, active, &piece->words);
  }
  LAMPLIGHT_DEVICE bool IsHere(bool active, const Piece& piece) const {
    return machine::PairIsHere(tag_, active, piece.words);
  }
  static LAMPLIGHT_DEVICE void Complete(Piece* piece) { machine::CompletePair(&piece->words); }
  LAMPLIGHT_DEVICE AwaitedWord Awaited(const machine::Words4* packet, uint32_t slot) const {
    return MissingLine(packet - slot, slot / kPairSlots, this->place_.slots / kPairSlots, tag_);
  }

  // Not before the end: what comes back need not be here earlier than the next call.
  LAMPLIGHT_DEVICE void AwaitEcho(const Spot&, uint32_t, uint32_t) const {}
  LAMPLIGHT_DEVICE void AwaitEchoes() const {
    if (!Base::kMayEcho || standing_.kernel != Kernel::kTwoShot) return;
    if (this->at_.given != Base::kNobody) return;
    AwaitOwnSums<Position>(&this->call_, standing_, this->Local() + Stage(1), tag_);
  }

  LAMPLIGHT_DEVICE void Clear() const {}

  // The count is the state: it says that a call has ended.
  static LAMPLIGHT_DEVICE bool ArrivesEarly(const CollectiveCall&) { return false; }

  // The first thread of each cluster, when all of the cluster has read what it awaited. The shares
  // of all clusters are one call: the number moves on by itself with the last of them, and nobody
  // has to know who that is, but for the ring.
  LAMPLIGHT_DEVICE void Arrive() {
    if (!Posts()) {
      progress_ = machine::CountIn(&state_->progress, Share()) + Share();
      return;
    }
    machine::AddByFirst(&state_->progress, Share());
    if (this->call_.journal.tickets_or_mark == 0) return;  // the outputs are still to be stored
    if (this->place_.cluster != 0) return LeaveShare(this->call_, kShare);
    LeaveInMark(this->call_, 2, Words(), {}, Share());
  }
  LAMPLIGHT_DEVICE void Leave() const {
    if (Posts()) return;
    machine::Await(static_cast<uint32_t>(progress_));
    const bool tells =
        this->call_.journal.ring != 0 ? progress_ % kWholeCall == 0 : this->place_.cluster == 0;
    if (!tells) return LeaveShare(this->call_, kShare);
    LeaveWords(this->call_, reinterpret_cast<const uint32_t*>(state_),
               sizeof(EpochState) / sizeof(uint32_t), Words(), {}, Share());
  }

 private:
  // The tag lives anyway. Its lower bits are the number of calls behind this one.
  LAMPLIGHT_DEVICE machine::Words4 Words() const {
    const uint64_t next = tag_ * kWholeCall;
    return {{static_cast<uint32_t>(next), static_cast<uint32_t>(next >> 32), 0, 0}};
  }
  LAMPLIGHT_DEVICE uint64_t Share() const {
    return this->place_.cluster == 0 ? LargeShare(machine::Clusters()) : kShare;
  }
  // Whether nobody waits for what is counted.
  LAMPLIGHT_DEVICE bool Posts() const {
    return (this->call_.options & kFollowersWait) != 0 && this->call_.journal.ring == 0;
  }

  EpochState* state_;
  uint64_t tag_;
  uint64_t generation_;
  uint64_t progress_ = 0;  // behind this cluster's arrival
  Standing standing_;
};

}  // namespace lamplight::kernels
