// Bounded polling: looks at the clock and at the peers' headers now and then while a packet is
// awaited. Device code; one Watch for each wait of a thread.
#pragma once

#include <cstddef>

#include "kernels/trouble.cuh"

namespace lamplight::kernels {

// What a check leaves for the next one, in one word: the time of the first check, or of the first
// that saw the peer in a later call, and marks in its low bits, half a microsecond.
inline constexpr uint64_t kReported = 1;  // the wait is too long
inline constexpr uint64_t kDiverges = 2;  // a peer is in another call
inline constexpr uint64_t kGivenUp = 4;   // the packet will not come
inline constexpr uint64_t kGoneOnUnit = 8;
inline constexpr uint64_t kGoneOn = 127 * kGoneOnUnit;  // 1 + a peer that was seen in a later call
inline constexpr uint64_t kMarks = 1023;
static_assert(kMaxWorld < 127 && (kReported | kDiverges | kGivenUp | kGoneOn) == kMarks);

// The last header of a peer; zeros where there is none that can be believed.
LAMPLIGHT_DEVICE Header HeaderOf(const CollectiveCall& call, uint32_t peer) {
  if (call.header_offset == 0 || peer == call.rank) return {};
  const machine::Words4 words = machine::Poll(reinterpret_cast<const machine::Words4*>(
      static_cast<const char*>(call.local) + call.header_offset + peer * sizeof(Header)));
  const Header header = {words.word[0], words.word[1], words.word[2], words.word[3]};
  return Fits(header) ? header : Header{};
}

// Whether a peer whose header says that it makes another call than this one sends a packet that can
// be taken for the missing one, and is right.
LAMPLIGHT_DEVICE bool SendsAllTheSame(const Header& header, const CollectiveCall& call,
                                      const Standing& standing, uint32_t token) {
  // Lines carry the shape of their call: this one takes none of them.
  if (standing.protocol == Protocol::kEpoch) return false;
  return header.hidden == call.hidden && token < header.tokens &&
         header.kind_and_check >> 16 == KindOf(call, standing.kernel, standing.protocol);
}

LAMPLIGHT_DEVICE bool SameShape(const Header& header, const CollectiveCall& call,
                                const Standing& standing) {
  return header.tokens == call.tokens && header.hidden == call.hidden &&
         header.kind_and_check >> 16 == KindOf(call, standing.kernel, standing.protocol);
}

// How long a peer must have been in a later call before what it sent for this one is given up. What
// it sent should have come by then: its kernel has ended. But between two H200s, in graphs, data
// came up to 0.4 ms behind the header of the next kernel (docs/kernels.md).
inline constexpr uint64_t kGoneOnPatienceNs = 1'000'000'000;

// That a peer has been given up for the rest of a call is kept in the state of the workspace, so
// that one wait of the rank takes that long and not each of them: for every row anew, a call could
// take minutes. A word that no call needs: low bits of the call's number, and a bit for each peer
// modulo 16. It is read and written only by whoever has looked for long and in vain.
LAMPLIGHT_DEVICE uint32_t* GoneOf(const Standing& standing) {
  static_assert(offsetof(MnnvlState, gone) == 4 * (protocol::kArrivals + 1));
  static_assert(offsetof(EpochState, gone) == 8);
  return standing.arrivals + (standing.protocol == Protocol::kEpoch ? 2 : 1);
}
LAMPLIGHT_DEVICE uint32_t GoneMark(const Standing& standing, uint32_t peer) {
  return static_cast<uint32_t>(standing.epoch) << 16 | 1u << peer % 16;
}
LAMPLIGHT_DEVICE bool IsGone(const Standing& standing, uint32_t peer) {
  const uint32_t mark = GoneMark(standing, peer);
  const uint32_t seen = machine::Poll(GoneOf(standing));
  return seen >> 16 == mark >> 16 && (seen & mark & 0xffffu) != 0;
}
// What others write at the same time may be lost: it is found out once more.
LAMPLIGHT_DEVICE void NoteGone(const Standing& standing, uint32_t peer) {
  const uint32_t mark = GoneMark(standing, peer);
  volatile uint32_t* word = GoneOf(standing);
  const uint32_t seen = *word;
  *word = mark | (seen >> 16 == mark >> 16 ? seen : 0);
}

// Takes what an earlier check left and adds what the header of the missing packet's sender says.
// The clock starts anew when the sender is first seen in a later call.
LAMPLIGHT_DEVICE uint64_t JudgeHeader(const Header& header, const CollectiveCall& call,
                                      const Standing& standing, const Missing& missing,
                                      uint64_t now, uint64_t state) {
  const uint32_t ahead = header.sequence - static_cast<uint32_t>(standing.epoch);
  const uint64_t earlier = state & kGoneOn;
  state &= ~kGoneOn;
  if (header.kind_and_check == 0 || ahead >= 1u << 31) return state;
  if (ahead == 0) {
    if (SameShape(header, call, standing)) return state;
    const bool comes = SendsAllTheSame(header, call, standing, missing.token);
    return state | kDiverges | (comes ? 0 : kGivenUp);
  }
  const uint64_t mark = (1 + missing.peer) * kGoneOnUnit;
  if (mark != earlier) return (now & ~kMarks) | (state & kMarks) | mark;
  const bool gone = now - (state & ~kMarks) >= kGoneOnPatienceNs;
  return state | mark | (gone ? kDiverges | kGivenUp : 0);
}

LAMPLIGHT_COLD uint64_t CheckWait(const CollectiveCall* call, Standing standing, Missing missing,
                                  uint64_t state) {
  const uint64_t now = machine::TimeNs();
  if (state == 0) state = now & ~kMarks;
  const uint64_t before = state;
  const Header header = HeaderOf(*call, missing.peer);
  state = JudgeHeader(header, *call, standing, missing, now, state);
  if ((state & kGoneOn) != 0) {  // so there are headers, and the word
    if (IsGone(standing, missing.peer)) {
      state |= kDiverges | kGivenUp;
    } else if ((state & kGivenUp) != 0) {
      NoteGone(standing, missing.peer);
    }
  }
  const uint64_t waited = now - (state & ~kMarks);
  if ((state & ~before & (kDiverges | kGivenUp)) != 0) {
    Report(call, standing, Trouble::kDivergence, missing, waited, header);
    if ((call->options & kTrapOnDivergence) != 0) machine::Trap();
  }
  if ((state & kGivenUp) != 0) return state;
  if ((state & kReported) != 0 || call->timeout_ns == 0 || waited < call->timeout_ns) return state;
  Report(call, standing, Trouble::kTimeout, missing, waited, {});
  if ((call->options & kTrapOnTimeout) != 0) machine::Trap();
  return state | kReported;
}

// `kPairs`: the threads of a warp wait as one, so they give up as one.
template <bool kPairs>
class Watch {
 public:
  // After each look in vain. False: the packet will not come, because its sender makes another call
  // without it, or has ended this one.
  template <class WhatIsMissing>
  LAMPLIGHT_DEVICE bool GoOn(const CollectiveCall& call, Standing standing,
                             WhatIsMissing what_is_missing) {
    machine::Relax();
    if (++looks_ % kLooksPerCheck != 0) return true;
    state_ = CheckWait(&call, standing, what_is_missing(), state_);
    const bool given_up = (state_ & kGivenUp) != 0;
    if constexpr (kPairs) return !machine::AnyOfWarp(given_up);
    return !given_up;
  }

 private:
  // Some 0.2 ms of polling.
  static constexpr uint32_t kLooksPerCheck = 256;

  uint64_t state_ = 0;
  uint32_t looks_ = 0;
};

}  // namespace lamplight::kernels
