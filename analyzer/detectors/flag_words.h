// The protocol's flag words by name, in any layout. Pure; safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "kernels/protocol.cuh"
#include "shim/trace_format.h"

namespace lamplight {

// Absent: the layout has no such word, or it was not read.
struct FlagWords {
  std::optional<uint32_t> index;  // current generation, 0 to generations - 1
  uint32_t generations = protocol::kGenerations;
  std::optional<uint64_t> epoch;     // calls that were ever completed
  std::optional<uint32_t> arrivals;  // blocks or clusters that have arrived; phases: have ended
  bool phases = false;               // so that none says nothing of a call's beginning
  std::optional<uint32_t> share;     // epoch protocol: of the call under way, of kWholeCall
  std::optional<uint32_t> bytes;     // size of a generation, in the layout's own unit
  // What the call that moved the flags last has written: bytes, by stage; in unicast workspaces
  // elements.
  std::optional<std::array<uint32_t, protocol::kMaxStages>> written;
};

// Whether so many advancing calls lead from one to the other; both have an index.
bool Leads(const FlagWords& from, uint64_t calls, const FlagWords& to);
// How many calls lead from one to the other, as far as the words tell: modulo the generations, or
// exactly where calls are counted.
struct Steps {
  uint64_t calls = 0;
  bool exact = false;
};
Steps StepsBetween(const FlagWords& from, const FlagWords& to);

FlagWords ReadFlagWords(trace::FlagLayout layout, std::span<const uint32_t> words);

}  // namespace lamplight
