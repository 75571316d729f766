// Reports from a running kernel: what it waits for too long, or why it refuses to start.
//
// Device code. The first trouble of a workspace is kept, later ones are dropped. All of it is off
// the hot path: functions that are not inlined and take plain values, so that nothing of their
// callers has to live in memory.
#pragma once

#include "kernels/collective_call.h"
#include "kernels/machine.cuh"
#include "kernels/protocol.cuh"

namespace lamplight::kernels {

// Where a call stands, for its reports.
struct Standing {
  uint64_t epoch;  // calls before this one, where they are counted
  uint32_t index;  // generation in use
  Kernel kernel;
  Protocol protocol;
  uint32_t* arrivals;  // the word that clusters count themselves in: arrivals.cuh, EpochState
};

// A packet that has not come: who owes it, and where it should be.
struct Missing {
  uint32_t peer;
  uint32_t token;
  uint32_t stage;
  uint32_t word;           // of the row; of a residue: what was left
  const uint32_t* packet;  // null: none
  uint32_t packet_words;
};

LAMPLIGHT_DEVICE uint32_t KindOf(const CollectiveCall& call, Kernel kernel, Protocol protocol) {
  return static_cast<uint32_t>(call.data_type) | static_cast<uint32_t>(kernel) << 2 |
         static_cast<uint32_t>(protocol) << 4 | call.world << 8;
}

LAMPLIGHT_DEVICE uint32_t CheckOf(uint32_t sequence, uint32_t tokens, uint32_t hidden,
                                  uint32_t kind) {
  const uint32_t mixed = (sequence * 0x9e3779b1u) ^ (tokens * 0x85ebca6bu) ^
                         (hidden * 0xc2b2ae35u) ^ (kind * 0x27d4eb2fu) ^ 0x1a4bu;
  return (mixed ^ mixed >> 16) & 0xffffu;
}

// Whether the words of a header belong together.
LAMPLIGHT_DEVICE bool Fits(const Header& header) {
  const uint32_t kind = header.kind_and_check >> 16;
  const uint32_t check = CheckOf(header.sequence, header.tokens, header.hidden, kind);
  return (header.kind_and_check & 0xffffu) == check;
}

// Clusters of this call that are done, or, where they count earlier (Mnnvl), have begun; of a
// residue: what was left.
LAMPLIGHT_DEVICE uint32_t ArrivalsOf(const Standing& standing, Trouble trouble,
                                     const Missing& missing) {
  if (trouble == Trouble::kArrivalResidue) return missing.word;
  const uint32_t word = machine::Poll(standing.arrivals);
  if (standing.protocol != Protocol::kEpoch) return protocol::ArrivalsIn(word);
  return ClustersIn(word % kWholeCall, machine::Clusters());
}

LAMPLIGHT_COLD void Report(const CollectiveCall* call, Standing standing, Trouble trouble,
                           Missing missing, uint64_t waited_ns, Header header) {
  Diagnostic* out = call->diagnostic;
  if (out == nullptr || !machine::Claim(&out->claim)) return;
  out->workspace = reinterpret_cast<uint64_t>(call->local);
  out->epoch = standing.epoch;
  out->waited_ns = waited_ns;
  out->index = standing.index;
  out->rank = call->rank;
  out->peer = missing.peer;
  out->token = missing.token;
  out->word = missing.word;
  out->stage = missing.stage;
  for (uint32_t i = 0; i < 4; ++i) {
    out->bits[i] = i < missing.packet_words ? machine::Poll(missing.packet + i) : 0;
  }
  out->arrivals = ArrivalsOf(standing, trouble, missing);
  out->tokens = call->tokens;
  out->hidden = call->hidden;
  out->kind = KindOf(*call, standing.kernel, standing.protocol);
  out->peer_tokens = header.tokens;
  out->peer_hidden = header.hidden;
  out->peer_kind = header.kind_and_check >> 16;
  machine::FenceSystem();
  *const_cast<volatile uint32_t*>(&out->trouble) = static_cast<uint32_t>(trouble);
}

}  // namespace lamplight::kernels
