// A call's own snapshot: the flag words, left in the shim's ring by the thread that moved them on.
//
// Device code. Stores that nothing waits for: a reader tells a whole slot by its tags.
#pragma once

#include "kernels/collective_call.h"
#include "kernels/machine.cuh"
#include "kernels/snapshot_slot.h"

namespace lamplight::kernels {

// trace::SnapshotPlace::kNode (shim/trace_format.h).
inline constexpr uint32_t kJournalPlace = 2;

LAMPLIGHT_DEVICE void WriteJournal(const Journal& journal, const uint32_t* words, uint32_t count) {
  if (journal.ring == 0) return;
  const uint64_t ticket = machine::TakeTicket(reinterpret_cast<uint64_t*>(journal.tickets));
  const uint64_t now = machine::TimeNs();
  const uint64_t tag = static_cast<uint64_t>(SnapshotTag(ticket)) << 32;
  auto* slot = reinterpret_cast<SnapshotSlot*>(journal.ring) + (ticket & journal.mask);
  volatile uint64_t* cell = slot->cell;
  // A kernel does not count its runs: replay 0 says so.
  const uint32_t head[kFirstWordCell] = {journal.exec_id,
                                         journal.workspace_id,
                                         0,
                                         0,
                                         static_cast<uint32_t>(now),
                                         static_cast<uint32_t>(now >> 32),
                                         journal.node,
                                         kJournalPlace | count << 16};
  LAMPLIGHT_UNROLL
  for (uint32_t i = 0; i < kFirstWordCell; ++i) cell[i] = tag | head[i];
  LAMPLIGHT_UNROLL
  for (uint32_t i = 0; i < kSnapshotWords; ++i) {
    const uint32_t word = i < count ? *const_cast<const volatile uint32_t*>(words + i) : 0;
    cell[kFirstWordCell + i] = tag | word;
  }
}

}  // namespace lamplight::kernels
