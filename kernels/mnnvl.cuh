// The protocol of FlashInfer's MNNVL workspaces, eras C–G: a word that still holds the sentinel has
// not arrived; three generations rotate; the flags say which is in use and what to clear.
//
// Device code. Compatible with the kernels of the field in one group: layout, flags and sentinel
// are theirs (FlashInfer 0.6.0rc1 – 0.7.4, include/flashinfer/comm/trtllm_mnnvl_allreduce.cuh).
// Different here: every word is compared by its bits; whole clusters arrive, when all of their
// threads have read the flags; the last one moves the flags on, and later grids may start only when
// all have ended. So no chain of programmatic launches can read flags, or clear a generation, that
// an earlier call still uses.
#pragma once

#include "kernels/exchange.cuh"
#include "kernels/protocol.cuh"

namespace lamplight::kernels {

template <DataType kType, uint32_t kWorld>
class Mnnvl : public Exchange<Mnnvl<kType, kWorld>, Protocol::kMnnvl, kType, kWorld> {
 public:
  using Base = Exchange<Mnnvl<kType, kWorld>, Protocol::kMnnvl, kType, kWorld>;
  using typename Base::Piece;
  using typename Base::Position;

  struct Ahead : Base::Ahead {
    uint64_t needs;        // bytes of a generation
    const uint32_t* flag;  // that this thread polls for its block

    LAMPLIGHT_DEVICE Ahead(const CollectiveCall& call, Kernel kernel)
        : Base::Ahead(call),
          needs(Base::StagesOf(kernel) * StageBytes(call, Base::StagesOf(kernel), 0)),
          flag(machine::Settled(this->state + machine::Thread())) {}
  };

  // Reads the flags: not before the grids in front have moved them on.
  LAMPLIGHT_DEVICE Mnnvl(const CollectiveCall& call, const Position& place, Kernel kernel,
                         const Ahead& ahead)
      : Base(call, place, ahead),
        stages_(Base::StagesOf(kernel)),
        flags_(this->State()),
        needs_(ahead.needs) {
    // Where calls are counted, all of the state in one go: when a cluster arrives early, all of its
    // threads have read it.
    const bool counts = call.header_offset != 0;
    uint32_t words[kStateWords] = {};
    machine::PollForBlock(ahead.flag, counts ? kStateWords : uint32_t{protocol::kArrivals}, words);
    index_ = words[protocol::kCurrentIndex];
    dirty_ = words[protocol::kDirtyIndex];
    bytes_ = words[protocol::kBytesPerBuffer];
    dirty_stages_ = words[protocol::kDirtyStages];
    LAMPLIGHT_UNROLL
    for (uint32_t i = 0; i < protocol::kMaxStages; ++i) {
      sizes_[i] = words[protocol::kClearBytes0 + i];
    }
    standing_ = {0, index_, kernel, Protocol::kMnnvl, flags_ + protocol::kArrivals};
    if (counts) {
      standing_.epoch = words[kCallsWord] | static_cast<uint64_t>(words[kCallsWord + 1]) << 32;
    }
  }

  LAMPLIGHT_DEVICE Standing standing() const { return standing_; }

  // Nothing may be stored before this has said yes. What usual flags say is told by few steps,
  // which come between the flags and the first store.
  LAMPLIGHT_DEVICE Trouble Admit() const {
    const uint32_t last = index_ == 0 ? protocol::kGenerations - 1 : index_ - 1;
    const bool usual = (index_ < protocol::kGenerations) & (dirty_ == last) & (dirty_stages_ <= 2) &
                       (bytes_ % 32 == 0) & (stages_ <= 2) & (needs_ <= bytes_);
    return usual ? Trouble::kNothing : Judge();
  }

  // Where a stage of this call begins.
  LAMPLIGHT_DEVICE uint64_t Stage(uint32_t stage) const {
    return protocol::StageOffset(index_, stage, stages_, bytes_);
  }

  LAMPLIGHT_DEVICE bool IsHere(bool active, const Piece& piece) const {
    return piece.Lacks(protocol::kSentinel) || !active;
  }

  // Re-arms what the call before wrote: as many stages and bytes as its flags say.
  LAMPLIGHT_DEVICE void Clear() const {
    const machine::Words4 empty = {
        {protocol::kSentinel, protocol::kSentinel, protocol::kSentinel, protocol::kSentinel}};
    LAMPLIGHT_UNROLL
    for (uint32_t stage = 0; stage < protocol::kMaxStages; ++stage) {
      if (stage < dirty_stages_) ClearStage(stage, sizes_[stage], empty);
    }
  }

  // By the last cluster of the grid: the next call may begin.
  LAMPLIGHT_DEVICE void MoveOn() const { Advance(this->call_, standing_, bytes_); }
  // The same by a thread that knows no more than this.
  static LAMPLIGHT_DEVICE void MoveOnAnew(const CollectiveCall& call, const Standing& standing) {
    Advance(call, standing, machine::Poll(FlagsOf(standing) + protocol::kBytesPerBuffer));
  }

 private:
  static constexpr uint32_t kCallsWord = offsetof(MnnvlState, calls) / sizeof(uint32_t);
  static constexpr uint32_t kStateWords = sizeof(MnnvlState) / sizeof(uint32_t);

  LAMPLIGHT_DEVICE Trouble Judge() const {
    // The generation to clear is always that of the call before: any other may hold data by now.
    if (index_ >= protocol::kGenerations || dirty_ != protocol::NextIndex(index_ + 1) ||
        dirty_stages_ > protocol::kMaxStages) {
      return Trouble::kCorruptState;
    }
    if (!SplitsInto(stages_)) return Trouble::kMisaligned;
    if (!SplitsInto(dirty_stages_)) return Trouble::kCorruptState;
    // The first stage is never the smaller one.
    return needs_ <= bytes_ ? Trouble::kNothing : Trouble::kCapacity;
  }

  // Whether a generation has room for so many stages of equal size and whole packets. No division:
  // it would take as long as a send.
  LAMPLIGHT_DEVICE bool SplitsInto(uint32_t stages) const {
    const uint32_t packets = bytes_ / 16;
    return bytes_ % 16 == 0 && (stages == 0 || StageOf(packets, stages) * stages == packets);
  }
  // `stages` is 4 at most.
  static LAMPLIGHT_DEVICE uint32_t StageOf(uint32_t generation, uint32_t stages) {
    return stages == 3 ? generation / 3 : generation >> (stages / 2);
  }

  static LAMPLIGHT_DEVICE uint32_t* FlagsOf(const Standing& standing) {
    return standing.arrivals - protocol::kArrivals;
  }
  static LAMPLIGHT_DEVICE uint64_t* CallsOf(const Standing& standing) {
    return &reinterpret_cast<MnnvlState*>(FlagsOf(standing))->calls;
  }

  static LAMPLIGHT_DEVICE void Advance(const CollectiveCall& call, const Standing& standing,
                                       uint32_t bytes) {
    uint32_t* flags = FlagsOf(standing);
    const uint32_t stages = Base::StagesOf(standing.kernel);
    const machine::Words4 head = {
        {protocol::NextIndex(standing.index), standing.index, bytes, stages}};
    const machine::Words4 sizes = {
        {static_cast<uint32_t>(StageBytes(call, stages, 0)),
         stages == 1 ? 0 : static_cast<uint32_t>(StageBytes(call, stages, 1)), 0, 0}};
    machine::Store(reinterpret_cast<machine::Words4*>(flags), head);
    machine::Store(reinterpret_cast<machine::Words4*>(flags) + 1, sizes);
    if (call.header_offset != 0) *CallsOf(standing) = standing.epoch + 1;
    *const_cast<volatile uint32_t*>(standing.arrivals) = 0;
    if ((call.options & kFollowersWait) == 0) {
      const uint32_t* last = call.header_offset != 0 ? flags + kCallsWord : standing.arrivals;
      machine::Await(machine::Poll(flags) | machine::Poll(flags + protocol::kClearBytes0) |
                     machine::Poll(standing.arrivals) | machine::Poll(last));
    }
    LeaveWords(call, flags, protocol::kFlagWords, head, sizes, LargeShare(machine::Clusters()));
  }

  static LAMPLIGHT_DEVICE uint64_t StageBytes(const CollectiveCall& call, uint32_t stages,
                                              uint32_t stage) {
    const uint64_t tokens = call.tokens;
    const uint64_t row = uint64_t{call.hidden * BytesOf(kType)};
    const uint32_t world = Base::WorldOf(call);
    if (stages == 1) return tokens * world * row;
    return stage == 0 ? (tokens + world - 1) / world * world * row : tokens * row;
  }

  LAMPLIGHT_DEVICE void ClearStage(uint32_t stage, uint32_t bytes,
                                   const machine::Words4& empty) const {
    const uint32_t stage_bytes = StageOf(bytes_, dirty_stages_);
    const uint32_t packets = ((bytes < stage_bytes ? bytes : stage_bytes) + 15) / 16;
    auto* target = reinterpret_cast<machine::Words4*>(
        this->Local() + static_cast<uint64_t>(dirty_ * dirty_stages_ + stage) * stage_bytes);
    this->Arm(target, packets, empty);
  }

  uint32_t stages_;
  uint32_t* flags_;
  uint64_t needs_;
  uint32_t index_;
  uint32_t dirty_;
  uint32_t bytes_;
  uint32_t dirty_stages_;
  uint32_t sizes_[protocol::kMaxStages];
  Standing standing_;
};

}  // namespace lamplight::kernels
