// Our own protocol: every line of 128 bytes carries the number and the shape of the call it belongs
// to. No payload can be mistaken for it, nothing is cleared, and a stale index cannot be: an old
// line has an old number.
//
// Device code. Two generations suffice: a rank that has finished call n has heard, through every
// owner of a token, from every peer that it has begun n, hence has read all of n − 1; so writing
// n + 1 into the generation of n − 1 destroys nothing (tests/model proves it).
#pragma once

#include "kernels/exchange.cuh"
#include "kernels/journal.cuh"

namespace lamplight::kernels {

// 48 bits of the call's number, which does not come again in a lifetime, and 16 of its shape: what
// a rank sends in another call is never taken for data of this one.
LAMPLIGHT_DEVICE uint64_t TagOf(const CollectiveCall& call, Kernel kernel, uint64_t number) {
  const uint32_t kind = KindOf(call, kernel, Protocol::kEpoch);
  const uint64_t shape = CheckOf(0, call.tokens, call.hidden, kind);
  return (number & ((uint64_t{1} << 48) - 1)) | shape << 48;
}

template <DataType kType, uint32_t kWorld>
class Epoch
    : public Exchange<Epoch<kType, kWorld>, Protocol::kEpoch, kType, kWorld, machine::Words2> {
 public:
  using Base = Exchange<Epoch<kType, kWorld>, Protocol::kEpoch, kType, kWorld, machine::Words2>;
  using typename Base::Piece;
  using typename Base::Position;

  LAMPLIGHT_DEVICE Epoch(const CollectiveCall& call, const Position& place, Kernel kernel)
      : Base(call, place),
        state_(static_cast<EpochState*>(call.state)),
        stages_(kernel == Kernel::kOneShot ? 1 : 2) {
    const uint64_t epoch = machine::Poll(&state_->epoch);
    tag_ = TagOf(call, kernel, epoch + 1);
    generation_ = (epoch & 1) * call.generation_bytes;
    standing_ = {epoch, static_cast<uint32_t>(epoch & 1), kernel, Protocol::kEpoch,
                 &state_->arrivals};
  }

  LAMPLIGHT_DEVICE Standing standing() const { return standing_; }
  static LAMPLIGHT_DEVICE uint64_t SlotOffset(uint32_t slot) {
    return uint64_t{slot} * sizeof(uint64_t);
  }

  LAMPLIGHT_DEVICE Trouble Admit() const {
    if (this->call_.generation_bytes % (2 * kLineBytes) != 0) return Trouble::kMisaligned;
    const uint64_t tokens = this->call_.tokens;
    const uint32_t world = this->World();
    const uint64_t rows = stages_ == 1 ? tokens * world : (tokens + world - 1) / world * world;
    return rows * Row() <= this->call_.generation_bytes / stages_ ? Trouble::kNothing
                                                                  : Trouble::kCapacity;
  }

  LAMPLIGHT_DEVICE uint64_t OneShotRow(uint32_t rank) const {
    return generation_ + (static_cast<uint64_t>(this->place_.token) * this->World() + rank) * Row();
  }
  LAMPLIGHT_DEVICE uint64_t OneShotStride() const { return Row(); }
  LAMPLIGHT_DEVICE uint64_t ScatterRow(uint32_t rank) const {
    const uint32_t world = this->World();
    return generation_ + (static_cast<uint64_t>(this->place_.token / world) * world + rank) * Row();
  }
  LAMPLIGHT_DEVICE uint64_t BroadcastRow() const {
    return generation_ + this->call_.generation_bytes / 2 + this->place_.token * Row();
  }

  // −0 goes out as +0 so that both protocols, one-shot and two-shot, give the same bits.
  static LAMPLIGHT_DEVICE void Prepare(Piece* piece) { piece->DropNegativeZeros(); }

  LAMPLIGHT_DEVICE void Send(char* row, uint32_t slot, const Piece& piece) const {
    const uint32_t in_line = slot % kLineSlots;
    const uint64_t value = in_line == kLineUnits ? tag_ : Bits(piece);
    machine::SendLine(Line(row, slot), in_line, value);
  }

  LAMPLIGHT_DEVICE bool Look(const char* row, uint32_t slot, Piece* piece) const {
    uint64_t value;
    const bool here =
        machine::PollLine(Line(const_cast<char*>(row), slot), slot % kLineSlots, tag_, &value);
    memcpy(&piece->words, &value, sizeof value);
    return here;
  }

  LAMPLIGHT_DEVICE void Clear() const {}

  // By the last cluster of the grid: the next call may begin. All of it is visible to grids that a
  // trigger behind this lets start.
  LAMPLIGHT_DEVICE void MoveOn() const { MoveOnAnew(this->call_, standing_); }
  // The same by a thread that knows no more than this.
  static LAMPLIGHT_DEVICE void MoveOnAnew(const CollectiveCall& call, const Standing& standing) {
    auto* state = static_cast<EpochState*>(call.state);
    *const_cast<volatile uint64_t*>(&state->epoch) = standing.epoch + 1;
    *const_cast<volatile uint32_t*>(&state->arrivals) = 0;
    machine::FenceDevice();
    // Behind the fence, which would wait for stores over the bus.
    WriteJournal(call.journal, reinterpret_cast<const uint32_t*>(state),
                 sizeof(EpochState) / sizeof(uint32_t));
  }

 private:
  LAMPLIGHT_DEVICE uint64_t Row() const { return this->place_.packet_row_bytes; }
  static LAMPLIGHT_DEVICE uint64_t* Line(char* row, uint32_t slot) {
    return reinterpret_cast<uint64_t*>(row + static_cast<uint64_t>(slot / kLineSlots) * kLineBytes);
  }
  static LAMPLIGHT_DEVICE uint64_t Bits(const Piece& piece) {
    uint64_t value;
    memcpy(&value, &piece.words, sizeof value);
    return value;
  }

  EpochState* state_;
  uint32_t stages_;
  uint64_t tag_;
  uint64_t generation_;
  Standing standing_;
};

}  // namespace lamplight::kernels
