// The protocol of the non-MNNVL ("trtllm") one-shot kernels: what is still −0 has not arrived;
// three generations rotate by a counter; one size, in elements, says what to clear.
//
// Device code. Compatible with the kernels of the field in one group: FlashInfer 0.2.9 – 0.7.4
// (include/flashinfer/comm/trtllm_allreduce_fusion.cuh, LamportComm), where each element that has
// not come is −0 of the data type; and, `kUnicastInWords`, TensorRT-LLM since 1.0
// (cpp/tensorrt_llm/kernels/communicationKernels/allReduceFusionKernels.cu), where each 32-bit word
// is −0 of fp32, whatever the data type. Different here: see mnnvl.cuh.
// `peer_table` is workspace + 2W; `state` may be null and is then read from workspace[3W].
#pragma once

#include "kernels/exchange.cuh"
#include "kernels/protocol.cuh"
#include "kernels/unicast_state.cuh"

namespace lamplight::kernels {

template <DataType kType, uint32_t kWorld, Protocol kProtocol = Protocol::kUnicast>
class Unicast : public Exchange<Unicast<kType, kWorld, kProtocol>, kProtocol, kType, kWorld> {
 public:
  using Base = Exchange<Unicast<kType, kWorld, kProtocol>, kProtocol, kType, kWorld>;
  using State = UnicastState<kProtocol>;
  using typename Base::Piece;
  using typename Base::Position;

  struct Ahead : Base::Ahead {
    State place;
    const uint32_t* word;  // that this thread polls for its block

    LAMPLIGHT_DEVICE Ahead(const CollectiveCall& call, Kernel)
        : Base::Ahead(call),
          place(call, Base::WorldOf(call), Base::Ahead::state),
          word(machine::Settled(place.OwnWord(call))) {}
  };

  LAMPLIGHT_DEVICE Unicast(const CollectiveCall& call, const Position& place, Kernel kernel,
                           const Ahead& ahead)
      : Base(call, place, ahead), state_(ahead.place), found_(state_.Read(call, ahead.word)) {
    standing_ = {0, found_.index, kernel, kProtocol, state_.words() + protocol::kUnicastArrivals};
  }

  LAMPLIGHT_DEVICE Standing standing() const { return standing_; }

  LAMPLIGHT_DEVICE Trouble Admit() const {
    const typename State::Size bytes = found_.generation_bytes;
    if constexpr (kInWords) {
      if (bytes > kMostGenerationBytes) return Trouble::kCorruptState;
    }
    if (bytes % 16 != 0) return Trouble::kMisaligned;
    return TensorBytes() * this->World() <= bytes ? Trouble::kNothing : Trouble::kCapacity;
  }

  LAMPLIGHT_DEVICE Spot OneShotRow(uint32_t rank) const {
    return {rank * TensorBytes() + this->place_.token * this->place_.packet_row_bytes,
            Generation(found_.index)};
  }
  LAMPLIGHT_DEVICE uint64_t OneShotStride() const { return TensorBytes(); }

  LAMPLIGHT_DEVICE bool IsHere(bool active, const Piece& piece) const {
    if constexpr (kInWords) return piece.Lacks(protocol::kSentinel) || !active;
    return !active || !piece.HasNegativeZero();
  }

  LAMPLIGHT_DEVICE void Clear() const {
    Piece empty;
    empty.Fill(kInWords || sizeof(Bits) == 4 ? protocol::kSentinel : protocol::kHalfSentinels);
    auto* target = reinterpret_cast<machine::Words4*>(
        this->Local() + Generation((found_.index + 2) % protocol::kGenerations));
    const uint64_t packets = found_.clear_elements / Piece::kElements;
    const uint64_t most = found_.generation_bytes / sizeof(machine::Words4);
    this->Arm(target, packets < most ? packets : most, empty.words);
  }

  // By the last cluster of the grid: the next call may begin.
  LAMPLIGHT_DEVICE void MoveOn() const {
    state_.MoveOn(this->call_, standing_, Elements(this->call_), found_.sync_flag,
                  static_cast<uint32_t>(found_.generation_bytes));
  }
  // The same by a thread that knows no more than this.
  static LAMPLIGHT_DEVICE void MoveOnAnew(const CollectiveCall& call, const Standing& standing) {
    State(call, Base::WorldOf(call), standing.arrivals - protocol::kUnicastArrivals)
        .MoveOnAnew(call, standing, Elements(call));
  }

 private:
  using Bits = typename Element<kType>::Bits;
  static constexpr bool kInWords = kProtocol == Protocol::kUnicastInWords;
  // More than any device has: what says so is no size.
  static constexpr uint64_t kMostGenerationBytes = uint64_t{1} << 40;

  // Of all ranks.
  static LAMPLIGHT_DEVICE typename State::Size Elements(const CollectiveCall& call) {
    return static_cast<typename State::Size>(call.tokens) * call.hidden * Base::WorldOf(call);
  }
  LAMPLIGHT_DEVICE uint64_t TensorBytes() const {
    return static_cast<uint64_t>(this->call_.tokens) * this->place_.packet_row_bytes;
  }
  LAMPLIGHT_DEVICE uint64_t Generation(uint32_t index) const {
    return static_cast<uint64_t>(index) * found_.generation_bytes;
  }

  State state_;
  typename State::Found found_;
  Standing standing_;
};

template <DataType kType, uint32_t kWorld>
using UnicastInWords = Unicast<kType, kWorld, Protocol::kUnicastInWords>;

}  // namespace lamplight::kernels
