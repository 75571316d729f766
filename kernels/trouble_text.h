// What kernels report, in words: for the library's callers and for the shim's log alike. Pure;
// thread-safe.
#pragma once

#include <cinttypes>
#include <cstdio>

#include "kernels/collective_call.h"

namespace lamplight::kernels {

inline int TimeoutText(const Diagnostic& d, char* text, size_t bytes) {
  char call[32] = "";
  if (d.epoch != 0) std::snprintf(call, sizeof call, "call %" PRIu64 ", ", d.epoch);
  return std::snprintf(text, bytes,
                       "rank %u waits for rank %u since %.3f s: token %u, word %u, stage %u of "
                       "generation %u holds %08x (%s%u tokens of %u)",
                       d.rank, d.peer, static_cast<double>(d.waited_ns) * 1e-9, d.token, d.word,
                       d.stage, d.index, d.bits[0], call, d.tokens, d.hidden);
}

// A call as reports name it. The kind is packed as in kernels/trouble.cuh, KindOf; its world is
// told where ranks take different ones.
inline void CallText(uint32_t tokens, uint32_t hidden, uint32_t kind, bool with_world, char* text,
                     size_t bytes) {
  constexpr const char* kTypes[] = {"fp16", "bf16", "fp32", "?"};
  const bool one_shot = (kind >> 2 & 3) == static_cast<uint32_t>(Kernel::kOneShot);
  char world[24] = "";
  if (with_world) std::snprintf(world, sizeof world, " among %u ranks", kind >> 8);
  std::snprintf(text, bytes, "%s, %u token%s x %u %s%s", one_shot ? "one-shot" : "two-shot", tokens,
                tokens == 1 ? "" : "s", hidden, kTypes[kind & 3], world);
}

inline int DivergenceText(const Diagnostic& d, char* text, size_t bytes) {
  const bool worlds = d.kind >> 8 != d.peer_kind >> 8;
  char own[72], peers[72];
  CallText(d.tokens, d.hidden, d.kind, worlds, own, sizeof own);
  CallText(d.peer_tokens, d.peer_hidden, d.peer_kind, worlds, peers, sizeof peers);
  return std::snprintf(text, bytes,
                       "rank %u makes call %" PRIu64
                       " as %s, rank %u as %s: results that cannot come are NaN",
                       d.rank, d.epoch, own, d.peer, peers);
}

// One English sentence without a full stop, cut and terminated like snprintf's; its whole length.
// `d` is of ReadTrouble.
inline int TroubleText(const Diagnostic& d, char* text, size_t bytes) {
  switch (static_cast<Trouble>(d.trouble)) {
    case Trouble::kNothing:
      return std::snprintf(text, bytes, "no trouble");
    case Trouble::kTimeout:
      return TimeoutText(d, text, bytes);
    case Trouble::kDivergence:
      return DivergenceText(d, text, bytes);
    case Trouble::kCapacity:
      return std::snprintf(text, bytes,
                           "rank %u refused a call of %u tokens of %u and wrote NaN: its state "
                           "words describe a smaller workspace",
                           d.rank, d.tokens, d.hidden);
    case Trouble::kCorruptState:
      return std::snprintf(text, bytes,
                           "rank %u refused a call and wrote NaN: the state words of its workspace "
                           "are impossible (index %u)",
                           d.rank, d.index);
    case Trouble::kArrivalResidue:
      return std::snprintf(text, bytes,
                           "rank %u found %u arrivals left over in a call of %u tokens: another "
                           "kernel counted in its workspace at the same time, or left it in the "
                           "middle",
                           d.rank, d.arrivals, d.tokens);
    case Trouble::kMisaligned:
      return std::snprintf(
          text, bytes, "rank %u refused a call and wrote NaN: an address is misaligned", d.rank);
  }
  return std::snprintf(text, bytes, "rank %u reports trouble %u, which this version does not know",
                       d.rank, d.trouble);
}

}  // namespace lamplight::kernels
