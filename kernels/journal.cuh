// A call's own snapshot: the flag words, left by the thread that moved them on, in the shim's ring
// or in a mark of the node's own.
//
// Device code. Stores that no thread waits for: a reader tells a whole slot of the ring by its
// tags. A node of a graph also counts its runs, so that the reader knows the replay without
// counting slots, of which some may be lost. But the grid ends only when they are through: to the
// ring, in the host's memory, that takes 0.9 µs (measured on an H100), to a mark next to nothing.
#pragma once

#include "kernels/collective_call.h"
#include "kernels/machine.cuh"
#include "kernels/snapshot_slot.h"

namespace lamplight::kernels {

// trace::SnapshotPlace::kNode (shim/trace_format.h).
inline constexpr uint32_t kJournalPlace = 2;

// Apart from the calls' own code, which is short: so it reads the words anew.
LAMPLIGHT_COLD void WriteSlot(const CollectiveCall* call, const uint32_t* words, uint32_t count) {
  const Journal& journal = call->journal;
  auto* tickets = reinterpret_cast<uint64_t*>(journal.tickets_or_mark);
  const uint32_t counter = journal.counter_and_bits >> 8;
  uint64_t* runs = tickets + counter * (kRunCounterBytes / sizeof(uint64_t));
  // No atomic: a node never runs beside itself. Both are under way at the same time.
  const uint64_t run = counter == 0 ? 0 : machine::Poll(runs) + 1;
  const uint64_t ticket = machine::TakeTicket(tickets);
  if (counter != 0) *const_cast<volatile uint64_t*>(runs) = run;
  const uint64_t now = machine::TimeNs();
  const uint64_t mask = (uint64_t{1} << (journal.counter_and_bits & 0xff)) - 1;
  auto* slot = reinterpret_cast<SnapshotSlot*>(journal.ring) + (ticket & mask);
  const uint32_t head[kFirstWordCell] = {journal.exec_id,
                                         journal.workspace_id,
                                         static_cast<uint32_t>(run),
                                         static_cast<uint32_t>(run >> 32),
                                         static_cast<uint32_t>(now),
                                         static_cast<uint32_t>(now >> 32),
                                         journal.node,
                                         kJournalPlace | count << 16};
  const auto value = [&](uint32_t cell) {
    if (cell < kFirstWordCell) return head[cell];
    const uint32_t word = cell - kFirstWordCell;
    return word < count ? *const_cast<const volatile uint32_t*>(words + word) : 0;
  };
  // Two cells by one store of 16 bytes, as NCCL's LL protocol has them (NCCL 2.28,
  // src/device/prims_ll.h): over the bus each store costs the same, whatever its width.
  const uint32_t tag = SnapshotTag(ticket);
  auto* pair = reinterpret_cast<machine::Words4*>(slot->cell);
  LAMPLIGHT_UNROLL
  for (uint32_t i = 0; i < (CellsOf(kSnapshotWords) + 1) / 2; ++i) {
    if (2 * i >= CellsOf(count)) break;
    machine::Send(pair + i, {{value(2 * i), tag, value(2 * i + 1), tag}});
  }
}

// By one thread of the grid: the flag words as they are behind this call, `count` of them; `first`
// and `second` are the first eight, and the ninth is 0. `share`: of the call, for the mark's count.
// In the mark, where there is one.
LAMPLIGHT_DEVICE void LeaveInMark(const CollectiveCall& call, uint32_t count,
                                  const machine::Words4& first, const machine::Words4& second,
                                  uint64_t share) {
  if (call.journal.tickets_or_mark == 0) return;
  auto* mark = reinterpret_cast<NodeMark*>(call.journal.tickets_or_mark);
  machine::Store(reinterpret_cast<machine::Words4*>(mark->word), first);
  if (count > 4) machine::Store(reinterpret_cast<machine::Words4*>(mark->word) + 1, second);
  mark->gpu_ns = machine::TimeNs();
  machine::AddByFirst(&mark->progress, share);
}

// The same in the ring, where there is one: from `words`.
LAMPLIGHT_DEVICE void LeaveWords(const CollectiveCall& call, const uint32_t* words, uint32_t count,
                                 const machine::Words4& first, const machine::Words4& second,
                                 uint64_t share) {
  if (call.journal.ring != 0) return WriteSlot(&call, words, count);
  LeaveInMark(call, count, first, second, share);
}

// By one thread of a cluster that has ended, or has all that it awaits, where another leaves the
// words.
LAMPLIGHT_DEVICE void LeaveShare(const CollectiveCall& call, uint64_t share) {
  if (call.journal.ring != 0 || call.journal.tickets_or_mark == 0) return;
  machine::AddByFirst(&reinterpret_cast<NodeMark*>(call.journal.tickets_or_mark)->progress, share);
}

}  // namespace lamplight::kernels
