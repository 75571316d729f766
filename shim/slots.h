// Where one rank's payload slots lie in a workspace, and what class of words they hold.
//
// Pure functions over bytes that were read; no CUDA, no state.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/protocol.cuh"
#include "shim/lamport/recognition.h"
#include "shim/trace_format.h"

namespace lamplight::shim {

// The slots of one stage of one generation: every one holds `words` 32-bit words from one peer.
struct StageLayout {
  uint32_t stage = 0;
  uint64_t begin = 0;  // bytes from the workspace's base
  uint64_t bytes = 0;  // extent that the slots cover
  uint32_t words = 0;  // of a slot
  // The slots are made of lines (kernels/packet_layout.h), each with a tag in its last 8 bytes, and
  // a line has arrived when it carries this one. Their words are those of the row without tags.
  bool lines = false;
  uint64_t tag = 0;
  struct Slot {
    uint32_t token;
    uint32_t peer;
    uint64_t offset;  // bytes from `begin`
    bool awaited;     // this rank's kernel polls it
  };
  std::vector<Slot> slots;

  uint64_t SlotBytes() const;
};

// Flag words that matter for addressing, in any layout.
struct Generation {
  uint32_t index = 0;  // generation, 0..2; epoch protocol and phases: 0..1
  uint64_t bytes_per_buffer = 0;
  uint64_t tag = 0;  // of the call that uses it, where slots are made of lines
};

// The stages that `call` uses in `generation`; empty where its layout is not known. At most
// `max_bytes` of slots: later tokens are left out then.
std::vector<StageLayout> LayoutOf(const trace::LamportCall& call, trace::Algorithm algorithm,
                                  trace::DataType type, Generation generation, uint64_t max_bytes);

// To the kernel that polls it.
bool IsAbsent(uint32_t word, lamport::Mark mark);

// Kernels whose generations are cleared by the call itself clear what has arrived from all ranks.
// Where `rank` has sent anything, its own packets that are empty are such places: they get other
// words than the mark's, since nothing is awaited there any more.
void FillConsumed(const StageLayout& layout, uint32_t rank, lamport::Mark mark,
                  std::span<std::byte> bytes);

// Compares two reads of a stage. For each peer one summary (token kNoId) of all its slots, and one
// record for every slot that is not simply arrived and unchanged, at most `max_details`. Positions
// are the details' only.
std::vector<trace::SlotState> ClassifySlots(const StageLayout& layout,
                                            std::span<const std::byte> first,
                                            std::span<const std::byte> second, uint32_t max_details,
                                            lamport::Mark mark = {});

}  // namespace lamplight::shim
