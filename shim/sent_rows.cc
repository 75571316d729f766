// Comparison by words; -0 is 0x8000 in 16-bit types and 0x80000000 in fp32.
#include "shim/sent_rows.h"

#include <algorithm>
#include <cstring>

namespace lamplight::shim {
namespace {

uint32_t WordAt(std::span<const std::byte> bytes, size_t position) {
  uint32_t word = 0;
  std::memcpy(&word, bytes.data() + position * 4, 4);
  return word;
}

bool AllAlike(std::span<const std::byte> row) {
  const uint32_t first = WordAt(row, 0);
  for (size_t i = 1; i < row.size() / 4; ++i) {
    if (WordAt(row, i) != first) return false;
  }
  return true;
}

bool AnyAbsent(std::span<const std::byte> row, lamport::Mark mark) {
  for (size_t i = 0; i < row.size() / 4; ++i) {
    if (IsAbsent(WordAt(row, i), mark)) return true;
  }
  return false;
}

bool AnyPresent(std::span<const std::byte> row, lamport::Mark mark) {
  for (size_t i = 0; i < row.size() / 4; ++i) {
    if (!IsAbsent(WordAt(row, i), mark)) return true;
  }
  return false;
}

uint32_t WithoutZeroSigns(uint32_t word, trace::DataType type) {
  if (type == trace::DataType::kF32) return word == 0x80000000u ? 0 : word;
  if ((word & 0xffffu) == 0x8000u) word &= 0xffff0000u;
  if (word >> 16 == 0x8000u) word &= 0xffffu;
  return word;
}

// Visits this rank's slots that lie inside `bytes`: visit(token, row). Rows of lines are left out.
template <class Visit>
void ForOwnSlots(uint32_t rank, const StageLayout& stage, std::span<const std::byte> bytes,
                 Visit visit) {
  if (stage.lines) return;
  const size_t row_bytes = stage.words * size_t{4};
  for (const StageLayout::Slot& slot : stage.slots) {
    if (slot.peer != rank || row_bytes == 0 || slot.offset + row_bytes > bytes.size()) continue;
    visit(slot.token, bytes.subspan(slot.offset, row_bytes));
  }
}

}  // namespace

SentRows RowsSentBy(uint32_t rank, const StageLayout& first_stage, std::span<const std::byte> bytes,
                    lamport::Mark mark) {
  SentRows sent;
  ForOwnSlots(rank, first_stage, bytes, [&](uint32_t token, std::span<const std::byte> row) {
    if (AnyAbsent(row, mark)) return;
    if (AllAlike(row)) {
      ++sent.plain;
    } else {
      sent.rows.push_back({token, row});
    }
  });
  return sent;
}

std::vector<SentRow> Sample(const std::vector<SentRow>& rows, const std::vector<uint32_t>& stuck,
                            size_t most) {
  std::vector<SentRow> sample;
  const auto add = [&](const SentRow& row) {
    const bool known = std::any_of(sample.begin(), sample.end(),
                                   [&](const SentRow& taken) { return taken.token == row.token; });
    if (!known && sample.size() < most) sample.push_back(row);
  };
  for (const SentRow& row : rows) {
    if (std::find(stuck.begin(), stuck.end(), row.token) != stuck.end()) add(row);
  }
  const size_t stride = std::max<size_t>(1, rows.size() / std::max<size_t>(1, most));
  for (size_t i = 0; i < rows.size(); i += stride) add(rows[i]);
  return sample;
}

bool EqualButForZeroSigns(std::span<const std::byte> sent, std::span<const std::byte> input,
                          trace::DataType type) {
  if (sent.size() != input.size()) return false;
  for (size_t i = 0; i < sent.size() / 4; ++i) {
    if (WithoutZeroSigns(WordAt(sent, i), type) != WithoutZeroSigns(WordAt(input, i), type)) {
      return false;
    }
  }
  return true;
}

uint32_t TokensSentBy(uint32_t rank, const StageLayout& first_stage,
                      std::span<const std::byte> bytes, lamport::Mark mark) {
  uint32_t tokens = 0;
  ForOwnSlots(rank, first_stage, bytes, [&](uint32_t token, std::span<const std::byte> row) {
    if (AnyPresent(row, mark)) tokens = std::max(tokens, token + 1);
  });
  return tokens;
}

}  // namespace lamplight::shim
