// The protocol of FlashInfer's non-MNNVL ("trtllm") one-shot kernel: an element that is still −0
// has not arrived; three generations rotate by a counter; one size, in elements, says what to
// clear.
//
// Device code. Compatible with the kernels of the field in one group (FlashInfer 0.2.9 – 0.7.4,
// include/flashinfer/comm/trtllm_allreduce_fusion.cuh, LamportComm). Different here: see mnnvl.cuh.
// `peer_table` is workspace + 2W; `state` may be null and is then read from workspace[3W].
#pragma once

#include "kernels/exchange.cuh"
#include "kernels/protocol.cuh"

namespace lamplight::kernels {

template <DataType kType, uint32_t kWorld>
class Unicast : public Exchange<Unicast<kType, kWorld>, Protocol::kUnicast, kType, kWorld> {
 public:
  using Base = Exchange<Unicast<kType, kWorld>, Protocol::kUnicast, kType, kWorld>;
  using typename Base::Piece;
  using typename Base::Position;

  struct Ahead : Base::Ahead {
    const uint32_t* word;  // that this thread polls for its block

    LAMPLIGHT_DEVICE Ahead(const CollectiveCall& call, Kernel)
        : Base::Ahead(call), word(machine::Settled(this->state + machine::Thread())) {}
  };

  LAMPLIGHT_DEVICE Unicast(const CollectiveCall& call, const Position& place, Kernel kernel,
                           const Ahead& ahead)
      : Base(call, place, ahead), words_(this->State()) {
    uint32_t words[protocol::kUnicastWords];
    machine::PollForBlock(ahead.word, protocol::kUnicastWords, words);
    index_ = words[protocol::kUnicastIndex] % protocol::kGenerations;
    sync_flag_ = words[protocol::kUnicastSyncFlag];
    generation_bytes_ = words[protocol::kUnicastGenerationBytes];
    clear_elements_ = words[protocol::kUnicastClearElements];
    standing_ = {0, index_, kernel, Protocol::kUnicast, words_ + protocol::kUnicastArrivals};
  }

  LAMPLIGHT_DEVICE Standing standing() const { return standing_; }

  LAMPLIGHT_DEVICE Trouble Admit() const {
    if (generation_bytes_ % 16 != 0) return Trouble::kMisaligned;
    return TensorBytes() * this->World() <= generation_bytes_ ? Trouble::kNothing
                                                              : Trouble::kCapacity;
  }

  LAMPLIGHT_DEVICE Spot OneShotRow(uint32_t rank) const {
    return {rank * TensorBytes() + this->place_.token * this->place_.packet_row_bytes,
            Generation(index_)};
  }
  LAMPLIGHT_DEVICE uint64_t OneShotStride() const { return TensorBytes(); }

  LAMPLIGHT_DEVICE bool IsHere(bool active, const Piece& piece) const {
    return !active || !piece.HasNegativeZero();
  }

  LAMPLIGHT_DEVICE void Clear() const {
    Piece empty;
    empty.Fill(sizeof(Bits) == 4 ? protocol::kSentinel : protocol::kHalfSentinels);
    auto* target = reinterpret_cast<machine::Words4*>(
        this->Local() + Generation((index_ + 2) % protocol::kGenerations));
    const uint64_t packets = clear_elements_ / Piece::kElements;
    const uint64_t most = generation_bytes_ / sizeof(machine::Words4);
    this->Arm(target, packets < most ? packets : most, empty.words);
  }

  // By the last cluster of the grid: the next call may begin.
  LAMPLIGHT_DEVICE void MoveOn() const {
    Advance(this->call_, standing_, sync_flag_, generation_bytes_);
  }
  // The same by a thread that knows no more than this.
  static LAMPLIGHT_DEVICE void MoveOnAnew(const CollectiveCall& call, const Standing& standing) {
    const uint32_t* words = standing.arrivals - protocol::kUnicastArrivals;
    Advance(call, standing, machine::Poll(words + protocol::kUnicastSyncFlag),
            machine::Poll(words + protocol::kUnicastGenerationBytes));
  }

 private:
  using Bits = typename Element<kType>::Bits;

  // `sync_flag` and `generation_bytes`: words that stay, for the journal.
  static LAMPLIGHT_DEVICE void Advance(const CollectiveCall& call, const Standing& standing,
                                       uint32_t sync_flag, uint32_t generation_bytes) {
    volatile uint32_t* words = standing.arrivals - protocol::kUnicastArrivals;
    const uint32_t world = Base::WorldOf(call);
    const uint32_t index = protocol::NextIndex(standing.index);
    const uint32_t elements = call.tokens * call.hidden * world;
    words[protocol::kUnicastIndex] = index;
    words[protocol::kUnicastClearElements] = elements;
    words[protocol::kUnicastArrivals] = 0;
    if ((call.options & kFollowersWait) == 0) {
      machine::Await(words[protocol::kUnicastIndex] | words[protocol::kUnicastClearElements] |
                     words[protocol::kUnicastArrivals]);
    }
    LeaveWords(call, standing.arrivals, protocol::kUnicastWords,
               {{0, sync_flag, index, generation_bytes}}, {{elements, 0, 0, 0}},
               LargeShare(machine::Clusters()));
  }

  LAMPLIGHT_DEVICE uint64_t TensorBytes() const {
    return static_cast<uint64_t>(this->call_.tokens) * this->place_.packet_row_bytes;
  }
  LAMPLIGHT_DEVICE uint64_t Generation(uint32_t index) const {
    return static_cast<uint64_t>(index) * generation_bytes_;
  }

  uint32_t* words_;
  uint32_t index_;
  uint32_t sync_flag_;
  uint32_t generation_bytes_;
  uint32_t clear_elements_;
  Standing standing_;
};

}  // namespace lamplight::kernels
