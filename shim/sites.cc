// Stacks as definitions, one for each distinct stack.
#include "shim/sites.h"

#include <array>

#include "shim/recorder/record_builder.h"
#include "shim/stacks/stacks.h"

namespace lamplight::shim {
namespace {

uint64_t Hash(std::span<const uintptr_t> pcs) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const uintptr_t pc : pcs) hash = (hash ^ pc) * 0x100000001b3ull;
  return hash;
}

}  // namespace

uint32_t Sites::Here(size_t skip) noexcept {
  std::array<uintptr_t, stacks::kMaxFrames> pcs;
  const size_t count = stacks::CaptureHere(pcs.data(), pcs.size(), skip + 1);
  return count == 0 ? 0 : Define({pcs.data(), count});
}

uint32_t Sites::Define(std::span<const uintptr_t> pcs) noexcept {
  const uint64_t hash = Hash(pcs);
  std::lock_guard lock(mutex_);
  const auto known = by_hash_.find(hash);
  if (known != by_hash_.end()) return known->second;
  RecordBuilder<trace::Site> builder(trace::RecordType::kSite);
  builder->site_id = next_id_;
  builder->frames = builder.AddArray<trace::Frame>(pcs.size());
  for (size_t i = 0; i < pcs.size() && i < builder->frames; ++i) {
    const stacks::Symbol symbol = stacks::Symbolise(pcs[i]);
    trace::Frame& frame = builder.Element<trace::Frame>(i);
    frame.address = pcs[i];
    frame.module_offset = symbol.module_offset;
    frame.symbol_offset = symbol.symbol_offset;
    builder.SetString(i, &trace::Frame::module, symbol.module);
    builder.SetString(i, &trace::Frame::symbol, symbol.symbol);
  }
  recorder_.Define(builder);
  by_hash_.emplace(hash, next_id_);
  return next_id_++;
}

}  // namespace lamplight::shim
