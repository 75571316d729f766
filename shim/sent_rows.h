// What this rank has sent in the stuck call, found again in its own slots, and whether it is what a
// node's input buffer holds.
//
// Pure functions over bytes that were read; no CUDA, no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shim/slots.h"
#include "shim/trace_format.h"

namespace lamplight::shim {

// One token's part of a stage that this rank has filled itself.
struct SentRow {
  uint32_t token;
  std::span<const std::byte> bytes;
};

// Rows without an absent word whose words are not all alike; `plain` counts those whose words are.
struct SentRows {
  std::vector<SentRow> rows;
  uint32_t plain = 0;
};
SentRows RowsSentBy(uint32_t rank, const StageLayout& first_stage, std::span<const std::byte> bytes,
                    lamport::Mark mark);

// At most `most` of them: those of `stuck` tokens first, which a call that works in place has not
// overwritten yet, the others spread evenly.
std::vector<SentRow> Sample(const std::vector<SentRow>& rows, const std::vector<uint32_t>& stuck,
                            size_t most);

// Kernels send +0 for -0.
bool EqualButForZeroSigns(std::span<const std::byte> sent, std::span<const std::byte> input,
                          trace::DataType type);

// One past the newest token of which this rank has sent anything; 0: it has sent nothing.
uint32_t TokensSentBy(uint32_t rank, const StageLayout& first_stage,
                      std::span<const std::byte> bytes, lamport::Mark mark);

}  // namespace lamplight::shim
